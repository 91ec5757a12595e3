"""Inference modes through the whole route: tiled = whole, the same bytes, nothing done twice."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import torch
from torch import Tensor, nn

from segtasks.config.inference import Inference
from segtasks.config.job import make_job
from segtasks.networks import spec
from segtasks.networks.inference.tta import tta_of
from segtasks.networks.inference.tta_network import TtaNetwork
from segtasks.networks.model_file import load, save
from segtasks.pipeline.run import Result, segment
from tests.helpers import job_runs

Values = dict[str, Any]


@pytest.fixture(scope="module")
def strip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return job_runs.write_photo(tmp_path_factory.mktemp("strip") / "strip.tif", 100, 1200)


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return job_runs.write_photo(tmp_path_factory.mktemp("photo") / "photo.tif", 600, 700)


@pytest.fixture(scope="module")
def model_of(strip: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A model file of a narrow network that finds every class in ``strip``, made once."""
    folder = tmp_path_factory.mktemp("models")
    widths = {"fcn8s_lean": 0.05, "largefov": 0.03, "pspnet50": 0.02, "mmseg_pspnet50": 0.02}

    def make(name: str) -> Path:
        path = folder / f"{name}.safetensors"
        if not path.exists():
            job_runs.write_network(path, name, width=widths[name])
            net, card = load(path)
            balance(net, whole(strip, path, lambda net: net))
            save(path, net, card)
        return path

    return make


def balance(net: nn.Module, logits: np.ndarray) -> None:
    """Take each class's mean logit from its bias."""
    last = {"score_fr.bias", "fc8.bias", "main.classifier.bias"}
    (bias,) = (value for key, value in net.named_parameters() if key in last)
    with torch.no_grad():
        bias.sub_(torch.from_numpy(logits.mean(axis=(1, 2))))


def run(source: Path, model: Path, to: Path, **settings: Any) -> Result:  # noqa: ANN401 a job's
    values = {"source": str(source), "to": str(to), "model": str(model), "crf": None}
    return segment(make_job(values | {"compute": {"kind": "inline"}} | settings))


def whole(photo: Path, model: Path, change: Callable[[nn.Module], nn.Module]) -> np.ndarray:
    """Logits (K, H, W) of one forward over the whole image."""
    net, card = load(model)
    mean, std = (torch.tensor(v)[:, None, None] for v in (card.normalisation.mean, (60.0,) * 3))
    with rasterio.open(photo) as dataset:
        x: Tensor = (torch.from_numpy(dataset.read()).float() - mean) / std
    with torch.inference_mode():
        logits: np.ndarray = np.asarray(change(net)(x[None])[0])
    return logits


def differing(mask: np.ndarray, logits: np.ndarray) -> np.ndarray:
    """Margins of the logits, in standard deviations, where mask and logits name other classes."""
    top = np.sort(logits, axis=0)
    return np.asarray(((top[-1] - top[-2]) / logits.std())[mask != logits.argmax(0)])


SEEN = [
    ("fcn8s_lean", {"scales": (1, 0.75, 0.5)}, 1280),
    ("fcn8s_lean", {"scales": (1, 1.25), "angles": "mirror", "fusion": "mean_logits"}, 768),
    ("largefov", {"scales": (1, 0.75, 0.5), "fusion": "max_logits"}, 1088),
    ("largefov", {"angles": "d4"}, 640),
]


