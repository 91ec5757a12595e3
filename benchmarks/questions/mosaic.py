"""A mosaic as one CRF, chunk by chunk: mean field whose state between passes is the lattice's.

       pass 0                  pass 1                          passes 2 … n + 1
    ones -> splat    gather, blur -> normalise         gather, blur -> slice -> softmax
                     softmax of the unary -> splat     -> splat (the last: marginals)

Vertices have whole coordinates. A chunk's features are counted from its origin modulo the lattice's
period, and a period moves coordinates by whole multiples of d + 1, so chunks agree on keys exactly
at any place of a raster. What a chunk splatted, keys and values of its own vertices, lies in files;
to gather is to sum those of the chunks around it in the grid's order, whoever made them when.
"""

import subprocess
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import ceil, remainder
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from cffi import FFI
from numpy.typing import NDArray

from segtasks.crf import CrfParameters
from segtasks.crf.potentials import (
    PERIOD_X,
    PERIOD_Y,
    bilateral_features,
    position_features,
    unary_energy,
)
from segtasks.raster.grid import Grid, Tile, Window

HERE = Path(__file__).parent
NATIVE = HERE.parents[1] / "segtasks" / "crf" / "native"
PARTS = ("blocks.cpp", "level_plain.cpp", "level_avx2.cpp")
FLAGS = ("-std=c++17", "-O3", "-ffp-contract=off", "-Wno-psabi", "-fPIC", "-shared")
REACH_STD = 4.0
"""Pixels further apart share no vertex in one update: splat 1, blur 2, slice 1 std along y."""
POSITION, BILATERAL = TERMS = (0, 1)
Float32 = NDArray[np.float32]
ENERGY = unary_energy(np.arange(2**16, dtype=np.uint16).view(np.float16).astype(np.float32))
"""Of every float16 there is: a pass then takes no logarithms."""

ffi = FFI()
ffi.cdef("""
typedef struct Chunk Chunk;
Chunk *chunk_new(int64_t pixels, int classes, const float *x, const float *y);
void chunk_free(Chunk *chunk);
int chunk_row(Chunk *chunk);
void chunk_add(Chunk *chunk, const float *features, int d, float potts, const int64_t *shift);
int64_t chunk_vertices(Chunk *chunk, int term);
int64_t chunk_joined(Chunk *chunk, int term);
int64_t chunk_bytes(Chunk *chunk, int term);
void chunk_keys(Chunk *chunk, int term, int32_t *out);
void chunk_join(Chunk *chunk, int term, const int32_t *keys, int64_t count);
void chunk_link(Chunk *chunk, int term);
void chunk_ones(Chunk *chunk, int term, float *out);
void chunk_clear(Chunk *chunk, int term, int width);
void chunk_gather(Chunk *chunk, int term, int source, const float *values, int width);
void chunk_blur(Chunk *chunk, int term, int width);
void chunk_normalise(Chunk *chunk, int term);
void chunk_pass(Chunk *chunk, const float *unary, int sliced, float *marginals);
void chunk_partial(Chunk *chunk, int term, float *out);
""")


def compiled(folder: Path) -> Any:  # noqa: ANN401 - a C library
    """The C++ half, with the inner loops and the flags of the native backend."""
    path, sources = folder / "mosaic.so", [HERE / "mosaic.cpp", *(NATIVE / name for name in PARTS)]
    words = ["g++", *FLAGS, f"-I{NATIVE}", *map(str, sources), "-o", str(path)]
    subprocess.run(words, check=True)
    return ffi.dlopen(str(path))


def pointer(array: NDArray[Any], kind: str = "float") -> Any:  # noqa: ANN401 - a C pointer
    """An array as C sees it."""
    return ffi.from_buffer(f"{kind}[]", array)


def shift_of(window: Window, std_px: float, dimensions: int) -> NDArray[np.int64]:
    """From lattice coordinates counted from a window's phase to those of the raster; exact."""
    x, y = window.col / std_px, window.row / std_px
    right = round((x - remainder(x, PERIOD_X)) / PERIOD_X)
    down = round((y - remainder(y, PERIOD_Y)) / PERIOD_Y)
    shift = np.zeros(max(dimensions, 3), np.int64)
    shift[:3] = right + down, down - right, -2 * down
    return (dimensions + 1) * shift[:dimensions]


