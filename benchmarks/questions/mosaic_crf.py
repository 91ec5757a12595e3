"""Can a whole mosaic be one CRF: python benchmarks/questions/mosaic_crf.py --help.

    OMP_NUM_THREADS=1 python benchmarks/questions/mosaic_crf.py ortho.tif --side 4096 --whole

mosaic.py does mean field chunk by chunk, without halos. Two ways: *kept*, chunks stay in memory
from pass to pass; *rebuilt*, each pass finds every pixel's vertices again, so that memory is that
of one chunk. Beside them windows of a job's own sizes; both against the image in one piece or,
without --whole, against the 512 px in the middle of a window of 4096 px around the raster's middle,
where chunks meet. CPU seconds of one thread, in turn within each round, reading and writing
included; windows scaled to those far from a raster's border, whose halos are whole. Needs g++. The
softmax is synthetic (tests/helpers/crf_scenes.py).
"""

import argparse
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from math import ceil, isqrt, sqrt
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np
import rasterio
from mosaic import Float32, Mosaic, Raster, compiled
from showing import header, row

sys.path.append(str(Path(__file__).parents[2]))
from segtasks.config.crf import PRESETS
from segtasks.crf import CrfParameters, bytes_per_px, preset, refine
from segtasks.planning.crf_windows import BUDGET_BYTES, MOST_WASTE, STEP_PX, USUAL_PX
from segtasks.planning.worker import TILES_IN_FLIGHT
from segtasks.raster.grid import Grid, Window
from tests.helpers.crf_scenes import scene_of

OWN_PX, PROBE_PX = 4096, 512
HELD_BYTES = (6, 5)
"""Of a pixel read ahead: per class, per band; see segtasks.planning.crf_windows."""


