"""Bands in another order: by their names the mask is that of the raster in the model's order."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import rasterio
from rasterio.enums import ColorInterp

from segtasks.config.job import make_job
from segtasks.errors import SourceError
from segtasks.pipeline.run import Result, segment
from segtasks.raster.band_names import band_names_of, names_contradict
from segtasks.storage import raster_reader
from tests.helpers import job_runs

PX = 300
BGRN = (2, 1, 0, 1)
"""Places in red, green, blue: what satellites deliver, its infrared a copy of green."""
BLUE_FIRST = (ColorInterp.blue, ColorInterp.green, ColorInterp.red, ColorInterp.undefined)
BLANK = (ColorInterp.gray, *[ColorInterp.undefined] * 3)


@pytest.fixture
def colours(tmp_path: Path) -> npt.NDArray[np.uint8]:
    """(3, H, W): red, green, blue."""
    with rasterio.open(job_runs.write_photo(tmp_path / "rgb.tif", PX, PX)) as dataset:
        return dataset.read()  # type: ignore[no-any-return]


def write(
    path: Path,
    image: npt.NDArray[np.uint8],
    interps: Sequence[ColorInterp] = BLANK,
    descriptions: Sequence[str] = (),
) -> str:
    count, height, width = image.shape
    profile = {"driver": "GTiff", "dtype": "uint8", "photometric": "MINISBLACK"}
    shape = {"count": count, "height": height, "width": width, "crs": "EPSG:32637"}
    with rasterio.open(path, "w", **profile, **shape, nodata=0) as dataset:
        dataset.colorinterp = interps[:count]
        dataset.write(image)
        for band, description in enumerate(descriptions, 1):
            dataset.set_band_description(band, description)
    return str(path)


def run(source: str, out: Path, **settings: Any) -> Result:  # noqa: ANN401 - settings
    model = out.parent / "m.safetensors"
    if not model.exists():
        job_runs.write_network(model, "fcn8s_lean", width=0.05)
    paths = {"source": source, "to": str(out), "model": str(model)}
    return segment(make_job({**paths, "crf": None, "compute": {"kind": "inline"}, **settings}))


@pytest.mark.parametrize(
    ("interps", "descriptions"),
    [
        pytest.param(BLUE_FIRST, (), id="by colour"),
        pytest.param(BLANK, ("Blue", "green", "RED", "NIR"), id="by description"),
        pytest.param(BLUE_FIRST, ("B2, 490 nm", "B3", "B4", "B8"), id="description says nothing"),
        pytest.param(
            (ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.undefined),
            ("b", "g", "r", "near infrared"),
            id="description against a driver's guess",
        ),
    ],
)
def test_bands_are_found_by_their_names(
    interps: tuple[ColorInterp, ...],
    descriptions: tuple[str, ...],
    colours: npt.NDArray[np.uint8],
    tmp_path: Path,
) -> None:
    source = write(tmp_path / "bgrn.tif", colours[list(BGRN)], interps, descriptions)
    run(source, tmp_path / "named")
    run(str(tmp_path / "rgb.tif"), tmp_path / "expected")
    run(source, tmp_path / "first", bands=[1, 2, 3])
    expected = job_runs.read_mask(tmp_path / "expected")
    np.testing.assert_array_equal(job_runs.read_mask(tmp_path / "named"), expected)
    assert (job_runs.read_mask(tmp_path / "first") != expected).any()  # the order matters


def test_other_light_than_the_models_is_refused_but_for_bands_chosen(
    colours: npt.NDArray[np.uint8], tmp_path: Path
) -> None:
    source = write(tmp_path / "cir.tif", colours, descriptions=("nir", "red", "green"))
    with pytest.raises(
        SourceError, match=r"1 nir, 2 red, 3 green, the model needs red, green, blue; .*--bands"
    ):
        run(source, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert run(source, tmp_path / "out", bands=[1, 2, 3]).status == "done"


def test_more_bands_than_the_models_without_names_are_told(
    colours: npt.NDArray[np.uint8], tmp_path: Path
) -> None:
    source = write(tmp_path / "four.tif", colours[[0, 1, 2, 1]])
    (warning,) = (text for text in run(source, tmp_path / "out").warnings if "bands" in text)
    assert (
        "4 bands, not named as the model's are; 1, 2, 3 are taken for red, green, blue" in warning
    )
    chosen = run(source, tmp_path / "chosen", bands=[1, 2, 3])
    assert not [text for text in chosen.warnings if "bands" in text]


@pytest.mark.parametrize(
    ("descriptions", "expected"),
    [
        (("", "", "", ""), ("band 1", "band 2", "band 3", "band 4")),
        (("red", "green", "blue", ""), ("red", "green", "blue", "band 4")),
        (("blue", "green", "red", "ndsm"), ("blue", "green", "red", "ndsm")),
        (("height", "height", "red", ""), ("band 1", "band 2", "band 3", "band 4")),
    ],
)
def test_a_trained_model_calls_its_bands_as_the_file_does(
    descriptions: tuple[str, ...],
    expected: tuple[str, ...],
    colours: npt.NDArray[np.uint8],
    tmp_path: Path,
) -> None:
    source = write(tmp_path / "x.tif", colours[[0, 1, 2, 1]], descriptions=descriptions)
    raster = raster_reader.describe(source)
    assert band_names_of(raster, raster.bands) == expected


def test_three_bands_without_names_are_red_green_blue(
    colours: npt.NDArray[np.uint8], tmp_path: Path
) -> None:
    raster = raster_reader.describe(write(tmp_path / "x.tif", colours))
    assert band_names_of(raster, raster.bands) == ("red", "green", "blue")


def test_orders_contradict_where_both_name_another_colour() -> None:
    assert names_contradict(("Red", "g", "blue"), ("nir", "red", "green"))
    assert not names_contradict(("R", "Near-Infrared", "band 3"), ("red", "nir", "blue"))
