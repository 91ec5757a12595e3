"""The picture of benchmarks/fields.py: where the gradients of a point lie, one panel per network.

dark 1e-6 of the brightest ... bright;  inner square 90 %, outer square 99 % of the energy
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

BIN_PX = 4
COLUMNS = 4
GAP_PX, TITLE_PX = 6, 14
DECADES = 6
COLOURS = np.array([(0, 0, 30), (90, 20, 110), (200, 60, 70), (250, 180, 50), (255, 255, 220)])
"""From the least to the most energy."""


class Panel(NamedTuple):
    """A network's gradient energy (H, W) and the half-widths of its squares, px."""

    name: str
    energy: NDArray[np.float64]
    inner_px: int
    outer_px: int


def draw(panels: list[Panel], path: Path) -> None:
    """Write a PNG of a few colours."""
    tiles = [_panel(panel) for panel in panels]
    width, height = tiles[0].size
    rows = -(-len(tiles) // COLUMNS)
    size = (COLUMNS * (width + GAP_PX) - GAP_PX, rows * (height + GAP_PX) - GAP_PX)
    sheet = Image.new("RGB", size, "white")
    for index, tile in enumerate(tiles):
        row, col = divmod(index, COLUMNS)
        sheet.paste(tile, (col * (width + GAP_PX), row * (height + GAP_PX)))
    sheet.quantize(64).save(path, optimize=True)


def _panel(panel: Panel) -> Image.Image:
    """One network: its name, the map and both squares."""
    binned = _binned(panel.energy)
    shade = np.log10(np.maximum(binned / binned.max(), 10.0**-DECADES)) / DECADES + 1
    picture = Image.fromarray(_coloured(shade))
    pen = ImageDraw.Draw(picture)
    middle = binned.shape[0] / 2
    for half in (panel.inner_px, panel.outer_px):
        low, high = middle - half / BIN_PX, min(middle + half / BIN_PX, binned.shape[0] - 1)
        pen.rectangle((low, low, high, high), outline="white")
    whole = Image.new("RGB", (picture.width, picture.height + TITLE_PX), "white")
    ImageDraw.Draw(whole).text((2, 1), panel.name, fill="black")
    whole.paste(picture, (0, TITLE_PX))
    return whole


def _binned(energy: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sums over squares of `BIN_PX`."""
    height, width = (size // BIN_PX for size in energy.shape)
    whole = energy[: height * BIN_PX, : width * BIN_PX]
    sums: NDArray[np.float64] = whole.reshape(height, BIN_PX, width, BIN_PX).sum(axis=(1, 3))
    return sums


def _coloured(shade: NDArray[np.float64]) -> NDArray[np.uint8]:
    """0 ... 1 (h, w) -> (h, w, 3)."""
    stops = np.linspace(0, 1, len(COLOURS))
    bands = [np.interp(shade, stops, COLOURS[:, band]) for band in range(3)]
    return np.stack(bands, axis=-1).astype(np.uint8)
