"""How much windows differ from the CRF of the whole: python benchmarks/crf_windows.py WORKSPACE.

    segtasks run scene.tif --model landcover-dubai --to out --keep-workspace
    OMP_NUM_THREADS=1 python benchmarks/crf_windows.py out/.workspace --side 4096

Takes image and probabilities from a kept workspace, so the softmax is a trained network's.
*Anchored* windows lie on the raster's lattice; *local* ones count positions from their own corner,
as one who calls a CRF library on each tile does. Prints a table for docs/crf.md.
"""

import argparse
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from segtasks.config.crf import PRESETS
from segtasks.crf import CrfParameters, preset, refine
from segtasks.raster.grid import Grid, Window
from segtasks.raster.stretch import MAX_8BIT, PICTURE
from segtasks.storage import workspace

Labels = npt.NDArray[np.intp]
HALOS = (0.0, 0.5, 1.0)
"""Of the automatic halo; then the strict one."""


@dataclass(frozen=True, eq=False)
class Scene:
    """Probabilities (K, S, S), image (C, S, S) in 8-bit units, and where both are valid."""

    probabilities: npt.NDArray[np.float32]
    image8: npt.NDArray[np.float32]
    valid: npt.NDArray[np.bool_]

    def labels(
        self, parameters: CrfParameters, window: Window, *, is_anchored: bool = True
    ) -> Labels:
        """Labels of a window refined by itself."""
        rows, cols = window.slices
        found = refine(
            self.probabilities[:, rows, cols],
            self.image8[:, rows, cols],
            self.valid[rows, cols],
            row=window.row * is_anchored,
            col=window.col * is_anchored,
            parameters=parameters,
            backend="auto",
        )
        return np.asarray(found.argmax(axis=0))


def scene_of(url: str, side: int) -> Scene:
    """The upper left square of a kept workspace."""
    square = Window(0, 0, side, side)
    image, valid = (workspace.read(url, name, square) for name in ("image", "valid"))
    probabilities = workspace.read(url, "probabilities", square).astype(np.float32)
    return Scene(probabilities, PICTURE(image, MAX_8BIT), valid)


def stitched(
    scene: Scene, parameters: CrfParameters, grid: Grid, halo_px: int, *, is_anchored: bool
) -> Labels:
    """The scene refined window by window, their cores put together."""
    out = np.empty((grid.height, grid.width), np.intp)
    for tile in grid.tiles():
        core, window = grid.core(tile), grid.read_window(tile, halo_px)
        found = scene.labels(parameters, window, is_anchored=is_anchored)
        out[core.slices] = found[core.within(window)]
    return out


def rows_of(scene: Scene, name: str, core_px: int) -> None:
    """Print the rows of one preset."""
    parameters, side = preset(name), len(scene.valid)
    grid = Grid(side, side, core_px)
    whole = scene.labels(parameters, grid.raster)
    changed = 100 * float((whole != scene.probabilities.argmax(0)).mean())
    auto = parameters.halo_px()
    halos = [*(round(auto * share) for share in HALOS), parameters.strict_halo_px()]
    for halo_px, rule in zip(halos, ("none", "half", "auto", "strict"), strict=True):
        percent = [
            100 * float((stitched(scene, parameters, grid, halo_px, is_anchored=a) != whole).mean())
            for a in (True, False)
        ]
        cells = f"{halo_px} ({rule}) | {percent[0]:.4f} | {percent[1]:.4f}"
        print(f"| {name} | {changed:.2f} | {cells} |", flush=True)


def main() -> None:
    """Measure each preset."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("workspace", help="kept by segtasks run --keep-workspace")
    parser.add_argument("--side", type=int, default=4096, help="pixels")
    parser.add_argument("--core-px", type=int, default=2048, help="windows without their halo")
    parser.add_argument("--presets", nargs="+", default=list(PRESETS), choices=PRESETS)
    chosen = parser.parse_args()
    scene = scene_of(chosen.workspace, chosen.side)
    print("| preset | the CRF changes % | halo px | anchored differ % | local differ % |")
    print("|---" * 5 + "|")
    for name in chosen.presets:
        rows_of(scene, name, chosen.core_px)


if __name__ == "__main__":
    main()
