"""Reports of odd rasters: one pixel, other depths, palettes, no place on earth."""

import base64
import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from segtasks.config.job import make_job
from segtasks.pipeline.run import segment
from tests.helpers import rasters
from tests.helpers.rasters import Odd

ODD: dict[str, Callable[[Path], Odd]] = {
    "1x1": lambda folder: rasters.plain(folder, shape=(1, 1)),
    "1x300": lambda folder: rasters.plain(folder, shape=(1, 300)),
    "nowhere": lambda folder: rasters.plain(folder, placed=False),
} | {
    name: rasters.GOOD[name]
    for name in ("nodata-0", "all-nodata", "nodata-of-float32", "palette", "nan-and-nodata")
}


@pytest.mark.parametrize("name", ODD)
def test_every_raster_has_a_report(
    name: str, tmp_path: Path, identity_model: str, identity_model_of_3: str
) -> None:
    odd = ODD[name](tmp_path)
    values: dict[str, Any] = {
        "source": odd.source,
        "to": str(tmp_path / "out"),
        "model": identity_model_of_3 if odd.bands == 3 else identity_model,
        "crf": None,
        "tiling": {"tile_px": 64, "patch_px": 64, "overlap_px": 0},
        "compute": {"kind": "inline"},
    }
    segment(make_job({**values, **odd.job}))
    html = (tmp_path / "out" / "report.html").read_text()
    image, mask = (decoded(each) for each in re.findall(r'base64,([^"]+)', html)[:2])
    assert image.size == mask.size == odd.nodata.shape[::-1]
    np.testing.assert_array_equal(np.asarray(mask.convert("RGBA"))[..., 3] == 0, odd.nodata)
    share = re.search(r"nodata</td><td>([\d.]+) %", html)
    assert share
    assert float(share[1]) == pytest.approx(100 * odd.nodata.mean(), abs=0.06)
    assert ("areas are not known" in html) == (name == "nowhere")
    assert ("nothing to compare" in html) == (name in {"1x1", "all-nodata"})


def decoded(text: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(text)))
