"""The whole route on a hundred odd rasters; rasterio and rio-cogeo say what the mask must be."""

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio.errors import NotGeoreferencedWarning
from rasters import BAD, GOOD, Labels, Odd
from rio_cogeo.cogeo import cog_validate

from flows.route import Result, segment
from segtasks.errors import SegtasksError
from segtasks.job import make_job

ODDITIES = Path(__file__).parents[2] / "shared" / "data" / "oddities"
TILING = {"tile_px": 64, "patch_px": 64, "overlap_px": 0}


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        yield


def run(source: str, to: Path | str, model: str, **settings: Any) -> Result:  # noqa: ANN401
    values: dict[str, Any] = {
        "source": source,
        "to": str(to),
        "model": model,
        "crf": None,
        "tiling": TILING,
        "outputs": {"quicklook": False},
        "compute": {"kind": "inline"},
    }
    return segment(make_job(values | settings))


def read_mask(path: Path | str) -> Labels:
    with rasterio.open(path) as dataset:
        mask: Labels = dataset.read(1)
    return mask


def assert_same_place(source: str, mask: Path) -> None:
    with rasterio.open(source) as theirs, rasterio.open(mask) as ours:
        assert ours.shape == theirs.shape
        assert ours.dtypes == ("uint8",)
        assert ours.nodata == 255
        assert ours.crs == theirs.crs
        assert ours.transform == theirs.transform
        places = [[(p.row, p.col, p.x, p.y, p.z) for p in each.gcps[0]] for each in (ours, theirs)]
        assert places[0] == places[1]
        assert not places[0] or ours.gcps[1] == theirs.gcps[1]
        assert ours.rpcs == theirs.rpcs


def assert_cog(mask: Path) -> None:
    is_valid, errors, _ = cog_validate(mask, quiet=True)
    assert is_valid, errors


def labels_of(odd: Odd) -> Labels:
    """What was put in; of a lossy file, what rasterio reads from it."""
    if odd.labels is not None:
        return odd.labels
    with rasterio.open(odd.source) as dataset:
        return np.asarray(np.clip(dataset.read(odd.bands), 0, 5), np.uint8)


@pytest.mark.parametrize("name", GOOD)
def test_mask_of_an_odd_raster_is_its_values_and_nodata_where_it_has_none(
    name: str, tmp_path: Path, identity_model: str, identity_model_of_3: str
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    odd = GOOD[name](folder)
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    model = identity_model_of_3 if odd.bands == 3 else identity_model
    run(odd.source, tmp_path / "out", model, **odd.job)
    mask = tmp_path / "out/mask.tif"
    np.testing.assert_array_equal(
        read_mask(mask), np.where(odd.nodata, 255, labels_of(odd)).astype(np.uint8)
    )
    assert_same_place(odd.source, mask)
    assert_cog(mask)
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mask.tif"]


@pytest.mark.parametrize("name", BAD)
def test_bad_raster_is_refused_in_one_line_that_names_it_and_the_mend(
    name: str, tmp_path: Path, identity_model: str
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    bad = BAD[name](folder)
    with pytest.raises(SegtasksError, match=bad.message) as caught:
        run(bad.source, tmp_path / "out", identity_model, **bad.job)
    text = str(caught.value)
    assert "\n" not in text
    assert bad.source in text
    assert not (tmp_path / "out/mask.tif").exists()
