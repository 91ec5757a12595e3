"""What the CRF's backends cost beside pydensecrf: python benchmarks/crf.py --help.

    OMP_NUM_THREADS=1 python benchmarks/crf.py --image ortho.tif other.vrt

CPU seconds of the calling thread, backends in turn within each round, medians. Real photographs;
the softmax is synthetic (tests/helpers/crf_scenes.py). Memory is the peak of a process of its own
above unary and features. "two threads" is the time of two windows one after the other over that
of both at once: 2 is perfect on two idle cores. Prints a table for docs/crf.md.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import NamedTuple

import numpy as np
import rasterio

sys.path.append(str(Path(__file__).parents[1]))
from segtasks.config.crf import PRESETS
from segtasks.crf import backends, preset
from segtasks.crf.backends import Kernel, kernel
from segtasks.crf.potentials import bilateral_features, position_features, unary_energy
from tests.helpers.crf_scenes import Float32, scene_of

REFERENCE = "pydensecrf"


class Case(NamedTuple):
    """One window's mean field: everything a backend is given."""

    unary: Float32
    kernels: Sequence[Kernel]
    iterations: int

    @property
    def pixels(self) -> int:
        """Pixels of the window."""
        return int(self.unary.shape[1])

    def run(self, backend: str) -> Float32:
        """Marginals (K, pixels)."""
        return backends.marginals(backend, *self)


def case_of(image: Float32, classes: int, name: str) -> Case:
    """An image's upper left square with synthetic probabilities, at the raster's corner."""
    scene, parameters = scene_of(image, classes), preset(name)
    valid = np.ones(scene.image8.shape[1:], bool)
    position = position_features(valid, 0, 0, parameters.pos_xy_std)
    bilateral = bilateral_features(valid, scene.image8, 0, 0, parameters)
    kernels = [
        Kernel(position, kernel.potts(classes, parameters.pos_w)),
        Kernel(bilateral, kernel.potts(classes, parameters.bi_w)),
    ]
    energies = unary_energy(scene.probabilities.reshape(classes, -1).copy())
    return Case(energies, kernels, parameters.iterations)


def threads_gain(case: Case, backend: str) -> float:
    """Wall time of two windows one after the other over that of both on two threads."""
    started = time.perf_counter()
    case.run(backend), case.run(backend)
    apart = time.perf_counter() - started
    with ThreadPoolExecutor(2) as pool:
        started = time.perf_counter()
        list(pool.map(case.run, [backend] * 2))
        return apart / (time.perf_counter() - started)


def peak_bytes_per_px(case: Case, backend: str, folder: Path) -> float:
    """Peak memory above the inputs, in a fresh process that makes nothing but them."""
    np.save(folder / "unary.npy", case.unary)
    for i, term in enumerate(case.kernels):
        np.savez(folder / f"kernel{i}.npz", features=term.features, matrix=term.compatibility)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        done = pool.submit(_peak, backend, folder, len(case.kernels), case.iterations)
        return done.result() / case.pixels


def _peak(backend: str, folder: Path, kernels: int, iterations: int) -> int:
    tiny = [Kernel(np.zeros((2, 4), np.float32), kernel.potts(2, 1))]
    backends.marginals(backend, np.zeros((2, 4), np.float32), tiny, 1)  # imports
    terms = []
    for i in range(kernels):
        with np.load(folder / f"kernel{i}.npz") as stored:
            terms.append(Kernel(stored["features"], stored["matrix"]))
    unary = np.load(folder / "unary.npy")
    before = _high_water()
    backends.marginals(backend, unary, terms, iterations)
    return _high_water() - before


def _high_water() -> int:
    """Most bytes this program had at once; its ru_maxrss would start at what its parent had."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def print_rows(case: Case, names: Sequence[str], rounds: int, title: str, *, threads: bool) -> None:
    """One row per backend, the reference first."""
    seconds: dict[str, list[float]] = {name: [] for name in names}
    found: dict[str, Float32] = {}
    for _ in range(rounds):
        for name in names:
            started = time.thread_time()
            found[name] = case.run(name)
            seconds[name].append(time.thread_time() - started)
    slowest, expected = median(seconds[names[0]]), found[names[0]]
    with tempfile.TemporaryDirectory() as folder:
        memory = {name: peak_bytes_per_px(case, name, Path(folder)) for name in names}
    for name in names:
        labels = 100 * float((found[name].argmax(0) != expected.argmax(0)).mean())
        cells = (
            f"{median(seconds[name]) / case.pixels * 1e6:.3f}",
            f"{slowest / median(seconds[name]):.2f}",
            f"{memory[name]:.0f}",
            f"{memory[name] / memory[names[0]]:.2f}",
            f"{threads_gain(case, name):.2f}" if threads else "-",
            f"{labels:.4f}",
            f"{np.abs(found[name] - expected).max():.0e}",
        )
        print(f"| {title} | {name} | {' | '.join(cells)} |", flush=True)


def main() -> None:
    """Measure every image, preset and number of classes."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--image", type=Path, nargs="+", required=True, help="8-bit rasters")
    parser.add_argument("--bands", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--side", type=int, default=1024, help="pixels")
    parser.add_argument("--classes", type=int, nargs="+", default=[2, 6, 21])
    parser.add_argument(
        "--presets", nargs="+", default=["kraehenbuehl", "deeplab"], choices=PRESETS
    )
    parser.add_argument("--backends", nargs="+", default=["native"], help="beside pydensecrf")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", action="store_true", help="two windows at once, too")
    chosen = parser.parse_args()
    print(
        "| image | preset | K | backend | CPU s/MP | x pydensecrf | B/px | of pydensecrf's "
        f"| two threads | labels differ % | max dQ |\n{'|---' * 11}|"
    )
    for path in chosen.image:
        with rasterio.open(path) as source:
            square = ((0, chosen.side), (0, chosen.side))
            image = source.read(chosen.bands, window=square).astype(np.float32)
        for name in chosen.presets:
            for classes in chosen.classes:
                title = f"{path.stem} | {name} | {classes}"
                names = [REFERENCE, *chosen.backends]
                case = case_of(image, classes, name)
                print_rows(case, names, chosen.rounds, title, threads=chosen.threads)


if __name__ == "__main__":
    main()
