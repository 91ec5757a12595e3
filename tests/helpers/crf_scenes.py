"""Scenes for the tests of the CRF: real photographs if they exist, else a drawn one.

The softmax is synthetic: colour classes found at stride 8, like a network of that stride, plus
noise of low frequency, so that the CRF can correct 5-15 % of the labels.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray
from PIL import Image

from segtasks.crf import CrfParameters, refine
from tests.helpers.paths import SHARED

Float32 = NDArray[np.float32]
Labels = NDArray[np.intp]

needs_native = pytest.mark.skipif(
    find_spec("segtasks.crf.native._field") is None, reason="the native backend is not built here"
)
needs_pydensecrf = pytest.mark.skipif(
    find_spec("pydensecrf") is None, reason="pydensecrf is not installed (nor builds on 3.13)"
)
REFERENCE = pytest.param("pydensecrf", marks=needs_pydensecrf)
LATTICES = [pytest.param("native", marks=needs_native), "torch"]
"""Backends that filter on pydensecrf's lattice."""

STRIDE = 8
CONFIDENCE = 0.85


@dataclass(frozen=True, eq=False)
class Scene:
    """Probabilities (K, H, W) and image (C, H, W) in 8-bit units of one square raster."""

    probabilities: Float32
    image8: Float32

    @property
    def side(self) -> int:
        return len(self.image8[0])

    def window(self, rows: slice, cols: slice) -> "Scene":
        return Scene(self.probabilities[:, rows, cols], self.image8[:, rows, cols])

    def refined(
        self, row: int, col: int, parameters: CrfParameters, backend: str = "auto"
    ) -> Float32:
        return refine(
            self.probabilities,
            self.image8,
            np.ones(self.image8.shape[1:], bool),
            row=row,
            col=col,
            parameters=parameters,
            backend=backend,
        )

    def labels(self, parameters: CrfParameters) -> Labels:
        """Return the most probable class of the whole refined scene, the lowest of equal ones."""
        return np.asarray(self.refined(0, 0, parameters).argmax(axis=0))


def photograph(name: str, side: int, classes: int = 6) -> Scene:
    """Read the upper left corner of a shared photograph; skips the test if it is absent."""
    path = SHARED / "data" / "fair_oam" / name
    if not path.exists():
        pytest.skip(f"shared imagery not found: {path} (set SEGTASKS_SHARED)")
    with rasterio.open(path) as source:
        image = source.read([1, 2, 3], window=((0, side), (0, side)))
    return scene_of(image.astype(np.float32), classes)


def city(part: str, side: int, classes: int = 6, bands: int = 3) -> Scene:
    """Read a square of a shared satellite photograph, with its excess of green as fourth band."""
    path = SHARED / "data" / "dubai" / "parts" / part
    if not path.exists():
        pytest.skip(f"shared imagery not found: {path} (set SEGTASKS_SHARED)")
    with Image.open(path) as photo:
        rgb = np.moveaxis(np.asarray(photo.convert("RGB"), np.float32), -1, 0)
    rgb = rgb[:, 100 : 100 + side, 200 : 200 + side]
    greenness = np.clip(128 + rgb[1] - (rgb[0] + rgb[2]) / 2, 0, 255)[None]
    return scene_of(np.concatenate([rgb, greenness])[:bands].copy(), classes)


def drawing(side: int, classes: int = 6, bands: int = 3, seed: int = 7) -> Scene:
    """Fields of one colour with soft borders, shading and grain."""
    rng = np.random.default_rng(seed)
    seeds, colours = rng.uniform(0, side, (96, 2)), rng.uniform(80, 175, (bands, 96))
    row, col = np.mgrid[:side:2, :side:2]  # every second pixel: quick to draw
    field = np.argmin([(row - r) ** 2 + (col - c) ** 2 for r, c in seeds], axis=0)
    field = field.repeat(2, axis=0).repeat(2, axis=1)[:side, :side]
    image = colours[:, field] + rng.normal(0, 8, (bands, side, side))
    image += 24 * low_frequency(rng, side, 32)
    return scene_of(np.clip(np.rint(image), 0, 255).astype(np.float32), classes)


