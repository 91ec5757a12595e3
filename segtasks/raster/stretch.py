"""Raw values as values of a picture: one stretch for a whole raster, since one per tile is a seam.

A network trained on pictures of 8 bits knows their brightness, and the CRF's bi_rgb_std is in
8-bit grey values. uint16 divided by 257 with the same std is the same CRF, to the label; raw
uint16 at std 13 sees no two colours alike, floats of 0..1 see all alike, 12 bits taken for 16
nearly so: 6-7 % of labels are wrong then, without an error.
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
    """Raw values that become 0 and the full range, between which values rise as v^(1/gamma).

    Attributes:
        low, high: of each band, or one of all.
        gamma: 1 for values as they are shown; 2.2 for those proportional to light.

    Raises:
        JobError: a range is not finite or does not rise.
    """

    low: tuple[float, ...]
    high: tuple[float, ...]
    gamma: float = 1.0

    def __post_init__(self) -> None:
        for low, high in zip(self.low, self.high, strict=True):
            if not (math.isfinite(low) and math.isfinite(high) and low < high):
                raise JobError(f"stretch {low:g},{high:g}: must be finite and rise; e.g. 0,65535")

    def __call__(self, image: npt.NDArray[Any], full: float) -> npt.NDArray[np.float32]:
        """The image (C, H, W), of any dtype, as float32 of 0..full; NaN stays NaN."""
        low = np.array(self.low, np.float32)[:, None, None]
        factor = (full / np.subtract(self.high, self.low)).astype(np.float32)
        values = image.astype(np.float32)
        values -= low
        values *= factor[:, None, None]
        np.clip(values, 0, full, out=values)
        return values if self.gamma == 1 else self._brightened(values, np.float32(full))

    def _brightened(
        self, values: npt.NDArray[np.float32], full: np.float32
    ) -> npt.NDArray[np.float32]:
        values /= full
        np.power(values, np.float32(1 / self.gamma), out=values)
        values *= full
        return values

    def __str__(self) -> str:
        bands = zip(self.low, self.high, strict=True)
        ranges = ", ".join(f"{low:g}..{high:g}" for low, high in bands)
        return ranges if self.gamma == 1 else f"{ranges}, gamma {self.gamma:g}"


PICTURE = Stretch((0.0,), (MAX_8BIT,))
"""Eight-bit colours are what they are."""