@pytest.mark.parametrize(("name", "inference", "patch_px"), SEEN)
def test_an_exact_overlap_is_the_whole_image_seen_in_the_same_modes(
    strip: Path,
    model_of: Callable[[str], Path],
    tmp_path: Path,
    name: str,
    inference: Values,
    patch_px: int,
) -> None:
    model, found = model_of(name), spec(name)

    def fused(net: nn.Module) -> nn.Module:
        modes = tta_of(Inference(**inference), load(model)[1])
        return TtaNetwork(net, modes, found.lattice_px, found.mirror_remainder_px)

    tiling = {"tile_px": 512, "patch_px": patch_px, "overlap_px": "exact"}
    run(strip, model, tmp_path, tiling=tiling, inference=inference)
    mask = job_runs.read_mask(tmp_path)
    # Where labels differ, the two best logits are equal to float32's last bits.
    assert differing(mask, whole(strip, model, fused)).max(initial=0) < 1e-5
    assert (mask != whole(strip, model, lambda net: net).argmax(0)).mean() > 1e-2
    assert len(np.unique(mask)) == job_runs.CLASSES


def test_the_mask_has_the_same_bytes_however_it_is_made(
    photo: Path, model_of: Callable[[str], Path], tmp_path: Path
) -> None:
    hashes = set()
    for tile_px, batch, kind in ((512, 1, "inline"), (1024, 3, "inline"), (256, 2, "local")):
        to = tmp_path / f"{tile_px}"
        run(
            photo,
            model_of("fcn8s_lean"),
            to,
            tiling={"tile_px": tile_px, "patch_px": 512, "overlap_px": 256},
            inference={"scales": (0.75, 1), "angles": "mirror"},
            compute={"kind": kind, "batch": batch, "workers": 2},
        )
        hashes.add(job_runs.sha(to / "mask.tif"))
    assert len(hashes) == 1


