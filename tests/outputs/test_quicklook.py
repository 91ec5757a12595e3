"""The quicklook: what lies where, in which colours."""

import io

import numpy as np
from PIL import Image

from segtasks.outputs.quicklook import GAP_PX, PAPER, draw

COLORMAP = {0: (0, 0, 0, 255), 1: (230, 25, 75, 255), 255: (0, 0, 0, 0)}


def test_a_mask_shows_its_colours_and_nodata_unlike_a_black_class() -> None:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (4, 5, 7), np.uint8)
    mask, labels = rng.choice(np.array([0, 1, 255], np.uint8), (2, 5, 7))
    with Image.open(io.BytesIO(draw(image, mask, COLORMAP, labels))) as picture:
        found = np.asarray(picture)
    assert found.shape == (5, 3 * 7 + 2 * GAP_PX, 3)
    step = 7 + GAP_PX
    np.testing.assert_array_equal(found[:, :7], np.moveaxis(image[:3], 0, -1))
    for index, each in enumerate((mask, labels), start=1):
        panel = found[:, index * step : index * step + 7]
        for value, colour in {0: (0, 0, 0), 1: (230, 25, 75), 255: (PAPER,) * 3}.items():
            assert (panel[each == value] == colour).all()
    assert (found[:, 7:step] == PAPER).all()
