"""What lies beside the mask: made with it, of the right choice, the same however it is made."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import rasterio
import xarray as xr
from rasterio.enums import Resampling
from rio_cogeo.cogeo import cog_validate

from segtasks.config.job import make_job
from segtasks.errors import DestinationError, ResourceError, StageError, WorkspaceError
from segtasks.pipeline.run import Result, segment
from segtasks.planning.products import PRODUCTS
from segtasks.raster import confidence
from segtasks.raster.confidence import MAX_CONFIDENCE
from segtasks.raster.grid import Window
from segtasks.storage import object_store, workspace
from tests.helpers import job_runs

CRF = {"bi_xy_std": 8, "window_px": 128}
TILING = {"tile_px": 128, "patch_px": 128, "overlap_px": 64}
HEIGHT, WIDTH, BLANK = 200, 330, 40
KINDS = ("max_probability", "margin", "entropy")
Scene = tuple[Path, Path]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    folder = tmp_path_factory.mktemp("results")
    photo = job_runs.write_photo(folder / "photo.tif", HEIGHT, WIDTH, nodata_rows=BLANK)
    with rasterio.open(photo, "r+") as dataset:
        dataset.update_tags(TIFFTAG_DATETIME="2024:06:01 10:20:30")
    return photo, job_runs.write_network(folder / "m.safetensors", "fcn8s_lean", width=0.05)


def run(scene: Scene, to: Path, crf: dict[str, Any] | None = None, **settings: Any) -> Result:  # noqa: ANN401 - a job's
    paths = {"source": str(scene[0]), "model": str(scene[1]), "to": str(to), "crf": crf}
    return segment(make_job(paths | {"tiling": TILING, "compute": {"kind": "inline"}} | settings))


def band(path: Path) -> npt.NDArray[np.uint8]:
    with rasterio.open(path) as dataset:
        data: npt.NDArray[np.uint8] = dataset.read(1)
        return data


def whole(to: Path, name: str) -> Any:  # noqa: ANN401 - an array of any dtype
    """A whole array of the kept workspace."""
    return workspace.read(str(to / ".workspace"), name, Window(0, 0, HEIGHT, WIDTH))


@pytest.mark.parametrize(
    ("kind", "stitch"), [*((kind, "crop") for kind in KINDS), ("entropy", "blend")]
)
def test_confidence_of_tiles_is_that_of_one_piece(
    scene: Scene, tmp_path: Path, kind: str, stitch: str
) -> None:
    outputs = {"confidence": kind}
    cuts = {name: TILING | {"tile_px": px, "stitch": stitch} for name, px in TILES.items()}
    for name, tiling in cuts.items():
        run(scene, tmp_path / name, tiling=tiling, outputs=outputs)
    pieces = [(tmp_path / name / "confidence.tif").read_bytes() for name in cuts]
    assert pieces[0] == pieces[1]
    assert len(np.unique(band(tmp_path / "one/confidence.tif"))) > 20


TILES = {"one": 2048, "many": 64}


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_that_of_the_probabilities(scene: Scene, tmp_path: Path, kind: Any) -> None:  # noqa: ANN401 - a Kind
    run(scene, tmp_path, outputs={"confidence": kind, "probabilities": True}, keep_workspace=True)
    made = band(tmp_path / "confidence.tif").astype(int)
    halves = whole(tmp_path, "probabilities")
    expected = confidence.quantise_confidence(halves, kind).astype(int)
    assert (made[:BLANK] == 255).all()
    # The probabilities have since been rounded to 11 bits.
    assert np.abs(made - expected)[BLANK:].max() <= 1
    assert (halves.argmax(0) == band(tmp_path / "mask.tif"))[BLANK:].mean() > 0.999


def test_with_a_crf_it_is_that_of_its_marginals(scene: Scene, tmp_path: Path) -> None:
    """The CRF makes labels surer, most of all where it changes them."""
    run(scene, tmp_path / "net")
    run(scene, tmp_path / "crf", CRF)
    net, crf = (band(tmp_path / name / "confidence.tif")[BLANK:] for name in ("net", "crf"))
    changed = band(tmp_path / "net/mask.tif")[BLANK:] != band(tmp_path / "crf/mask.tif")[BLANK:]
    assert changed.any()
    assert crf[changed].mean() > net[changed].mean() + MAX_CONFIDENCE / 50
    halved = run(scene, tmp_path / "tiles", CRF, tiling=TILING | {"tile_px": 64})
    assert halved.tiles["predict"] == 24
    assert job_runs.sha(tmp_path / "tiles/confidence.tif") == job_runs.sha(
        tmp_path / "crf/confidence.tif"
    )


@pytest.mark.parametrize("crf", [None, CRF])
def test_the_mask_does_not_know_what_is_made_beside_it(
    scene: Scene, tmp_path: Path, crf: dict[str, Any] | None
) -> None:
    alone = {"confidence": None, "stac": False, "quicklook": False, "report": False}
    urls = run(scene, tmp_path / "alone", crf, outputs=alone).urls
    assert sorted(urls) == ["legend", "mask", "style"]
    run(scene, tmp_path / "all", crf, outputs={"confidence": "entropy", "probabilities": True})
    assert job_runs.sha(tmp_path / "alone/mask.tif") == job_runs.sha(tmp_path / "all/mask.tif")


RESULTS = ("mask", "legend", "style", "confidence", "quicklook", "report")


def test_every_result_is_named_and_there(scene: Scene, tmp_path: Path) -> None:
    first = run(scene, tmp_path, CRF, outputs={"probabilities": True})
    names = {"probabilities", "item", *RESULTS}
    assert first.urls.keys() == names
    assert names == PRODUCTS.keys() - {"polygons"}
    assert {Path(url).name for url in first.urls.values()} == {p.name for p in tmp_path.iterdir()}
    assert all(any(url in line for line in first.lines()) for url in first.urls.values())
    again = run(scene, tmp_path, CRF, outputs={"probabilities": True})
    assert (again.status, again.urls) == ("was done already", first.urls)


def test_confidence_is_a_cog_that_shows_its_value(scene: Scene, tmp_path: Path) -> None:
    photo = job_runs.write_photo(tmp_path / "photo.tif", 700, 600, nodata_rows=BLANK)
    run((photo, scene[1]), tmp_path, tiling=TILING | {"tile_px": 512})
    path = tmp_path / "confidence.tif"
    is_valid, errors, warned = cog_validate(path, strict=True, quiet=True)
    assert is_valid, (errors, warned)
    with rasterio.open(path) as dataset, rasterio.open(tmp_path / "mask.tif") as mask:
        assert (dataset.crs, dataset.transform, dataset.shape) == (
            mask.crs,
            mask.transform,
            mask.shape,
        )
        assert (dataset.dtypes, dataset.nodata) == (("uint8",), 255)
        assert (dataset.scales, dataset.offsets) == ((1 / MAX_CONFIDENCE,), (0.0,))
        assert dataset.descriptions == ("max_probability",)
        data = dataset.read(1)
        np.testing.assert_array_equal(data == 255, mask.read(1) == 255)
        half = dataset.read(1, out_shape=(350, 300), resampling=Resampling.nearest)
    means = data[BLANK + 2 :].reshape(-1, 2, 300, 2).mean(axis=(1, 3))
    np.testing.assert_allclose(half[BLANK // 2 + 1 :], means, atol=0.51)


def test_another_choice_is_not_taken_for_this_one(scene: Scene, tmp_path: Path) -> None:
    run(scene, tmp_path, outputs={"confidence": "margin"})
    margin = job_runs.sha(tmp_path / "confidence.tif")
    mask = job_runs.sha(tmp_path / "mask.tif")
    with pytest.raises(DestinationError, match=r"confidence\.tif: is there already"):
        run(scene, tmp_path, outputs={"confidence": "entropy"})
    again = run(scene, tmp_path, outputs={"confidence": "entropy"}, overwrite=True)
    assert again.status == "done"
    assert job_runs.sha(tmp_path / "confidence.tif") != margin
    assert job_runs.sha(tmp_path / "mask.tif") == mask


def test_what_was_not_asked_for_before_is_made(scene: Scene, tmp_path: Path) -> None:
    run(scene, tmp_path, outputs={"confidence": None})
    assert run(scene, tmp_path, outputs={"confidence": None}).status == "was done already"
    assert run(scene, tmp_path).status == "done"
    with xr.open_zarr(run(scene, tmp_path, outputs=ALL).urls["probabilities"]) as cube:
        assert cube.sizes == {"class": 4, "y": HEIGHT, "x": WIDTH}
    assert run(scene, tmp_path, outputs=ALL).status == "was done already"


ALL = {"probabilities": True}


def test_a_kept_workspace_is_refined_for_another_choice(scene: Scene, tmp_path: Path) -> None:
    run(scene, tmp_path, CRF, outputs={"confidence": None}, keep_workspace=True)
    mask = job_runs.sha(tmp_path / "mask.tif")
    again = run(scene, tmp_path, CRF, outputs={"confidence": "margin"}, keep_workspace=True)
    assert again.tiles_done == {"ingest": 0, "predict": 0, "refine": 6}
    assert job_runs.sha(tmp_path / "mask.tif") == mask
    run(scene, tmp_path / "once", CRF, outputs={"confidence": "margin"})
    assert job_runs.sha(tmp_path / "confidence.tif") == job_runs.sha(
        tmp_path / "once/confidence.tif"
    )
    with pytest.raises(WorkspaceError, match="differs from predict on"):
        run(scene, tmp_path, outputs={"confidence": "margin"}, overwrite=True)


@pytest.mark.parametrize("crf", [None, CRF])
def test_a_tile_without_its_confidence_is_done_again(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, crf: dict[str, Any] | None
) -> None:
    """Its mask is written already, but not its receipt."""
    write = workspace.write

    def torn(url: str, name: str, core: Window, *data: Any) -> None:  # noqa: ANN401 - as write
        if name == "confidence" and core.col == 128:
            raise ResourceError("confidence: the disk is full")
        write(url, name, core, *data)

    with monkeypatch.context() as patched:
        patched.setattr(workspace, "write", torn)
        with pytest.raises(StageError, match=r"2 of 6 tiles failed.*the disk is full"):
            run(scene, tmp_path / "torn", crf, limits={"attempts": 1})
    resumed = run(scene, tmp_path / "torn", crf)
    assert resumed.tiles_done[list(resumed.tiles)[-1]] == 2
    run(scene, tmp_path / "whole", crf)
    for name in ("mask.tif", "confidence.tif"):
        assert job_runs.sha(tmp_path / "torn" / name) == job_runs.sha(tmp_path / "whole" / name)


@pytest.fixture(scope="module")
def finished(scene: Scene, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All results of an undisturbed run."""
    to = tmp_path_factory.mktemp("finished")
    run(scene, to, outputs=ALL)
    return to