def write_ids(path: Path, side_px: int) -> np.ndarray:
    """Class ids in squares: what the identity network reads."""
    ids = np.random.default_rng(5).integers(0, 6, (330 // side_px + 1, 410 // side_px + 1))
    image = np.kron(ids, np.ones((side_px, side_px), int))[:330, :410].astype("u1")
    profile = {"driver": "GTiff", "dtype": "uint8", "count": 1, "height": 330, "width": 410}
    with rasterio.open(path, "w", **profile) as dataset:
        dataset.write(image, 1)
    return image


@pytest.mark.parametrize("stitch", ["crop", "blend"])
@pytest.mark.parametrize("fusion", ["mean_probabilities", "max_logits", "mean_logits"])
def test_the_identity_gives_the_image_back_from_every_angle(
    tmp_path: Path, identity_model: str, fusion: str, stitch: str
) -> None:
    image = write_ids(tmp_path / "ids.tif", 1)
    tiling = {"tile_px": 128, "patch_px": 96, "overlap_px": 32, "stitch": stitch}
    inference = {"angles": "d4", "fusion": fusion}
    run(tmp_path / "ids.tif", Path(identity_model), tmp_path, tiling=tiling, inference=inference)
    np.testing.assert_array_equal(job_runs.read_mask(tmp_path), image)


@pytest.mark.parametrize("fusion", ["mean_probabilities", "max_logits", "mean_logits"])
def test_the_identity_gives_the_image_back_from_every_scale_but_at_edges(
    tmp_path: Path, identity_model: str, fusion: str
) -> None:
    image = write_ids(tmp_path / "ids.tif", 16)
    tiling = {"tile_px": 128, "patch_px": 128, "overlap_px": 32}
    inference = {"scales": (0.5, 0.75, 1, 1.75), "angles": "flips", "fusion": fusion}
    run(tmp_path / "ids.tif", Path(identity_model), tmp_path, tiling=tiling, inference=inference)
    row, col = np.indices(image.shape) % 16
    inner = (np.minimum(row, col) >= 3) & (np.maximum(row, col) < 13)
    np.testing.assert_array_equal(job_runs.read_mask(tmp_path)[inner], image[inner])


POOLED = {"inference": {"pooling": "raster"}}
CELLS = {"tile_px": 512, "patch_px": 560, "overlap_px": "exact"}


@pytest.mark.parametrize(
    ("name", "patch_px", "short_px"), [("pspnet50", 624, 192), ("mmseg_pspnet50", 592, 192)]
)
def test_averages_over_the_raster_make_pspnet_the_whole_image(
    strip: Path,
    model_of: Callable[[str], Path],
    tmp_path: Path,
    name: str,
    patch_px: int,
    short_px: int,
) -> None:
    model = model_of(name)
    logits = whole(strip, model, lambda net: net)

    def mask_of(overlap_px: int | str, to: Path, **settings: Any) -> np.ndarray:  # noqa: ANN401 a job's
        tiling = {"tile_px": 512, "patch_px": patch_px, "overlap_px": overlap_px}
        run(strip, model, to, tiling=tiling | {"stitch": "crop"}, **settings)
        return job_runs.read_mask(to)

    exact = mask_of("exact", tmp_path / "exact", **POOLED)
    assert differing(exact, logits).max(initial=0) < 1e-5
    assert differing(mask_of(short_px, tmp_path / "short", **POOLED), logits).max() > 1e-4
    published = mask_of(2 * (spec(name).pooled_halo_px or 0), tmp_path / "patch")
    assert differing(published, logits).max() > 0.1
    assert len(np.unique(exact)) == job_runs.CLASSES


def test_averages_over_the_raster_know_nothing_of_tiles_and_workers(
    strip: Path, model_of: Callable[[str], Path], tmp_path: Path
) -> None:
    hashes = set()
    for tile_px, kind in ((128, "inline"), (1024, "inline"), (512, "local")):
        to, tiling = tmp_path / f"{tile_px}", CELLS | {"tile_px": tile_px}
        compute = {"kind": kind, "workers": 2, "batch": 4}
        run(strip, model_of("pspnet50"), to, tiling=tiling, compute=compute, **POOLED)
        hashes.add(job_runs.sha(to / "mask.tif"))
    assert len(hashes) == 1


def test_a_rerun_pools_only_cells_without_a_receipt(
    strip: Path, model_of: Callable[[str], Path], tmp_path: Path
) -> None:
    settings = {"tiling": CELLS, "keep_workspace": True, **POOLED}
    first = run(strip, model_of("pspnet50"), tmp_path, **settings)
    assert first.tiles_done == first.tiles == {"ingest": 3, "pool": 38, "predict": 3}
    before = job_runs.sha(tmp_path / "mask.tif")
    workspace = tmp_path / ".workspace"
    gone = [*workspace.glob("receipts/*/pool/1_*.json"), *workspace.glob("shares/*/1_*.npy.z")]
    assert len(gone) == 2 * 19
    for path in (*gone, *workspace.glob("receipts/*/predict/0_1.json"), tmp_path / "mask.tif"):
        path.unlink()
    (total,) = workspace.glob("shares/*/total.npy.z")
    total.unlink()
    again = run(strip, model_of("pspnet50"), tmp_path, **settings)
    assert again.tiles_done == {"ingest": 0, "pool": 19, "predict": 1}
    assert job_runs.sha(tmp_path / "mask.tif") == before


def test_a_finished_job_leaves_nothing_of_its_averages(
    strip: Path, model_of: Callable[[str], Path], tmp_path: Path
) -> None:
    run(strip, model_of("pspnet50"), tmp_path, tiling=CELLS, **POOLED)
    assert not (tmp_path / ".workspace").exists()


def test_the_mask_says_in_which_modes_it_was_made(
    photo: Path, model_of: Callable[[str], Path], tmp_path: Path
) -> None:
    inference = {"scales": (1, 0.5), "angles": "flips", "fusion": "max_logits"}
    run(photo, model_of("fcn8s_lean"), tmp_path, inference=inference)
    with rasterio.open(tmp_path / "mask.tif") as mask:
        tag = mask.tags()["SEGTASKS_INFERENCE"]
    assert Inference.model_validate_json(tag) == Inference.model_validate(inference)
    assert tta_of(Inference(**inference), load(model_of("fcn8s_lean"))[1]).scales[1] == Fraction(
        1, 2
    )
