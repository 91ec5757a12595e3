"""Colours in 8-bit units: the same picture in 16 bits or in floats gives the same CRF."""

import numpy as np
import pytest
from crf_scenes import Scene, drawing, percent_different
from numpy.typing import NDArray

from segtasks.crf import preset
from segtasks.crf.units import in_8bit_units
from segtasks.errors import CrfError

SCENE = drawing(128)
Range = tuple[float, float]


@pytest.mark.parametrize(
    ("image", "colour_range"),
    [
        (SCENE.image8.astype(np.uint8), (0, 255)),
        (SCENE.image8.astype(np.uint16) * 257, (0, 65535)),
        ((SCENE.image8 * 16).astype(np.uint16), (0, 4080)),
        (SCENE.image8 / np.float32(255), (0, 1)),
        (SCENE.image8.astype(np.float64) * 3 - 1000, (-1000, -235)),
    ],
    ids=["uint8", "uint16", "12 bits", "float 0..1", "float64"],
)
def test_every_depth_gives_the_same_labels(image: NDArray[np.generic], colour_range: Range) -> None:
    scaled = in_8bit_units(image, colour_range)
    np.testing.assert_allclose(scaled, SCENE.image8, atol=1e-3)
    found = Scene(SCENE.probabilities, scaled).labels(preset("aerial"))
    assert percent_different(found, SCENE.labels(preset("aerial"))) <= 0.01


@pytest.mark.parametrize(
    ("image", "colour_range"),
    [
        # 12 bits taken for 16; floats taken for bytes
        ((SCENE.image8 * 16).astype(np.uint16), (0, 65535)),
        (SCENE.image8 / np.float32(255), (0, 255)),
    ],
)
def test_a_wrong_range_is_another_result(image: NDArray[np.generic], colour_range: Range) -> None:
    found = Scene(SCENE.probabilities, in_8bit_units(image, colour_range)).labels(preset("aerial"))
    assert percent_different(found, SCENE.labels(preset("aerial"))) > 1


def test_values_beyond_the_range_are_clipped_to_it() -> None:
    image = np.array([[[-5, 0, 50, 100, 900]]], np.int16)
    assert in_8bit_units(image, (0, 100)).tolist() == [[[0, 0, 127.5, 255, 255]]]


@pytest.mark.parametrize("bad", [(1, 1), (2, 1), (0, np.inf), (np.nan, 1)])
def test_a_range_that_does_not_rise_is_refused(bad: Range) -> None:
    with pytest.raises(CrfError, match="must be finite and rise"):
        in_8bit_units(SCENE.image8, bad)
