"""The whole route over S3: Swift's log says what was asked of it, rasterio what came out."""

import re
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import numpy.typing as npt
import pytest
import rasterio
import xarray as xr
from rasterio.transform import Affine
from rio_cogeo.cogeo import cog_validate

from segtasks.config.batch_job import BatchJob
from segtasks.config.job import make_job
from segtasks.errors import DestinationError, SegtasksError, SourceError, StageError, StorageError
from segtasks.outputs import publish
from segtasks.pipeline.batch import find_jobs
from segtasks.pipeline.run import Result, segment
from segtasks.pipeline.tile_task import do_tile
from segtasks.pipeline.workspace_setup import prepare_workspace
from segtasks.planning.planner import make_plan
from segtasks.raster.grid import Window
from segtasks.storage import object_store, receipts
from segtasks.storage.raster_reader import describe, read
from tests.helpers import swift_server
from tests.helpers.swift_server import ObjectStore

SHAPE = (200, 700)  # three tiles of 256
Image = npt.NDArray[np.uint8]


def upload(url: str, folder: Path, *, seed: int = 0, **profile: Any) -> Image:  # noqa: ANN401
    """A raster of noise at ``url``; its labels, 255 where it has no data."""
    image = np.random.default_rng(seed).integers(0, 6, SHAPE, np.uint8)
    image[:30, 50:200] = 99
    path = folder / "upload.tif"
    settings = {
        "driver": "GTiff",
        "height": SHAPE[0],
        "width": SHAPE[1],
        "count": 1,
        "dtype": "uint8",
        "nodata": 99,
        "crs": "EPSG:32633",
        "transform": Affine(0.5, 0, 500000, 0, -0.5, 5000000),
        "tiled": True,
        "blockxsize": 128,
        "blockysize": 128,
    }
    with rasterio.open(path, "w", **(settings | profile)) as dataset:
        dataset.write(image, 1)
    object_store.put_file(path, url)
    path.unlink()
    return np.where(image == 99, 255, image).astype(np.uint8)


def values(source: str, to: str, model: str, **settings: Any) -> dict[str, Any]:  # noqa: ANN401
    common: dict[str, Any] = {
        "source": source,
        "to": to,
        "model": model,
        "crf": None,
        "tiling": {"tile_px": 256, "patch_px": 256, "overlap_px": 0},
        "outputs": {"quicklook": False, "report": False},
        "compute": {"kind": "inline"},
    }
    return common | settings


def run(source: str, to: str, model: str, **settings: Any) -> Result:  # noqa: ANN401
    return segment(make_job(values(source, to, model, **settings)))


def fetch(url: str, folder: Path) -> Path:
    path = folder / "fetched.tif"
    path.write_bytes(object_store.read_bytes(url))
    return path


def labels(url: str, folder: Path) -> Image:
    with rasterio.open(fetch(url, folder)) as dataset:
        mask: Image = dataset.read(1)
    return mask


def test_s3_in_s3_out_gives_the_image_back_and_leaves_nothing_else(
    s3: ObjectStore, identity_model: str, tmp_path: Path
) -> None:
    image = upload(f"{s3.url}/in/ortho.tif", tmp_path)
    result = run(
        f"{s3.url}/in/ortho.tif",
        f"{s3.url}/out/ortho",
        identity_model,
        outputs={"probabilities": True},
    )
    assert result.status == "done"
    mask = fetch(f"{s3.url}/out/ortho/mask.tif", tmp_path)
    with rasterio.open(mask) as dataset:
        np.testing.assert_array_equal(dataset.read(1), image)
        assert dataset.crs.to_epsg() == 32633
        assert dataset.transform == Affine(0.5, 0, 500000, 0, -0.5, 5000000)
    is_valid, errors, _ = cog_validate(mask, quiet=True)
    assert is_valid, errors
    left = {url.split("/ortho/")[1].split("/")[0] for url in object_store.find(f"{s3.url}/out/**")}
    assert left == {url.rpartition("/")[2] for url in result.urls.values()}
    store, path = object_store.filesystem(result.urls["report"])
    # Of another type a browser would not show it.
    assert store.info(path, refresh=True)["ContentType"] == "text/html"
    with xr.open_zarr(result.urls["probabilities"]) as cube:
        likely = cube["probabilities"].fillna(0).argmax("class")
        np.testing.assert_array_equal(likely.where(image < 255, 255), image)