class Case(NamedTuple):
    """One raster under one preset."""

    raster: Raster
    parameters: CrfParameters

    @property
    def side(self) -> int:
        """Pixels."""
        return len(self.raster.valid)

    def refined(self, window: Window) -> Float32:
        """Marginals (K, h, w) by the native backend on one window."""
        return refine(
            *self.raster.read(window),
            row=window.row,
            col=window.col,
            parameters=self.parameters,
            backend="native",
        )

    def reference(self, *, whole: bool) -> tuple[Window, Float32]:
        """Marginals to hold the ways against, and where: everywhere or in the middle."""
        raster = Window(0, 0, self.side, self.side)
        if whole:
            return raster, self.refined(raster)
        start = (self.side - PROBE_PX) // 2
        probe = Window(start, start, PROBE_PX, PROBE_PX)
        around = probe.grow((OWN_PX - PROBE_PX) // 2).intersect(raster)
        return probe, self.refined(around)[(..., *probe.within(around))]

    def in_windows(self, grid: Grid, halo_px: int) -> Float32:
        """Marginals (K, H, W), window by window."""
        found = np.empty(self.raster.probabilities.shape, np.float32)
        for tile in grid.tiles():
            core, window = grid.core(tile), grid.read_window(tile, halo_px)
            found[(..., *core.slices)] = self.refined(window)[(..., *core.within(window))]
        return found

    def windows(self, halo_px: int) -> Grid:
        """Windows as a job has them whose window_px is auto."""
        classes, bands = len(self.raster.probabilities), len(self.raster.image)
        held = classes * HELD_BYTES[0] + bands * HELD_BYTES[1] + 1
        per_px = bytes_per_px(classes, "native") + TILES_IN_FLIGHT * held
        wanted = max(USUAL_PX, ceil(2 * halo_px / (sqrt(1 + MOST_WASTE) - 1) / STEP_PX) * STEP_PX)
        allowed = (isqrt(BUDGET_BYTES // per_px) - 2 * halo_px) // STEP_PX * STEP_PX
        return Grid(self.side, self.side, min(wanted, max(allowed, STEP_PX)))


class Found(NamedTuple):
    """What one way gave: marginals, CPU seconds, cells of its row beyond them."""

    marginals: Float32
    seconds: float
    cells: tuple[str, ...]


def raster_of(path: Path, side: int, classes: int, *, holes: bool) -> Raster:
    """The upper left square of an 8-bit picture; beyond 4096 px its reflections."""
    own = min(side, OWN_PX)
    with rasterio.open(path) as source:
        image = source.read([1, 2, 3], window=((0, own), (0, own)))
    probabilities = scene_of(image.astype(np.float32), classes).probabilities.astype(np.float16)
    beyond = [(0, 0), (0, side - own), (0, side - own)]
    mirrored = [np.pad(part, beyond, mode="symmetric") for part in (probabilities, image)]
    valid = np.ones((side, side), bool)
    if holes:
        valid[side // 5 : side // 3, side // 4 : side // 2] = False
        valid[: side // 8] = False
    return Raster(mirrored[0], mirrored[1], valid)


def windowed(case: Case, halo_px: int) -> Found:
    """Windows of a halo."""
    grid = case.windows(halo_px)
    started = time.thread_time()
    marginals = case.in_windows(grid, halo_px)
    seconds = time.thread_time() - started
    filtered = sum(grid.read_window(tile, halo_px).pixels for tile in grid.tiles())
    factor = ((grid.core_px + 2 * halo_px) / grid.core_px) ** 2
    seconds *= factor * case.side**2 / filtered
    return Found(marginals, seconds, (f"{grid.core_px} + 2 x {halo_px} px", ""))


def as_mosaic(case: Case, chunk_px: int, lib: Any, folder: Path | None, *, keep: bool) -> Found:  # noqa: ANN401
    """The whole in chunks."""
    with tempfile.TemporaryDirectory(dir=folder) as rest:
        grid = Grid(case.side, case.side, chunk_px)
        mosaic = Mosaic(lib, case.raster, grid, case.parameters, Path(rest))
        started = time.thread_time()
        marginals = mosaic.marginals(keep=keep)
        seconds = time.thread_time() - started
    pixels, passes = case.side**2, case.parameters.iterations + 2
    parts = (f"{k} {v * 1e6 / pixels:.2f}" for k, v in mosaic.clock.seconds.items())
    print(f"<!-- s/MP: {'; '.join(parts)}; joined {mosaic.joined / mosaic.own:.2f} -->")
    moved = mosaic.moved / pixels / passes
    cells = f"{mosaic.own / pixels:.2f}", f"{mosaic.bytes / pixels:.0f}, {moved:.0f}"
    return Found(marginals, seconds, cells)


def measure(case: Case, name: str, ways: dict[str, Callable[[], Found]], chosen: Any) -> None:  # noqa: ANN401
    """Rows of one preset: the ways in turn, the first is what the others are held against."""
    seconds: dict[str, list[float]] = defaultdict(list)
    where, expected = case.reference(whole=chosen.whole)
    cells: dict[str, tuple[str, ...]] = {}
    for _ in range(chosen.rounds):
        for way, run in ways.items():
            found = run()
            seconds[way].append(found.seconds)
            there = found.marginals[(..., *where.slices)]
            cells[way] = *found.cells, *differences(there, expected)
    first = median(seconds[next(iter(ways))])
    for way in ways:
        cost = median(seconds[way])
        row(name, way, f"{cost * 1e6 / case.side**2:.2f}", f"{cost / first:.2f}", *cells[way])


def differences(found: Float32, expected: Float32) -> tuple[str, str]:
    """Percent of labels that differ, and the largest difference of a marginal."""
    labels = 100 * float((found.argmax(axis=0) != expected.argmax(axis=0)).mean())
    largest = max(float(np.abs(a - b).max()) for a, b in zip(found, expected, strict=True))
    return f"{labels:.4f}", f"{largest:.0e}"


def main() -> None:
    """Measure every preset."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("image", type=Path, help="an 8-bit raster of three bands or more")
    parser.add_argument("--side", type=int, default=4096, help="pixels")
    parser.add_argument("--chunk", type=int, default=2048, help="pixels")
    parser.add_argument("--classes", type=int, default=6)
    parser.add_argument("--presets", nargs="+", default=["kraehenbuehl", "aerial"], choices=PRESETS)
    parser.add_argument("--ways", nargs="+", default=["auto", "strict", "kept", "rebuilt"])
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--whole", action="store_true", help="against the image in one piece")
    parser.add_argument("--holes", action="store_true", help="a fifth of it nodata")
    parser.add_argument("--folder", type=Path, default=None, help="for what rests between passes")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        lib = compiled(Path(folder))
        raster = raster_of(chosen.image, chosen.side, chosen.classes, holes=chosen.holes)
        print(f"{chosen.side} px, chunks of {chosen.chunk} px, K {chosen.classes}\n")
        columns = "preset", "way", "CPU s/MP", "x first", "window, or vertices/px"
        header(*columns, "B/px held, read per pass", "labels differ %", "max dQ")
        for name in chosen.presets:
            case, rest = Case(raster, preset(name)), (chosen.chunk, lib, chosen.folder)
            ways = {
                "auto": partial(windowed, case, case.parameters.halo_px()),
                "strict": partial(windowed, case, case.parameters.strict_halo_px()),
                "kept": partial(as_mosaic, case, *rest, keep=True),
                "rebuilt": partial(as_mosaic, case, *rest, keep=False),
            }
            measure(case, name, {way: ways[way] for way in chosen.ways}, chosen)


if __name__ == "__main__":
    main()
