"""Against all pairs summed in float64: how far a lattice may be from what it approximates.

Stated and tested: averaged over scenes of 32 x 32 px, a backend's marginals are within 0.02 of the
exact ones and 2 % of the labels differ. Seen on 12 drawings and photographs, K 2-21, four settings:
0.0006-0.0075 and 0.2-0.85 %; in the worst scene 0.047 and 5 %. The CRF itself changes 6-25 % there.
"""

from functools import cache

import numpy as np
import pytest

from segtasks.crf import backends, preset
from segtasks.crf.backends import Kernel, exact, kernel
from segtasks.errors import CrfError
from tests.helpers.crf_scenes import (
    LATTICES,
    REFERENCE,
    Float32,
    Scene,
    city,
    drawing,
    percent_different,
)

MEAN_BOUND, PERCENT_BOUND = 0.02, 2.0
NAMES = ["kraehenbuehl", "deeplab", "aerial"]


def core(scene: Scene) -> Scene:
    return scene.window(slice(32, 64), slice(32, 64))


@cache
def drawn(classes: int) -> list[Scene]:
    return [core(drawing(96, classes, seed=seed)) for seed in range(3)]


@cache
def exact_marginals(scene: Scene, name: str) -> Float32:
    return scene.refined(32, 32, preset(name), "exact")


def errors(scenes: list[Scene], backend: str, name: str) -> tuple[float, float]:
    """Return mean |dQ| and % of labels that differ from the exact sums, over all scenes."""
    differences, percents = [], []
    for scene in scenes:
        exactly, found = exact_marginals(scene, name), scene.refined(32, 32, preset(name), backend)
        differences.append(float(np.abs(exactly - found).mean()))
        percents.append(percent_different(exactly.argmax(0), found.argmax(0)))
    return float(np.mean(differences)), float(np.mean(percents))


@pytest.mark.parametrize("classes", [2, 6, 21])
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("backend", [REFERENCE, *LATTICES])
def test_lattice_is_within_its_bound_of_the_exact_sums(
    backend: str, name: str, classes: int
) -> None:
    difference, percent = errors(drawn(classes), backend, name)
    assert difference < MEAN_BOUND
    assert percent < PERCENT_BOUND


@pytest.mark.shared
@pytest.mark.parametrize("backend", [REFERENCE, *LATTICES])
def test_bound_holds_on_photographs(backend: str) -> None:
    parts = [f"tile_{tile}/images/image_part_00{part}.jpg" for tile in (1, 4) for part in (1, 5)]
    difference, percent = errors([core(city(part, 96)) for part in parts], backend, "kraehenbuehl")
    assert difference < MEAN_BOUND
    assert percent < PERCENT_BOUND


def test_bound_can_fail() -> None:
    # Probabilities that no CRF touched, and a reach of half.
    scene = core(drawing(96, 6, seed=0))
    exactly = scene.refined(32, 32, preset("kraehenbuehl"), "exact")
    assert np.abs(exactly - scene.probabilities).mean() > MEAN_BOUND
    assert percent_different(exactly.argmax(0), scene.probabilities.argmax(0)) > PERCENT_BOUND


def by_pairs(unary: Float32, features: Float32, compatibility: Float32, rounds: int) -> Float32:
    """Compute algorithm 1 as written in the paper, with loops over pixels and pairs."""
    classes, pixels = unary.shape
    k = np.zeros((pixels, pixels))
    for i in range(pixels):
        for j in range(pixels):
            k[i, j] = np.exp(-0.5 * float(((features[:, i] - features[:, j]) ** 2).sum()))
    sums = k.sum(axis=0)
    q = np.exp(-unary.astype(float)) / np.exp(-unary.astype(float)).sum(axis=0)
    for _ in range(rounds):
        energy = unary.astype(float).copy()
        for a in range(classes):
            for i in range(pixels):
                message = q @ (k[i] / np.sqrt(sums[i] * sums))
                energy[a, i] += float(compatibility[a] @ message)
        q = np.exp(-energy) / np.exp(-energy).sum(axis=0)
    return np.asarray(q, np.float32)


def test_exact_is_the_papers_algorithm() -> None:
    rng = np.random.default_rng(5)
    unary = rng.uniform(0, 3, (3, 30)).astype(np.float32)
    features = rng.uniform(0, 4, (4, 30)).astype(np.float32)
    matrix = rng.uniform(-1, 3, (3, 3)).astype(np.float32)
    matrix += matrix.T
    found = backends.marginals("exact", unary, [Kernel(features, matrix)], 3)
    np.testing.assert_allclose(found, by_pairs(unary, features, matrix, 3), atol=1e-6)


def test_blocks_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = core(drawing(96))
    whole = scene.refined(0, 0, preset("aerial"), "exact")
    monkeypatch.setattr(exact, "BLOCK", 100)
    np.testing.assert_allclose(scene.refined(0, 0, preset("aerial"), "exact"), whole, atol=1e-6)


def test_exact_refuses_more_than_64_x_64_pixels() -> None:
    made = Kernel(np.zeros((1, 4097), np.float32), kernel.potts(2, 1))
    with pytest.raises(CrfError, match=r"got 4097 pixels, takes at most 4096 \(64 x 64\)"):
        backends.marginals("exact", np.zeros((2, 4097), np.float32), [made], 1)
