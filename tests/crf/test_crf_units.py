"""The CRF gives the same labels for a picture in 16 bits, in floats or in linear light."""

import numpy as np
import pytest
from numpy.typing import NDArray

from segtasks.crf import preset
from segtasks.raster.stretch import MAX_8BIT, Stretch
from tests.helpers.crf_scenes import Scene, drawing, percent_different

SCENE = drawing(128)


def of_all(low: float, high: float) -> Stretch:
    return Stretch((low,), (high,))


@pytest.mark.parametrize(
    ("image", "stretch"),
    [
        (SCENE.image8.astype(np.uint8), of_all(0, 255)),
        (SCENE.image8.astype(np.uint16) * 257, of_all(0, 65535)),
        ((SCENE.image8 * 16).astype(np.uint16), of_all(0, 4080)),
        (SCENE.image8 / np.float32(255), of_all(0, 1)),
        (SCENE.image8.astype(np.float64) * 3 - 1000, of_all(-1000, -235)),
        ((SCENE.image8 / 255.0) ** 2.2 * 9000, Stretch((0,), (9000,), 2.2)),
    ],
    ids=["uint8", "uint16", "12 bits", "float 0..1", "float64", "light"],
)
def test_every_unit_gives_the_same_labels(image: NDArray[np.generic], stretch: Stretch) -> None:
    scaled = stretch(image, MAX_8BIT)
    np.testing.assert_allclose(scaled, SCENE.image8, atol=1e-3)
    found = Scene(SCENE.probabilities, scaled).labels(preset("aerial"))
    assert percent_different(found, SCENE.labels(preset("aerial"))) <= 0.01


@pytest.mark.parametrize(
    ("image", "stretch"),
    [
        # 12 bits taken for 16; floats taken for bytes; light taken for a picture
        ((SCENE.image8 * 16).astype(np.uint16), of_all(0, 65535)),
        (SCENE.image8 / np.float32(255), of_all(0, 255)),
        ((SCENE.image8 / 255.0) ** 2.2, of_all(0, 1)),
    ],
)
def test_a_wrong_unit_is_another_result(image: NDArray[np.generic], stretch: Stretch) -> None:
    found = Scene(SCENE.probabilities, stretch(image, MAX_8BIT)).labels(preset("aerial"))
    assert percent_different(found, SCENE.labels(preset("aerial"))) > 1