@pytest.mark.parametrize("last", ["item.json", "confidence.tif", "mask.tif", "zarr.json"])
def test_killed_while_publishing_it_goes_on(
    scene: Scene, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, last: str
) -> None:
    with monkeypatch.context() as patched:
        for name, argument in (("write_bytes", 0), ("put_file", 1)):
            patched.setattr(f"segtasks.storage.object_store.{name}", until(last, name, argument))
        if last == "zarr.json":
            patched.setattr("zarr.create_group", killed)
        with pytest.raises(KeyboardInterrupt):
            run(scene, tmp_path, outputs=ALL)
    assert not (tmp_path / "mask.tif").exists()
    assert run(scene, tmp_path, outputs=ALL).status == "done"
    same_files(tmp_path, finished)


def until(last: str, name: str, argument: int) -> Any:  # noqa: ANN401 - a function
    real = getattr(object_store, name)

    def put(*args: Any) -> None:  # noqa: ANN401 - as the real one
        if str(args[argument]).endswith(f"/{last}"):
            raise KeyboardInterrupt
        real(*args)

    return put


def killed(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def same_files(one: Path, other: Path) -> None:
    """But for the item and the report, which tell the time."""
    names = sorted(str(p.relative_to(other)) for p in other.rglob("*") if p.is_file())
    assert names == sorted(str(p.relative_to(one)) for p in one.rglob("*") if p.is_file())
    for name in set(names) - {"item.json", "report.html"}:
        assert job_runs.sha(one / name) == job_runs.sha(other / name), name


@pytest.mark.parametrize("name", ["confidence.tif", "probabilities.zarr"])
def test_what_somebody_else_put_there_is_refused(scene: Scene, tmp_path: Path, name: str) -> None:
    theirs = tmp_path / name
    if name.endswith("tif"):
        shutil.copy(scene[0], theirs)
    else:
        theirs.mkdir()
        theirs = theirs / ".zgroup"
        theirs.write_text("{}")
    before = job_runs.sha(theirs)
    with pytest.raises(DestinationError, match=f"{name}: is there already, made by another job"):
        run(scene, tmp_path, outputs=ALL)
    assert job_runs.sha(theirs) == before
    assert run(scene, tmp_path, outputs=ALL, overwrite=True).status == "done"


def test_item_dates_from_the_source_and_points_to_all(scene: Scene, tmp_path: Path) -> None:
    made = run(scene, tmp_path / "a", CRF)
    item = json.loads(Path(made.urls["item"]).read_bytes())
    assert item["properties"]["datetime"] == "2024-06-01T10:20:30Z"
    hrefs = {name: asset["href"] for name, asset in item["assets"].items()}
    for href in hrefs.values():
        assert (tmp_path / "a" / href).exists(), href
    assert set(hrefs) == {*RESULTS, "source", "model"}
    assert (tmp_path / "a" / hrefs["source"]).samefile(scene[0])
    assert item["properties"]["segtasks:crf"]["bi_xy_std"] == 8
    with rasterio.open(made.urls["mask"]) as mask:
        assert item["properties"]["segtasks:fingerprint"] == mask.tags()["SEGTASKS_FINGERPRINT"]
        assert item["properties"]["proj:transform"] == list(mask.transform)[:6]


def test_provenance_is_in_the_tags(scene: Scene, tmp_path: Path) -> None:
    run(scene, tmp_path, CRF)
    with rasterio.open(tmp_path / "mask.tif") as mask:
        tags = mask.tags()
        assert mask.tags(1).items() >= {"CLASS_0": "class 0", "CLASS_3": "class 3"}.items()
    assert tags["SEGTASKS_SOURCE"] == str(scene[0])
    assert len(tags["SEGTASKS_WEIGHTS_SHA256"]) == 64
    assert json.loads(tags["SEGTASKS_STITCH"]) == {
        "stitch": "crop",
        "patch_px": 128,
        "overlap_px": 64,
        "halo_px": 32,
    }
    assert json.loads(tags["SEGTASKS_CRF"])["bi_xy_std"] == 8
    assert json.loads(tags["SEGTASKS_INFERENCE"])["scales"] == [1.0]
    assert tags["TIFFTAG_SOFTWARE"].startswith("segtasks ")