@dataclass
class Clock:
    """CPU seconds of this thread, by what they went into."""

    seconds: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))

    @contextmanager
    def of(self, name: str) -> Iterator[None]:
        """Add the block's seconds."""
        started = time.thread_time()
        yield
        self.seconds[name] += time.thread_time() - started


@dataclass(frozen=True)
class Raster:
    """What a workspace holds: float16 probabilities (K, H, W), uint8 image, valid (H, W)."""

    probabilities: NDArray[np.float16]
    image: NDArray[np.uint8]
    valid: NDArray[np.bool_]

    def read(self, window: Window) -> tuple[Float32, Float32, NDArray[np.bool_]]:
        """Probabilities and image, float32, and valid of a window."""
        at = window.slices
        probabilities = self.probabilities[(..., *at)].astype(np.float32)
        return probabilities, self.image[(..., *at)].astype(np.float32), self.valid[at]

    def unary(self, window: Window) -> Float32:
        """Energies (K, pixels) of a window's valid pixels."""
        known = self.probabilities[(..., *window.slices)][:, self.valid[window.slices]]
        return np.asarray(ENERGY[np.ascontiguousarray(known).view(np.uint16)])


NOTHING = np.empty((0, 0), np.float32)


class Held(NamedTuple):
    """A chunk in memory; its unary from the second pass on, before it nothing."""

    chunk: Any
    unary: Float32


