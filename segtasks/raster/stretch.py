"""Contrast stretch: map raw values to the brightness of a picture, alike in the whole raster.

A stretch per tile would leave seams. A network trained on 8-bit pictures expects their brightness,
and the CRF's bi_rgb_std is in 8-bit grey values. With uint16 divided by 257, the CRF gives the same
labels at the same std. With raw uint16 at std 13 no two colours are similar; with floats of 0..1
all are similar, and nearly so with 12 bits taken for 16. Then 6-7 % of the labels are wrong, and
there is no error.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from segtasks.errors import JobError

MAX_8BIT, MAX_16BIT = 255.0, 65535.0
FULL_RANGE = {"uint8": MAX_8BIT, "uint16": MAX_16BIT}
"""The largest value of a picture by its dtype; pictures of floats end at 1."""


@dataclass(frozen=True)
class Stretch:
    """A linear stretch with clipping, followed by v^(1/gamma).

    Attributes:
        low: the raw value that becomes 0, per band or one for all bands.
        high: the raw value that becomes the maximum, per band or one for all bands.
        gamma: 1 for values that are already display values; 2.2 for values proportional to light.

    Raises:
        JobError: a range is not finite or ``high`` is not above ``low``.
    """

    low: tuple[float, ...]
    high: tuple[float, ...]
    gamma: float = 1.0

    def __post_init__(self) -> None:
        for low, high in zip(self.low, self.high, strict=True):
            if not (math.isfinite(low) and math.isfinite(high) and low < high):
                raise JobError(
                    f"stretch {low:g},{high:g}: both values must be finite and the first below the "
                    "second, e.g. 0,65535"
                )

    def __call__(self, image: npt.NDArray[Any], full: float) -> npt.NDArray[np.float32]:
        """Stretch an image (C, H, W) of any dtype to float32 of 0..``full``; NaN stays NaN."""
        low = np.array(self.low, np.float32)[:, None, None]
        factor = (full / np.subtract(self.high, self.low)).astype(np.float32)
        values = image.astype(np.float32)
        values -= low
        values *= factor[:, None, None]
        np.clip(values, 0, full, out=values)
        if self.gamma != 1:
            values /= np.float32(full)
            np.power(values, np.float32(1 / self.gamma), out=values)
            values *= np.float32(full)
        return values

    def __str__(self) -> str:
        bands = zip(self.low, self.high, strict=True)
        ranges = ", ".join(f"{low:g}..{high:g}" for low, high in bands)
        return ranges if self.gamma == 1 else f"{ranges}, gamma {self.gamma:g}"


PICTURE = Stretch((0.0,), (MAX_8BIT,))
"""The stretch of 8-bit pictures, which leaves values as they are."""
