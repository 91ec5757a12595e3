"""Invariants 2 to 5 through the whole route, on real Dask clusters and real GeoTIFFs."""

from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
from rio_cogeo.cogeo import cog_validate

from segtasks.config.job import make_job
from segtasks.networks.model_file import load
from segtasks.pipeline.run import segment
from tests.helpers import job_runs

NETWORKS = {"fcn8s_lean": 0.05, "fcn8s": 0.02, "largefov": 0.03}


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return job_runs.write_photo(tmp_path_factory.mktemp("photo") / "photo.tif", 1500, 1333)


@pytest.fixture(scope="module", params=NETWORKS)
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / f"{request.param}.safetensors"
    return job_runs.write_network(path, request.param, width=NETWORKS[request.param])


def masked(photo: Path, model: Path, to: Path, **settings: object) -> Path:
    values = {"source": str(photo), "to": str(to), "model": str(model), "crf": None}
    segment(make_job(values | {"compute": {"kind": "inline"}} | settings))
    return to / "mask.tif"


def whole_image(photo: Path, model: Path) -> np.ndarray:
    """Logits (K, H, W) of one forward over the whole image."""
    network, card = load(model)
    with rasterio.open(photo) as dataset:
        raw = dataset.read().astype("f4")
    mean, std = (
        np.array(v, "f4")[:, None, None] for v in (card.normalisation.mean, card.normalisation.std)
    )
    with torch.inference_mode():
        logits: np.ndarray = network(torch.from_numpy((raw - mean) / std)[None])[0].numpy()
    return logits


def test_crop_with_the_exact_halo_is_the_whole_image(
    photo: Path, model: Path, tmp_path: Path
) -> None:
    tiling = {"tile_px": 512, "patch_px": 960, "overlap_px": "exact"}
    mask = job_runs.read_mask(masked(photo, model, tmp_path, tiling=tiling).parent)
    logits = whole_image(photo, model)
    differing = mask != logits.argmax(0)
    # Where labels differ, the two best logits are equal to float32's last bits.
    top = np.sort(logits, axis=0)
    assert (top[-1] - top[-2])[differing].max(initial=0) < 1e-5 * logits.std()
    assert len(np.unique(mask)) > 1


def test_too_small_a_halo_is_not_the_whole_image(photo: Path, tmp_path: Path) -> None:
    model = job_runs.write_network(tmp_path / "m.safetensors", "fcn8s_lean", width=0.05)
    tiling = {"tile_px": 512, "patch_px": 320, "overlap_px": 64}
    mask = job_runs.read_mask(masked(photo, model, tmp_path / "o", tiling=tiling).parent)
    assert (mask != whole_image(photo, model).argmax(0)).mean() > 1e-3


@pytest.mark.parametrize("stitch", ["crop", "blend"])
def test_the_mask_has_the_same_bytes_however_it_is_made(
    photo: Path, tmp_path: Path, stitch: str
) -> None:
    model = job_runs.write_network(tmp_path / "m.safetensors", "fcn8s_lean", width=0.05)
    base = {"patch_px": 384, "overlap_px": 128, "stitch": stitch}
    hashes = {
        job_runs.sha(
            masked(
                photo,
                model,
                tmp_path / f"{tile_px}_{batch}_{kind}_{workers}",
                tiling={**base, "tile_px": tile_px},
                compute={"kind": kind, "batch": batch, "workers": workers},
            )
        )
        for tile_px, batch, kind, workers in (
            (512, 1, "inline", 1),
            (1024, 4, "inline", 1),
            (2048, 3, "inline", 1),
            (512, 4, "local", 1),
            (1024, 1, "local", 2),
        )
    }
    assert len(hashes) == 1


def test_with_a_crf_too(photo: Path, tmp_path: Path) -> None:
    model = job_runs.write_network(tmp_path / "m.safetensors", "largefov", width=0.03)
    crf = {"bi_xy_std": 10, "window_px": 512}
    hashes = set()
    for tile_px, kind in ((512, "inline"), (1024, "local")):
        to = tmp_path / str(tile_px)
        tiling = {"tile_px": tile_px, "patch_px": 512, "overlap_px": 128}
        path = masked(photo, model, to, tiling=tiling, crf=crf, compute={"kind": kind})
        hashes.add(job_runs.sha(path))
    assert len(hashes) == 1
    plain = masked(photo, model, tmp_path / "plain", tiling={"patch_px": 512, "overlap_px": 128})
    changed = (job_runs.read_mask(plain.parent) != job_runs.read_mask(to)).mean()
    assert 0.001 < changed < 0.5  # the CRF did something


def test_nodata_stays_nodata_and_the_cog_is_valid(tmp_path: Path) -> None:
    photo = job_runs.write_photo(tmp_path / "photo.tif", 700, 900, nodata_rows=300)
    model = job_runs.write_network(tmp_path / "m.safetensors", "fcn8s_lean", width=0.05)
    for crf in (None, {"bi_xy_std": 10, "window_px": 256}):
        path = masked(photo, model, tmp_path / f"{crf is None}", crf=crf, tiling={"tile_px": 256})
        mask = job_runs.read_mask(path.parent)
        assert (mask[:300] == 255).all()
        assert (mask[300:] < job_runs.CLASSES).all()
        assert cog_validate(path)[0]
        with rasterio.open(path) as made, rasterio.open(photo) as source:
            assert (made.crs, made.transform, made.shape) == (
                source.crs,
                source.transform,
                source.shape,
            )
            assert made.nodata == 255


def test_probabilities_sum_to_one(photo: Path, tmp_path: Path) -> None:
    from segtasks.raster.grid import Window  # noqa: PLC0415
    from segtasks.storage import workspace  # noqa: PLC0415

    model = job_runs.write_network(tmp_path / "m.safetensors", "fcn8s_lean", width=0.05)
    crf = {"bi_xy_std": 5, "window_px": 1024}
    masked(photo, model, tmp_path, crf=crf, keep_workspace=True)
    window = Window(0, 0, 1500, 1333)
    stored = workspace.read(str(tmp_path / ".workspace"), "probabilities", window)
    np.testing.assert_allclose(stored.astype("f4").sum(0), 1, atol=2e-3)
