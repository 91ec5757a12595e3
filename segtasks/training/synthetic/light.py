"""Turn painted surfaces into a photograph: shadows, uneven light, lens blur, sensor noise."""

import numpy as np

from segtasks.training.synthetic.noise import Bools, Bytes, Floats, Ints, hashed
from segtasks.training.synthetic.world import World

REACH_PX = 24
"""Length of the longest shadow."""
LENS_PX = 1
MARGIN_PX = REACH_PX + LENS_PX
"""Margin that a window needs: the longest shadow and the blur of the lens."""
SHADE = (0.42, 0.47, 0.56)
"""Proportion of the light in a shadow, per band; the sky makes it bluish."""
AIRLIGHT = (7, 10, 17)
"""Grey levels added by the air, per band."""


def shadows(heights: Floats, sun: tuple[float, float]) -> Bools:
    """Return the pixels at which a higher object hides the sun.

    Args:
        heights: (H, W) height above ground, as the length of its shadow in pixels.
        sun: unit step (row, col) towards the sun.

    Returns:
        (H - 2 REACH_PX, W - 2 REACH_PX).
    """
    height, width = heights.shape[0] - 2 * REACH_PX, heights.shape[1] - 2 * REACH_PX
    level = (heights * 4).astype(np.int16)  # quarter pixels: int16 compares four times as fast
    own = level[REACH_PX : REACH_PX + height, REACH_PX : REACH_PX + width]
    shaded = np.zeros(own.shape, np.bool_)
    for step in range(1, REACH_PX + 1, 2):
        row, col = REACH_PX + round(step * sun[0]), REACH_PX + round(step * sun[1])
        shaded |= level[row : row + height, col : col + width] > own + np.int16(4 * step)
    return shaded


def develop(world: World, surface: Floats, shaded: Bools, rows: Ints, cols: Ints) -> Bytes:
    """Return the photograph of a painted surface.

    Args:
        world: the world; its seed sets exposure and tint.
        surface: (3, H, W) colours in full sun, grey levels 0 … 255.
        shaded: (H, W) where the sun does not reach.
        rows: (H,) world pixel rows of the surface.
        cols: (W,) likewise.

    Returns:
        uint8 (3, H - 2 LENS_PX, W - 2 LENS_PX).
    """
    light = 0.86 + 0.28 * world.grid(101, rows, cols, 360)
    gain = 0.85 + 0.3 * world.points(102, np.arange(4) * 7, np.zeros(4, np.int64), 7)
    grain = _grain(world.seed, rows[LENS_PX:-LENS_PX], cols[LENS_PX:-LENS_PX])
    bands = []
    for band in range(3):
        lit = surface[band] * light * np.where(shaded, np.float32(SHADE[band]), np.float32(1))
        tint = np.float32(gain[3] * (0.8 + 0.2 * gain[band]))
        bands.append(_lens(lit) * tint + (grain[band] + np.float32(AIRLIGHT[band])))
    image: Bytes = np.clip(np.stack(bands), 0, 255).astype(np.uint8)
    return image


def _lens(band: Floats) -> Floats:
    """Blur by 1 2 1 along both axes, which removes one pixel on every side."""
    down = band[:-2] + band[2:] + 2 * band[1:-1]
    blurred: Floats = (down[:, :-2] + down[:, 2:] + 2 * down[:, 1:-1]) * np.float32(1 / 16)
    return blurred


def _grain(seed: int, rows: Ints, cols: Ints) -> Floats:
    """Return sensor noise (3, H, W), within ±8 grey levels, bytes of one hash per pixel."""
    bits = hashed(seed, 103, rows[:, None], cols[None, :])
    spread = np.float32(16 / 255)
    grains = [((bits >> np.uint32(8 * band)) & np.uint32(255)) * spread - 8 for band in range(3)]
    return np.stack(grains).astype(np.float32)