class Mosaic:
    """Mean field over the chunks of a grid; what rests between passes lies in ``folder``."""

    def __init__(
        self,
        lib: Any,  # noqa: ANN401 - a C library
        raster: Raster,
        grid: Grid,
        parameters: CrfParameters,
        folder: Path,
    ) -> None:
        self.lib, self.raster, self.grid, self.parameters = lib, raster, grid, parameters
        self.folder, self.clock, self.held = folder, Clock(), dict[Tile, Held]()
        self.stds = parameters.pos_xy_std, parameters.bi_xy_std
        self.tiles = [t for t in grid.tiles() if raster.valid[grid.core(t).slices].any()]
        self.own = self.joined = self.bytes = self.moved = 0

    def marginals(self, *, keep: bool) -> Float32:
        """Marginals (K, H, W); with ``keep`` chunks stay in memory between passes."""
        found = np.zeros(self.raster.probabilities.shape, np.float32)
        last = self.parameters.iterations + 1
        for number in range(last + 1):
            for tile in self.tiles:
                held = self._held(tile, number)
                if number == 0:
                    self._begin(held.chunk, tile)
                else:
                    self._pass(held, tile, number, found if number == last else None)
                if keep and number < last:
                    self.held[tile] = held
        return found

    def _held(self, tile: Tile, number: int) -> Held:
        """A chunk as its pass needs it: joined from the second on."""
        held = self.held.pop(tile, None) or Held(self._built(self.grid.core(tile)), NOTHING)
        if number == 0 or held.unary.size:
            return held
        self._join(held.chunk, tile)
        with self.clock.of("unary"):
            return held._replace(unary=self.raster.unary(self.grid.core(tile)))

    def _built(self, window: Window) -> Any:  # noqa: ANN401 - a C pointer
        """A chunk with its own lattices."""
        with self.clock.of("features"):
            _, image8, valid = self.raster.read(window)
            origin = window.row, window.col
            position = position_features(valid, *origin, self.parameters.pos_xy_std)
            bilateral = bilateral_features(valid, image8, *origin, self.parameters)
        with self.clock.of("build"):
            size = position.shape[1], len(self.raster.probabilities)
            made = self.lib.chunk_new(*size, pointer(bilateral[0]), pointer(bilateral[1]))
            chunk = ffi.gc(made, self.lib.chunk_free)
            self._add(chunk, position, self.parameters.pos_w, window, POSITION)
            self._add(chunk, bilateral, self.parameters.bi_w, window, BILATERAL)
        return chunk

    def _add(self, chunk: Any, features: Float32, w: float, window: Window, term: int) -> None:  # noqa: ANN401
        shift = shift_of(window, self.stds[term], len(features))
        place = pointer(shift, "int64_t")
        self.lib.chunk_add(chunk, pointer(features), len(features), w, place)

    def _begin(self, chunk: Any, tile: Tile) -> None:  # noqa: ANN401
        """Pass 0: what others need to know of this chunk's lattices."""
        with self.clock.of("build"):
            for term, dimensions in zip(TERMS, (2, 2 + len(self.raster.image)), strict=True):
                count = self.lib.chunk_vertices(chunk, term)
                keys, ones = np.empty((count, dimensions), np.int32), np.empty(count, np.float32)
                self.lib.chunk_keys(chunk, term, pointer(keys, "int32_t"))
                self.lib.chunk_ones(chunk, term, pointer(ones))
                np.save(self._path(tile, term, "keys"), keys)
                np.save(self._path(tile, term, "0"), ones)
                self.own += count

    def _join(self, chunk: Any, tile: Tile) -> None:  # noqa: ANN401
        """Take in the neighbours' vertices, and normalise."""
        with self.clock.of("join"):
            for term in TERMS:
                for near in self._around(tile, term):
                    if near != tile:
                        keys = np.load(self._path(near, term, "keys"))
                        self.lib.chunk_join(chunk, term, pointer(keys, "int32_t"), len(keys))
                self.lib.chunk_link(chunk, term)
                self._gather(chunk, tile, term, 0)
                self.lib.chunk_normalise(chunk, term)

    def _around(self, tile: Tile, term: int) -> Sequence[Tile]:
        """The chunks whose vertices this one's are blurred with, itself among them."""
        reach, known = ceil(REACH_STD * self.stds[term]), set(self.tiles)
        return [t for t in self.grid.touching(self.grid.core(tile).grow(reach)) if t in known]

    def _gather(self, chunk: Any, tile: Tile, term: int, number: int) -> None:  # noqa: ANN401
        """Sum what pass ``number`` splatted in the grid's order, and blur."""
        width, source = self.lib.chunk_row(chunk) if number else 1, 0
        self.lib.chunk_clear(chunk, term, width)
        for near in self._around(tile, term):
            values = np.load(self._path(near, term, str(number)))
            which = -1 if near == tile else source
            self.lib.chunk_gather(chunk, term, which, pointer(values), width)
            source += near != tile
            self.moved += values.nbytes
        self.lib.chunk_blur(chunk, term, width)

    def _pass(self, held: Held, tile: Tile, number: int, found: Float32 | None) -> None:
        """Pass 1 splats the softmax of the unary, each further one is an update."""
        chunk, unary = held
        if number > 1:
            with self.clock.of("gather, blur"):
                for term in TERMS:
                    self._gather(chunk, tile, term, number - 1)
        with self.clock.of("slice, softmax, splat"):
            marginals = None if found is None else np.empty_like(unary)
            to = ffi.NULL if marginals is None else pointer(marginals)
            self.lib.chunk_pass(chunk, pointer(unary), int(number > 1), to)
        if found is None:
            self._rest(chunk, tile, number)
        else:
            at = self.grid.core(tile).slices
            found[(..., *at)][:, self.raster.valid[at]] = marginals

    def _rest(self, chunk: Any, tile: Tile, number: int) -> None:  # noqa: ANN401
        """Write what was splatted."""
        for term in TERMS:
            shape = self.lib.chunk_vertices(chunk, term), self.lib.chunk_row(chunk)
            values = np.empty(shape, np.float32)
            self.lib.chunk_partial(chunk, term, pointer(values))
            np.save(self._path(tile, term, str(number)), values)
            if number == 1:
                self.joined += self.lib.chunk_joined(chunk, term)
                self.bytes += self.lib.chunk_bytes(chunk, term)

    def _path(self, tile: Tile, term: int, name: str) -> Path:
        return self.folder / f"{tile.row}_{tile.col}_{term}_{name}.npy"