def scene_of(image8: Float32, classes: int) -> Scene:
    """Make the scene of an image: softmax of negative distances to colour classes, with noise."""
    rng = np.random.default_rng(0)
    side = image8.shape[1]
    coarse = np.stack([resized(band, -(-side // STRIDE)) for band in image8])
    distances = np.sqrt(squared_distances(coarse, means(coarse, classes, rng)))
    logits = np.stack([resized(plane, side) for plane in -distances / distances.std()])
    logits += np.stack([0.3 * low_frequency(rng, side, 24) for _ in range(classes)])
    return Scene(confident_softmax(logits), image8)


def confident_softmax(logits: Float32) -> Float32:
    """Compute a softmax, sharpened until its mean maximum is that of a good network."""
    probabilities = logits
    for sharpness in np.geomspace(1, 64, 25):
        odds = np.exp(sharpness * (logits - logits.max(axis=0)))
        probabilities = (odds / odds.sum(axis=0)).astype(np.float32)
        if probabilities.max(axis=0).mean() > CONFIDENCE:
            break
    return probabilities


def means(coarse: Float32, classes: int, rng: np.random.Generator) -> Float32:
    """Find class colours (K, C) by eight rounds of k-means over the pixels of (C, h, w)."""
    pixels = coarse.reshape(len(coarse), -1).T
    centres = pixels[rng.choice(len(pixels), classes, replace=False)]
    for _ in range(8):
        nearest = squared_distances(coarse, centres).argmin(axis=0).ravel()
        filled = [k for k in range(classes) if (nearest == k).any()]
        centres[filled] = [pixels[nearest == k].mean(axis=0) for k in filled]
    return centres


def squared_distances(image: Float32, centres: Float32) -> Float32:
    """Return distances (K, h, w) between an image (C, h, w) and colours (K, C)."""
    return np.stack([((image - centre[:, None, None]) ** 2).sum(axis=0) for centre in centres])


def low_frequency(rng: np.random.Generator, side: int, grain_px: int) -> Float32:
    """Smooth noise (side, side) of unit variance before smoothing."""
    coarse = rng.normal(size=(-(-side // grain_px),) * 2).astype(np.float32)
    return resized(coarse, side)


def resized(plane: Float32, side: int) -> Float32:
    """Resize a plane to (side, side), bilinearly."""
    image = Image.fromarray(plane.astype(np.float32))
    return np.asarray(image.resize((side, side), Image.Resampling.BILINEAR))


def tiled_labels(
    scene: Scene,
    core_px: int,
    halo_px: int,
    parameters: CrfParameters,
    period_px: int | None = None,
) -> Labels:
    """Refine the scene window by window, and return the labels of the cores.

    `period_px` is for tests of a wrong method: window origins are taken modulo it (1: each
    window is taken to be at the raster's corner).
    """
    labels = np.full((scene.side, scene.side), -1)
    for row, col in cores(scene.side, core_px):
        top, left = max(row - halo_px, 0), max(col - halo_px, 0)
        rows, cols = slice(top, row + core_px + halo_px), slice(left, col + core_px + halo_px)
        origin = (top, left) if period_px is None else (top % period_px, left % period_px)
        found = scene.window(rows, cols).refined(*origin, parameters).argmax(axis=0)
        inner = found[row - top :, col - left :][:core_px, :core_px]
        labels[row : row + core_px, col : col + core_px] = inner
    return labels


def cores(side: int, core_px: int) -> Iterator[tuple[int, int]]:
    """Upper left corners of the cores of a square raster."""
    for row in range(0, side, core_px):
        for col in range(0, side, core_px):
            yield row, col


def percent_different(some: Labels, others: Labels) -> float:
    """Return the percentage of pixels with another label."""
    return 100 * float((some != others).mean())
