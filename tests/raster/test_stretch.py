"""Contrast stretch: per band, with gamma for linear light, and advice on the kind of values."""

from pathlib import Path

import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray

from segtasks.config.job import make_job
from segtasks.errors import JobError
from segtasks.pipeline.network_input import Pixels, normalise
from segtasks.planning.plan import Plan
from segtasks.planning.planner import make_plan
from segtasks.raster.grid import Window
from segtasks.raster.stretch import MAX_8BIT, Stretch

ADVICE = "if they are proportional to light"


def test_values_beyond_the_range_are_clipped_to_it() -> None:
    image = np.array([[[-5, 0, 50, 100, 900]]], np.int16)
    assert Stretch((0,), (100,))(image, MAX_8BIT).tolist() == [[[0, 0, 127.5, 255, 255]]]
    brightened = Stretch((0,), (100,), 2)(image, 100)
    np.testing.assert_allclose(brightened, [[[0, 0, 50**0.5 * 10, 100, 100]]], rtol=1e-6)


def test_each_band_has_its_range() -> None:
    image = np.array([[[10, 20]], [[100, 300]]], np.uint16)
    assert Stretch((10, 100), (20, 300))(image, 1).tolist() == [[[0, 1]], [[0, 1]]]


@pytest.mark.parametrize("bad", [(1, 1), (2, 1), (0, np.inf), (np.nan, 1)])
def test_a_range_that_does_not_rise_is_refused(bad: tuple[float, float]) -> None:
    with pytest.raises(JobError, match="must be finite and the first below"):
        Stretch((bad[0],), (bad[1],))


def reflectance(folder: Path) -> tuple[Path, NDArray[np.uint16]]:
    """A 256 px picture as sensor counts: linear light, more haze in blue, and an infrared band."""
    picture = np.random.default_rng(0).integers(0, 256, (3, 256, 256))
    light = 4000 * (picture / 255) ** 2.2 + np.array([300, 500, 900])[:, None, None]
    counts = np.round([*light, light.mean(0)]).astype(np.uint16)
    path = folder / "reflectance.tif"
    profile = {"driver": "GTiff", "dtype": "uint16", "count": 4, "height": 256, "width": 256}
    with rasterio.open(path, "w", **profile) as dataset:
        dataset.write(counts)
        dataset.descriptions = ("red", "green", "blue", "nir")
    return path, counts


def planned(source: Path, **settings: object) -> Plan:
    to = source.with_name("out")
    job = {"source": str(source), "to": str(to), "model": "landcover-dubai", **settings}
    return make_plan(make_job(job))


def test_reflectance_becomes_the_picture_the_model_was_trained_on(tmp_path: Path) -> None:
    path, counts = reflectance(tmp_path)
    plan = planned(path, stretch="auto", gamma=2.2)
    assert plan.stretch == plan.colours
    low, high = np.percentile(counts[:3], (2, 98), axis=(1, 2))[..., None, None]
    shares = np.clip((counts[:3] - low) / (high - low), 0, 1)
    expected = 255 * shares ** (1 / 2.2)
    window = Window(0, 0, 256, 256)
    pixels = Pixels(window, counts[:3], np.ones((256, 256), np.bool_))
    norm = plan.card.normalisation
    mean, std = (np.array(values)[:, None, None] for values in (norm.mean, norm.std))
    np.testing.assert_allclose(normalise(plan, pixels, window), (expected - mean) / std, atol=1e-5)


def test_the_advice_on_linear_values_appears_until_gamma_is_set(tmp_path: Path) -> None:
    path, _ = reflectance(tmp_path)
    assert any(ADVICE in warning for warning in planned(path, stretch="auto").warnings)
    assert not any(ADVICE in w for w in planned(path, stretch="auto", gamma=1).warnings)
    other = planned(path, stretch="auto", gamma=2.2)
    assert not any(ADVICE in warning for warning in other.warnings)
    assert other.fingerprints != planned(path, stretch="auto", gamma=1).fingerprints
