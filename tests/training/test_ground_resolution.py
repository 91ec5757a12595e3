"""Images of another resolution are rescaled for the network, in training as in inference."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch

from segtasks.config.job import make_job
from segtasks.config.label_sources import PairSource
from segtasks.config.train_job import Augmentation, TrainJob
from segtasks.errors import JobError
from segtasks.networks import Normalisation
from segtasks.networks.inference.tta import TestTimeAugmentation
from segtasks.networks.inference.tta_network import TtaNetwork
from segtasks.networks.model_file import load
from segtasks.planning.planner import make_plan
from segtasks.storage import raster_reader
from segtasks.training.crops import Cropper, sample_tiles
from segtasks.training.distributed import Ranks
from segtasks.training.image_pairs import Pair, open_pairs
from segtasks.training.loop import train
from segtasks.training.resolution import ground_resolution_m, magnification
from segtasks.training.validation import evaluate_network
from tests.helpers.label_files import LEGEND, write_raster

Jobs = Callable[..., TrainJob]
SIDE_M = 0.5
AS_THEY_ARE = Normalisation(mean=(0,), std=(1,), dtype="uint16")


@pytest.fixture
def ramp(tmp_path: Path) -> PairSource:
    """An image with pixels 0.5 m wide whose values are their columns."""
    columns = np.tile(np.arange(200, dtype=np.uint16), (1, 160, 1))
    image = write_raster(tmp_path / "ramp.tif", columns)
    ids = np.indices((160, 200), np.uint8).sum(0) // 60 % 3
    labels = write_raster(tmp_path / "ids.tif", ids.astype(np.uint8))
    return PairSource(image=image, labels=labels)


def pair_at(jobs: Jobs, ramp: PairSource, side_m: float | None) -> tuple[Pair, TrainJob]:
    still = Augmentation(turns=False, brightness=0, contrast=0, colour=0)
    job = jobs(sources=(ramp,), legend=LEGEND, ground_resolution_m=side_m, augmentation=still)
    return open_pairs(job.sources, job)[0], job


@pytest.mark.parametrize(
    ("side_m", "scale"), [(None, "1"), (0.505, "1"), (1.0, "1/2"), (0.2, "5/2")]
)
def test_an_image_is_magnified_to_the_pixels_asked_for(
    jobs: Jobs, ramp: PairSource, side_m: float | None, scale: str
) -> None:
    pair, job = pair_at(jobs, ramp, side_m)
    assert pair.scale == Fraction(scale)
    assert pair.pixels_seen == 200 * 160 * Fraction(scale) ** 2
    cropper = Cropper([pair], AS_THEY_ARE, job, 32, 1, Ranks())
    image, labels = cropper.crop(1, 0)
    assert image.shape == (1, 32, 32)
    assert labels.shape == (32, 32)
    # Where the image is read, a column is one more than the one before.
    steps = image[0, 8:24, 8:24].diff(dim=1)
    torch.testing.assert_close(
        steps, torch.full_like(steps, 1 / float(pair.scale)), atol=0.02, rtol=0
    )


def test_samples_are_rescaled_like_crops(jobs: Jobs, ramp: PairSource) -> None:
    pair, _ = pair_at(jobs, ramp, 1.0)
    tiles = sample_tiles([pair], AS_THEY_ARE)
    assert tiles.shape == (1, 1, 80, 80)
    assert tiles[0, 0, 40, 40].item() == pytest.approx(20 + 2 * 40 + 0.5)


def test_validation_rescales_like_inference(jobs: Jobs, ramp: PairSource) -> None:
    pair, job = pair_at(jobs, ramp, 1.0)
    card = train(job.model_copy(update={"validation": (ramp,)})).card
    assert card.ground_resolution_m == 1.0
    module = load(job.to)[0]
    normalisation = card.normalisation
    modes = make_plan(make_job({"source": ramp.image, "to": "out", "model": job.to})).tta
    assert modes == TestTimeAugmentation((Fraction(1, 2),))
    as_it_is, _ = pair_at(jobs, ramp, None)
    seen = evaluate_network(module, [pair], normalisation, classes=3, window_px=32)
    by_modes = evaluate_network(
        TtaNetwork(module, modes, 1, 0), [as_it_is], normalisation, classes=3, window_px=64
    )
    np.testing.assert_array_equal(seen.counts, by_modes.counts)


def test_too_far_apart_is_refused(jobs: Jobs, ramp: PairSource) -> None:
    with pytest.raises(
        JobError, match=r"ramp.tif: a pixel is 0.5 m, 10 times ground_resolution_m \(0.05\)"
    ):
        pair_at(jobs, ramp, 0.05)


def test_a_card_has_the_resolution_of_the_images(
    jobs: Jobs, ramp: PairSource, tmp_path: Path
) -> None:
    image = raster_reader.describe(ramp.image)
    nowhere = raster_reader.describe(
        write_raster(
            tmp_path / "nowhere.png",
            np.ones((3, 9, 9), np.uint8),
            driver="PNG",
            crs=None,
            transform=None,
        )
    )
    assert ground_resolution_m(None, [nowhere]) is None
    assert ground_resolution_m(None, [nowhere, image]) == pytest.approx(SIDE_M, rel=1e-3)
    assert ground_resolution_m(0.3, [image]) == 0.3
    assert magnification(nowhere, 0.3) == 1
    assert train(jobs()).card.ground_resolution_m == pytest.approx(0.3, rel=0.01)