def test_source_is_read_by_ranges_once_and_never_copied_to_disk(
    s3: ObjectStore, identity_model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    side = 2048
    path = tmp_path / "large.tif"
    noise = np.random.default_rng(0).integers(0, 6, (side, side), np.uint8)
    noise[:, 512:] *= 0  # so that the mask, which passes through the disk, is small
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        height=side,
        width=side,
        count=1,
        dtype="uint8",
        tiled=True,
        blockxsize=256,
        blockysize=256,
    ) as dataset:
        dataset.write(noise, 1)
    object_store.put_file(path, f"{s3.url}/in/large.tif")
    size = path.stat().st_size
    path.unlink()
    largest = _Largest(scratch)
    started = time.time()
    segment(
        make_job(
            values(
                f"{s3.url}/in/large.tif",
                f"{s3.url}/out",
                identity_model,
                tiling={"tile_px": 1024, "patch_px": 1024, "overlap_px": 0},
            )
        ),
        largest.look,
    )
    asked = [
        request
        for request in s3.requests("/in/large.tif", since=started)
        if request.path.endswith("/in/large.tif") and request.method == "GET"
    ]
    assert asked
    assert all(request.status == 206 for request in asked)
    assert max(request.length for request in asked) < size / 2
    # Two threads open it, and each reads a header; pixels come once.
    assert sum(request.length for request in asked) < 1.1 * size + 100_000
    assert largest.seen < size / 2


