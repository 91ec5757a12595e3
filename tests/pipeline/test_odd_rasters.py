"""The whole route on a hundred odd rasters; rasterio and rio-cogeo say what the mask must be."""

import shutil
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio.errors import NotGeoreferencedWarning
from rio_cogeo.cogeo import cog_validate

from segtasks.config.job import make_job
from segtasks.errors import DestinationError, JobError, SegtasksError, StorageError
from segtasks.pipeline.run import Result, segment
from tests.helpers.paths import SHARED
from tests.helpers.rasters import (
    BAD,
    GOOD,
    Bools,
    Labels,
    Odd,
    alpha,
    masked,
    pattern,
    plain,
    write,
)

ODDITIES = SHARED / "data" / "oddities"
TILING = {"tile_px": 64, "patch_px": 64, "overlap_px": 0}


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        yield


RESULTS = {"mask.tif", "mask.tif.aux.xml", "mask.qml", "confidence.tif", "item.json"}


def run(source: str, to: Path | str, model: str, **settings: Any) -> Result:  # noqa: ANN401
    values: dict[str, Any] = {
        "source": source,
        "to": str(to),
        "model": model,
        "crf": None,
        "tiling": TILING,
        "outputs": {"quicklook": False, "report": False},
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
    assert {path.name for path in (tmp_path / "out").iterdir()} == RESULTS
    sure = read_mask(tmp_path / "out/confidence.tif")
    np.testing.assert_array_equal(sure == 255, odd.nodata | np.zeros_like(sure, bool))
    assert_same_place(odd.source, tmp_path / "out/confidence.tif")


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


@pytest.mark.parametrize("stitch", ["crop", "blend"])
@pytest.mark.parametrize("shape", [(1, 1), (20, 20), (32, 32), (40, 40), (65, 64), (130, 300)])
def test_no_ring_no_lost_rim_at_any_size_against_the_patch(
    shape: tuple[int, int], stitch: str, tmp_path: Path, identity_model: str
) -> None:
    """Others lose rasters below half a patch, or a rim where all weights are zero."""
    odd = plain(tmp_path, shape=shape)
    tiling = {"tile_px": 64, "patch_px": 64, "overlap_px": 32, "stitch": stitch}
    run(odd.source, tmp_path / "out", identity_model, tiling=tiling)
    np.testing.assert_array_equal(read_mask(tmp_path / "out/mask.tif"), odd.labels)


SHARED_RASTERS = (
    "data/m_4709963_se_14_1_20140720.tif",
    "rasterio/RGB.byte.tif",
    "rasterio/RGB2.byte.tif",
    "rasterio/RGBA.uint16.tif",
    "rasterio/alpha.tif",
    "rasterio/cogeo.tif",
    "rasterio/rgb_lzw.tif",
    "rasterio/rotated.tif",
    "rio-cogeo/image_colormap.tif",
    "rio-cogeo/image_nan.tif",
    "rio-tiler/cog_gcps.tif",
    "rio-tiler/cog_nodata_nan.tif",
    "rio-tiler/cog_rgb_mask.tif",
    "rio-tiler/mosaic_cog1.tif",
)


@pytest.mark.shared
@pytest.mark.parametrize("name", SHARED_RASTERS)
def test_mask_of_a_real_odd_raster_is_what_rasterio_reads(
    name: str, tmp_path: Path, identity_model: str
) -> None:
    source = ODDITIES / name
    if not source.exists():
        pytest.skip(f"{source} is not there")
    run(
        str(source),
        tmp_path / "out",
        identity_model,
        stretch=(0, 255),
        tiling={"tile_px": 512, "patch_px": 512, "overlap_px": 0},
    )
    mask = tmp_path / "out/mask.tif"
    values, valid = read_by_rasterio(source)
    expected = np.clip(np.ceil(values - 0.5), 0, 5)  # of two equally near values the smaller
    np.testing.assert_array_equal(read_mask(mask), np.where(valid, expected, 255).astype(np.uint8))
    assert_same_place(str(source), mask)
    assert_cog(mask)


def read_by_rasterio(source: Path) -> tuple[np.ndarray[Any, np.dtype[np.float64]], Bools]:
    """First band (of a palette its red) and where it is data."""
    with rasterio.open(source) as dataset:
        values, valid = dataset.read(1), dataset.dataset_mask() > 0
        if dataset.colorinterp[0] == rasterio.enums.ColorInterp.palette:
            values = np.array([dataset.colormap(1)[index][0] for index in range(256)])[values]
    finite = np.isfinite(values)
    return np.where(finite, values, 0).astype(np.float64), valid & finite


WITH_CRF: dict[str, Callable[[Path], Odd]] = {
    "rgb-uint16-alpha": lambda folder: alpha(folder, bands=3, dtype="uint16", photometric="rgb"),
    "float32-nan": lambda folder: plain(
        folder, bands=5, dtype="float32", hidden_as=np.nan, nodata=np.nan
    ),
    "masked": lambda folder: masked(folder, internal=True),
    "1x1": lambda folder: plain(folder, shape=(1, 1)),
    "int16-13-bands": lambda folder: plain(
        folder, bands=13, dtype="int16", hidden_as=-9999, nodata=-9999, used=3
    ),
}


@pytest.mark.parametrize("name", WITH_CRF)
def test_crf_keeps_nodata_to_the_pixel_and_weak_kernels_keep_the_labels(
    name: str, tmp_path: Path, identity_model: str, identity_model_of_3: str
) -> None:
    odd = WITH_CRF[name](tmp_path)
    crf = {"window_px": 64, "iterations": 2, "pos_w": 1e-3, "bi_w": 1e-3, "bi_xy_std": 5}
    model = identity_model_of_3 if odd.bands == 3 else identity_model
    run(odd.source, tmp_path / "out", model, crf=crf, **odd.job)
    mask = tmp_path / "out/mask.tif"
    np.testing.assert_array_equal(
        read_mask(mask), np.where(odd.nodata, 255, labels_of(odd)).astype(np.uint8)
    )
    assert_same_place(odd.source, mask)


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize(
    "name", ["mask.tif", "confidence.tif", "quicklook.png", "report.html", "polygons.parquet"]
)
def test_source_is_never_overwritten_even_through_links(
    name: str, tmp_path: Path, identity_model: str, *, overwrite: bool
) -> None:
    odd = plain(tmp_path, name="a.tif")
    before = Path(odd.source).read_bytes()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / name).symlink_to(odd.source)
    (tmp_path / "same").symlink_to("out")
    for source in (odd.source, str(tmp_path / "same" / name)):
        with pytest.raises(DestinationError, match=f"{name}: is the source itself"):
            run(source, tmp_path / "out", identity_model, overwrite=overwrite)
    assert Path(odd.source).read_bytes() == before


