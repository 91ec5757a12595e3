"""The unit of colours: 0..255, whatever the source's depth.

bi_rgb_std is in 8-bit grey values. uint16 divided by 257 with the same std is the same CRF, to the
label; raw uint16 at std 13 sees no two colours alike, floats of 0..1 see all alike, 12 bits taken
for 16 nearly so: 6-7 % of labels are wrong then, without an error. So a raster says once which raw
values become 0 and 255, the same for all bands and windows: a range per window would be a seam.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segtasks.crf.backends.kernel import Float32
from segtasks.errors import CrfError

MAX_8BIT = 255


def in_8bit_units(image: NDArray[Any], colour_range: tuple[float, float]) -> Float32:
    """The image (C, H, W), of any dtype, float32 with LOW at 0 and HIGH at 255, clipped to them.

    NaN stays NaN: such pixels must be invalid.

    Raises:
        CrfError: the range is not finite or does not rise.
    """
    low, high = colour_range
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise CrfError(f"colour range {low:g}, {high:g}: must be finite and rise; e.g. 0, 65535")
    scaled = (image.astype(np.float32) - np.float32(low)) * np.float32(MAX_8BIT / (high - low))
    return np.asarray(np.clip(scaled, 0, MAX_8BIT))