class _Largest:
    """Looks, at every tile, at the files in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder, self.seen = folder, 0

    def look(self, *_: object) -> None:
        sizes = [path.stat().st_size for path in self._folder.rglob("*") if path.is_file()]
        self.seen = max([self.seen, *sizes])


def test_source_over_plain_http(s3: ObjectStore, identity_model: str, tmp_path: Path) -> None:
    image = upload(f"{s3.url}/in/a.tif", tmp_path)
    s3.let_all_read()
    run(f"{s3.public_url}/in/a.tif", str(tmp_path / "out"), identity_model)
    np.testing.assert_array_equal(labels(str(tmp_path / "out/mask.tif"), tmp_path), image)


def test_credentials_of_a_source_are_in_none_of_its_results(
    s3: ObjectStore, identity_model: str, tmp_path: Path
) -> None:
    upload(f"{s3.url}/in/a.tif", tmp_path)
    s3.let_all_read()
    signed = f"{s3.public_url}/in/a.tif?X-Amz-Signature=hushhush"
    outputs = {"probabilities": True}
    result = run(signed, str(tmp_path / "out"), identity_model, outputs=outputs)
    assert result.status == "done"
    with rasterio.open(tmp_path / "out/mask.tif") as mask:
        assert mask.tags()["SEGTASKS_SOURCE"] == f"{s3.public_url}/in/a.tif"
    for path in (tmp_path / "out").rglob("*"):
        assert not path.is_file() or b"hushhush" not in path.read_bytes(), path
    # Signed anew, it is the same source.
    again = run(signed.replace("hush", "mum"), str(tmp_path / "out"), identity_model)
    assert again.status == "was done already"


@pytest.mark.parametrize("kind", ["parquet", "gpkg"])
def test_polygons_on_s3_are_those_of_a_local_run(
    s3: ObjectStore, identity_model: str, tmp_path: Path, kind: str
) -> None:
    upload(f"{s3.url}/in/a.tif", tmp_path)
    settings = {"cleanup": {"sieve_px": 3}, "vectors": {"format": kind, "simplify_m": 1}}
    drawn = []
    for to in (f"{s3.url}/out", str(tmp_path / "out")):
        made = run(f"{s3.url}/in/a.tif", to, identity_model, **settings)
        assert made.tiles_done == dict.fromkeys(made.tiles, 3)
        assert made.urls["polygons"] == f"{to}/polygons.{kind}"
        file = tmp_path / f"fetched.{kind}"
        file.write_bytes(object_store.read_bytes(made.urls["polygons"]))
        frame = geopandas.read_parquet(file) if kind == "parquet" else geopandas.read_file(file)
        assert frame.crs.to_epsg() == 32633
        columns = [frame[name] for name in ("class", "area_m2", "confidence")]
        drawn.append(sorted(zip(*columns, frame.geometry.to_wkb(), strict=True)))
        file.unlink()
    assert drawn[0] == drawn[1]
    assert len(drawn[0]) > 100
    left = {url.rpartition("/")[2] for url in object_store.find(f"{s3.url}/out/**")}
    assert left == {url.rpartition("/")[2] for url in made.urls.values()}


def test_names_with_signs_and_patterns_in_them(
    s3: ObjectStore, identity_model: str, tmp_path: Path
) -> None:
    source = f"{s3.url}/in [1] ö/a b+c#%20&?.tif"
    image = upload(source, tmp_path)
    to = f"{s3.url}/out [1]*/a#%20"
    run(source, to, identity_model)
    np.testing.assert_array_equal(labels(f"{to}/mask.tif", tmp_path), image)
    left = [request.path for request in s3.requests("/out [1]*/") if request.method == "PUT"]
    assert any("/.workspace/" in path for path in left), "the workspace was there"
    assert object_store.names(to) == {
        "mask.tif",
        "mask.tif.aux.xml",
        "mask.qml",
        "confidence.tif",
        "item.json",
    }


def test_model_on_s3(s3: ObjectStore, identity_model: str, tmp_path: Path) -> None:
    image = upload(f"{s3.url}/in/a.tif", tmp_path)
    object_store.put_file(Path(identity_model), f"{s3.url}/models/identity.safetensors")
    to = str(tmp_path / "out")
    run(f"{s3.url}/in/a.tif", to, f"{s3.url}/models/identity.safetensors")
    np.testing.assert_array_equal(labels(f"{to}/mask.tif", tmp_path), image)


@pytest.mark.slow
def test_crf_reads_its_halo_over_s3_as_from_disk(
    s3: ObjectStore, identity_model: str, tmp_path: Path
) -> None:
    upload(f"{s3.url}/in/a.tif", tmp_path)
    crf = {"window_px": 256, "iterations": 1, "bi_xy_std": 5, "halo_px": 20}
    places = (f"{s3.url}/out", str(tmp_path / "out"))
    for to in places:
        run(f"{s3.url}/in/a.tif", to, identity_model, crf=crf)
    remote, local = (object_store.read_bytes(f"{to}/mask.tif") for to in places)
    assert remote == local


def test_half_done_job_resumes_on_s3_with_the_same_bytes(
    s3: ObjectStore, identity_model: str, tmp_path: Path
) -> None:
    upload(f"{s3.url}/in/a.tif", tmp_path)
    source, to = f"{s3.url}/in/a.tif", f"{s3.url}/out"
    run(source, f"{s3.url}/whole", identity_model)
    plan = make_plan(make_job(values(source, to, identity_model)))
    prepare_workspace(plan)
    workspace, (first, second, *_) = plan.job.workspace_url, plan.tiles.tiles()
    for stage, tile in (("ingest", first), ("predict", first), ("ingest", second)):
        receipts.write(workspace, plan.fingerprints[stage], do_tile(plan, stage, tile))
    # Data without a receipt, as a killed worker leaves it.
    do_tile(plan, "predict", second)
    with pytest.raises(StageError, match="2 of 3 tiles are not done"):
        publish.publish(plan, lambda *_: None)
    assert not object_store.exists(f"{to}/mask.tif")
    result = run(source, to, identity_model)
    assert result.tiles_done == {"ingest": 1, "predict": 2}
    assert sum(result.class_px.values()) == 200 * 700 - 30 * 150
    assert object_store.read_bytes(f"{to}/mask.tif") == object_store.read_bytes(
        f"{s3.url}/whole/mask.tif"
    )


def test_lost_mask_and_receipts_are_made_again(
    s3: ObjectStore, identity_model: str, tmp_path: Path
) -> None:
    upload(f"{s3.url}/in/a.tif", tmp_path)
    settings = {"source": f"{s3.url}/in/a.tif", "to": f"{s3.url}/out", "model": identity_model}
    run(**settings, keep_workspace=True)
    before = object_store.read_bytes(f"{s3.url}/out/mask.tif")
    assert run(**settings, keep_workspace=True).status == "was done already"
    gone = [
        url for url in object_store.find(f"{s3.url}/out/.workspace/receipts/**") if "/0_0" in url
    ]
    assert len(gone) == 2
    for url in (*gone, f"{s3.url}/out/mask.tif"):
        object_store.remove_tree(url)
    result = run(**settings)
    assert result.tiles_done == {"ingest": 1, "predict": 1}
    assert object_store.read_bytes(f"{s3.url}/out/mask.tif") == before


@pytest.mark.slow
def test_replaced_source_is_seen_in_the_same_process(
    s3: ObjectStore, identity_model: str, tmp_path: Path
) -> None:
    """GDAL keeps what it read of an url; a replaced object must not be mixed with it."""
    source, to = f"{s3.url}/in/a.tif", f"{s3.url}/out"
    first = upload(source, tmp_path)
    run(source, to, identity_model)
    np.testing.assert_array_equal(labels(f"{to}/mask.tif", tmp_path), first)
    second = upload(source, tmp_path, seed=1)
    with pytest.raises(DestinationError, match="--overwrite"):
        run(source, to, identity_model)
    run(source, to, identity_model, overwrite=True)
    np.testing.assert_array_equal(labels(f"{to}/mask.tif", tmp_path), second)


def test_window_of_a_replaced_object_is_never_the_old_one(s3: ObjectStore, tmp_path: Path) -> None:
    source, window = f"{s3.url}/in/a.tif", Window(0, 0, *SHAPE)
    for seed in (0, 0, 1):
        expected = upload(source, tmp_path, seed=seed)
        # A thread of its own, as each run has: its handles are closed when it ends.
        with ThreadPoolExecutor(1) as pool:
            image, valid = pool.submit(lambda: read(describe(source), (1,), window)).result()
        np.testing.assert_array_equal(np.where(valid, image[0], 255), expected)


def test_source_replaced_while_the_job_runs_is_refused(
    s3: ObjectStore, identity_model: str, tmp_path: Path
) -> None:
    source = f"{s3.url}/in/a.tif"
    upload(source, tmp_path)

    def replace(stage: str, done: int, *_: int) -> None:
        if (stage, done) == ("ingest", 0):
            upload(source, tmp_path, seed=1)

    job = make_job(values(source, f"{s3.url}/out", identity_model, limits={"attempts": 1}))
    with pytest.raises(SegtasksError, match="has changed since this job started"):
        segment(job, replace)
    assert not object_store.exists(f"{s3.url}/out/mask.tif")


def test_batch_finds_rasters_on_s3_but_not_its_own_masks(
    s3: ObjectStore, identity_model: str, tmp_path: Path
) -> None:
    for name in ("a.tif", "deep/b.TIF", "notes.txt"):
        upload(f"{s3.url}/in/{name}", tmp_path)
    batch = BatchJob(source=f"{s3.url}/in/", to=f"{s3.url}/in/masks", model=identity_model)
    upload(f"{s3.url}/in/masks/a/mask.tif", tmp_path)
    found = {(job.source, job.to) for job in find_jobs(batch)}
    assert found == {
        (f"{s3.url}/in/a.tif", f"{s3.url}/in/masks/a"),
        (f"{s3.url}/in/deep/b.TIF", f"{s3.url}/in/masks/deep/b"),
    }


def in_place_of(**changes: str) -> Callable[[ObjectStore], dict[str, str]]:
    """Settings of a job, of which some are wrong; ``{s3}`` is the bucket."""

    def settings(s3: ObjectStore) -> dict[str, str]:
        good = {"source": "{s3}/in/a.tif", "to": "{s3}/out"}
        return {key: value.replace("{s3}", s3.url) for key, value in (good | changes).items()}

    return settings


WRONG = {
    "missing key": (in_place_of(source="{s3}/in/b.tif"), SourceError, "b.tif: .*check the key"),
    "missing bucket": (in_place_of(source="s3://absent/b.tif"), SourceError, "bucket does not"),
    "a prefix": (in_place_of(source="{s3}/in"), SourceError, "key does not exist"),
    "a bucket": (in_place_of(source="{s3}"), SourceError, "bucket/key"),
    "missing bucket to": (in_place_of(to="s3://absent/o"), DestinationError, "bucket exists"),
    "impossible bucket to": (in_place_of(to="s3://No!/o"), StorageError, "Invalid bucket name"),
    "missing workspace": (in_place_of(workspace="s3://absent/w"), DestinationError, "absent/w: "),
    "missing model": (in_place_of(model="{s3}/m.safetensors"), StorageError, "does not exist"),
    "model of no bucket": (in_place_of(model="s3://absent/m"), StorageError, "bucket does not"),
    "unknown protocol": (in_place_of(to="foo://b/out"), StorageError, "use a path, s3://"),
    "http to": (in_place_of(to="http://127.0.0.1:9/o"), DestinationError, "results go to a folder"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_url_is_one_line_at_once(
    name: str, s3: ObjectStore, identity_model: str, tmp_path: Path
) -> None:
    settings, kind, message = WRONG[name]
    upload(f"{s3.url}/in/a.tif", tmp_path)
    started = time.monotonic()
    with pytest.raises(kind, match=message) as caught:
        run(**({"model": identity_model} | settings(s3)))
    assert "\n" not in str(caught.value)
    assert time.monotonic() - started < 20
    assert not object_store.names(f"{s3.url}/out") - {".workspace"}


STRANGERS: dict[str, dict[str, str | None]] = {
    "wrong secret": {"AWS_SECRET_ACCESS_KEY": "wrong"},
    "unknown user": {"AWS_ACCESS_KEY_ID": "test:nobody"},
    "no credentials": {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None},
    "nobody listens": {"AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9"},
    "no scheme": {"AWS_ENDPOINT_URL_S3": "127.0.0.1:9000"},
}


@pytest.mark.parametrize(
    ("name", "role"),
    [
        *product(["wrong secret", "no credentials"], ["source", "to", "workspace", "model"]),
        *product(["unknown user", "nobody listens", "no scheme"], ["source", "to"]),
    ],
)
def test_stranger_is_told_in_one_line_which_variables_to_set(
    name: str,
    role: str,
    s3: ObjectStore,
    identity_model: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    upload(str(tmp_path / "a.tif"), tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))  # no ~/.aws
    for key, value in STRANGERS[name].items():
        if value is None:
            monkeypatch.delenv(key)
        else:
            monkeypatch.setenv(key, value)
    swift_server.forget_clients()
    place = f"{s3.url}/somewhere"
    good = {
        "source": str(tmp_path / "a.tif"),
        "to": str(tmp_path / "out"),
        "model": identity_model,
    }
    started = time.monotonic()
    with pytest.raises(SegtasksError, match=f"({place}|no url).*|AWS_") as caught:
        run(**(good | {role: place}))
    text = str(caught.value)
    assert re.search("AWS_SECRET_ACCESS_KEY|AWS_ENDPOINT_URL_S3", text)
    assert name != "no scheme" or "which is no url; write http://HOST:PORT" in text
    assert "\n" not in text
    assert time.monotonic() - started < 30
    assert not (tmp_path / "out/mask.tif").exists()


def test_reader_cannot_write_and_is_told_so_before_any_work(
    s3: ObjectStore, identity_model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload(f"{s3.url}/in/a.tif", tmp_path)
    s3.let_all_read()
    for key, value in s3.environment("test:reader", "reading").items():
        monkeypatch.setenv(key, value)
    swift_server.forget_clients()
    with pytest.raises(DestinationError, match=r"/out: cannot be written \(Access Denied"):
        run(f"{s3.url}/in/a.tif", f"{s3.url}/out", identity_model)
    run(f"{s3.url}/in/a.tif", str(tmp_path / "out"), identity_model)
    assert (tmp_path / "out/mask.tif").exists()


@pytest.mark.slow
def test_dask_workers_reach_s3_too(s3: ObjectStore, identity_model: str, tmp_path: Path) -> None:
    """From a program of its own: worker processes inherit its environment."""
    image = upload(f"{s3.url}/in/a.tif", tmp_path)
    command = [
        str(Path(sys.executable).with_name("segtasks")),
        "run",
        f"{s3.url}/in/a.tif",
        f"--to={s3.url}/out",
        f"--model={identity_model}",
        "--no-crf",
        "--tile-px=128",
        "--patch-px=128",
        "--overlap-px=0",
        "--compute=local",
        "--workers=2",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    np.testing.assert_array_equal(labels(f"{s3.url}/out/mask.tif", tmp_path), image)
    assert "12 of 12 done in this run" in done.stdout