def test_masks_may_lie_in_the_folder_of_the_source(tmp_path: Path, identity_model: str) -> None:
    odd = plain(tmp_path, name="a.tif")
    run(odd.source, tmp_path, identity_model)
    assert {path.name for path in tmp_path.iterdir()} == {"a.tif", *RESULTS}


@pytest.mark.parametrize("to", ["/proc/segtasks", "/proc/version", "/proc/version/below"])
def test_unwritable_folder_is_refused_before_any_work(
    to: str, tmp_path: Path, identity_model: str
) -> None:
    odd = plain(tmp_path)
    with pytest.raises(DestinationError, match=f"{to}: cannot be written .*; choose a folder"):
        run(odd.source, to, identity_model)


def test_empty_names_are_refused(tmp_path: Path, identity_model: str) -> None:
    odd = plain(tmp_path)
    good = {"source": odd.source, "to": str(tmp_path), "model": identity_model}
    for key in good:
        with pytest.raises(JobError, match=f"{key}: .*at least 1 character"):
            run(**(good | {key: ""}))


@pytest.mark.parametrize("folder", ["a b", "[x] *?#%20&", "Größe 航空", "c'\";$(d)"])
def test_results_go_to_folders_of_any_name(
    folder: str, tmp_path: Path, identity_model: str
) -> None:
    odd = plain(tmp_path)
    to = tmp_path / folder
    run(odd.source, to, identity_model, outputs={"report": False})
    np.testing.assert_array_equal(read_mask(to / "mask.tif"), odd.labels)
    assert {path.name for path in to.iterdir()} == {*RESULTS, "quicklook.png"}


def test_mask_comes_last_so_that_nothing_is_missing_beside_it(
    tmp_path: Path, identity_model: str
) -> None:
    odd = plain(tmp_path)
    to = tmp_path / "out"
    (to / "quicklook.png" / "in the way").mkdir(parents=True)
    with pytest.raises(StorageError, match=r"quicklook\.png: cannot be used"):
        run(odd.source, to, identity_model, outputs={"report": False})
    assert not (to / "mask.tif").exists()
    shutil.rmtree(to / "quicklook.png")
    result = run(odd.source, to, identity_model, outputs={"report": False})
    assert result.tiles_done == {"ingest": 0, "predict": 0}
    assert {path.name for path in to.iterdir()} == {*RESULTS, "quicklook.png"}


def test_source_replaced_on_disk_is_read_anew(tmp_path: Path, identity_model: str) -> None:
    odd = plain(tmp_path)
    run(odd.source, tmp_path / "first", identity_model)
    smaller = plain(tmp_path, shape=(50, 60), bands=2)
    run(smaller.source, tmp_path / "second", identity_model)
    np.testing.assert_array_equal(read_mask(tmp_path / "second/mask.tif"), smaller.labels)


def test_files_of_viewers_do_not_make_it_another_source(
    tmp_path: Path, identity_model: str
) -> None:
    odd = plain(tmp_path, hidden_as=200, nodata=200)
    run(odd.source, tmp_path / "out", identity_model)
    write(Path(f"{odd.source}.ovr"), pattern()[:, ::2, ::2], placed=False)
    Path(f"{odd.source}.aux.xml").write_text("<PAMDataset><Metadata/></PAMDataset>")
    with rasterio.open(odd.source) as dataset:
        assert {Path(name).suffix for name in dataset.files} == {".tif", ".ovr", ".xml"}
    assert run(odd.source, tmp_path / "out", identity_model).status == "was done already"


def test_side_car_mask_makes_it_another_source(tmp_path: Path, identity_model: str) -> None:
    odd = plain(tmp_path)
    run(odd.source, tmp_path / "out", identity_model)
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=False), rasterio.open(odd.source, "r+") as dataset:
        dataset.write_mask(np.arange(97)[:, None] + np.zeros(130) < 50)
    assert Path(f"{odd.source}.msk").exists()
    with pytest.raises(DestinationError, match="--overwrite"):
        run(odd.source, tmp_path / "out", identity_model)
    run(odd.source, tmp_path / "out", identity_model, overwrite=True)
    assert (read_mask(tmp_path / "out/mask.tif")[50:] == 255).all()
    assert (read_mask(tmp_path / "out/mask.tif")[:50] != 255).all()
