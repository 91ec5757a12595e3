"""Every lattice backend is pydensecrf: label difference <= 0.001 %, marginals within 1e-4.

Seen: no label and 3e-5, from other orders of the same float32 sums.
"""

import numpy as np
import pytest

from segtasks.crf import CrfParameters, backends, preset, refine
from segtasks.crf.backends import Kernel, kernel
from tests.helpers.crf_scenes import (
    LATTICES,
    REFERENCE,
    Float32,
    Scene,
    city,
    drawing,
    percent_different,
)

pytest.importorskip("pydensecrf", reason="what they are compared with")

PERCENT_BOUND, MARGINALS_BOUND = 0.001, 1e-4
PHOTO = "tile_3/images/image_part_005.jpg"


def assert_same(some: Float32, others: Float32) -> None:
    assert percent_different(some.argmax(0), others.argmax(0)) <= PERCENT_BOUND
    assert float(np.abs(some - others).max()) <= MARGINALS_BOUND


def assert_as_pydensecrf(scene: Scene, backend: str, parameters: CrfParameters) -> None:
    at = (1234, 567)
    assert_same(*(scene.refined(*at, parameters, name) for name in (backend, "pydensecrf")))


@pytest.mark.shared
@pytest.mark.parametrize("bands", [3, 4])
@pytest.mark.parametrize("classes", [2, 6, 21])
@pytest.mark.parametrize("name", ["kraehenbuehl", "deeplab"])
@pytest.mark.parametrize("backend", LATTICES)
def test_same_on_a_photograph(backend: str, name: str, classes: int, bands: int) -> None:
    assert_as_pydensecrf(city(PHOTO, 176, classes, bands), backend, preset(name))


@pytest.mark.parametrize("bands", [1, 2, 7, 13])
@pytest.mark.parametrize("backend", LATTICES)
def test_same_with_any_number_of_bands(backend: str, bands: int) -> None:
    parameters = CrfParameters(bi_xy_std=20, bi_rgb_std=30, iterations=3)
    assert_as_pydensecrf(drawing(61, 5, bands), backend, parameters)


@pytest.mark.parametrize("std", [0.5, 3.0, 255.0])
@pytest.mark.parametrize("backend", LATTICES)
def test_same_with_the_widest_and_narrowest_kernels(backend: str, std: float) -> None:
    parameters = CrfParameters(pos_xy_std=std, bi_xy_std=std, bi_rgb_std=std)
    assert_as_pydensecrf(drawing(50), backend, parameters)


@pytest.mark.parametrize("backend", LATTICES)
def test_same_with_holes_and_few_pixels(backend: str) -> None:
    scene, rng = drawing(96), np.random.default_rng(0)
    for share in (0.5, 0.999):
        valid = rng.random((96, 96)) > share
        found = [
            refine(
                scene.probabilities,
                scene.image8,
                valid,
                row=7,
                col=9,
                parameters=preset("aerial"),
                backend=name,
            )
            for name in (backend, "pydensecrf")
        ]
        assert_same(*found)


@pytest.mark.parametrize("backend", LATTICES)
def test_same_bits_twice(backend: str) -> None:
    scene = drawing(64)
    first, second = (scene.refined(3, 5, preset("deeplab"), backend) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def random_kernels(classes: int) -> tuple[Float32, list[Kernel]]:
    """Return energies and kernels with matrices of all signs that are not Potts."""
    rng = np.random.default_rng(classes)
    unary = rng.uniform(0, 4, (classes, 600)).astype(np.float32)
    kernels = []
    for dims in (2, 5):
        matrix = rng.uniform(-1, 3, (classes, classes)).astype(np.float32)
        features = rng.uniform(0, 6, (dims, 600)).astype(np.float32)
        kernels.append(Kernel(features, matrix + matrix.T))
    return unary, kernels


@pytest.mark.parametrize("classes", [2, 3, 6, 21])
@pytest.mark.parametrize("backend", LATTICES)
def test_same_with_full_compatibility_matrices(backend: str, classes: int) -> None:
    unary, kernels = random_kernels(classes)
    assert_same(*(backends.marginals(name, unary, kernels, 3) for name in (backend, "pydensecrf")))


@pytest.mark.parametrize("backend", [REFERENCE, "exact", *LATTICES])
def test_potts_is_a_scalar_a_matrix_and_a_reward(backend: str) -> None:
    unary, kernels = random_kernels(4)
    features = kernels[1].features
    weight = kernel.potts(4, 2.5)
    # What all labels pay alike drops out.
    models = [weight, weight + np.float32(1), -2.5 * np.eye(4, dtype=np.float32)]
    found = [backends.marginals(backend, unary, [Kernel(features, m)], 4) for m in models]
    for other in found[1:]:
        np.testing.assert_allclose(found[0], other, atol=2e-5)
    opposite = backends.marginals(backend, unary, [Kernel(features, -weight)], 4)
    assert np.abs(found[0] - opposite).mean() > 0.05


@pytest.mark.parametrize("backend", [REFERENCE, "exact", *LATTICES])
def test_a_positive_pair_is_penalised(backend: str) -> None:
    """Two pixels at one place: one is certain of class 0, one is undecided between 1 and 2."""
    unary = np.array([[0, 5], [5, 0], [5, 0]], np.float32)
    matrix = np.zeros((3, 3), np.float32)
    matrix[0, 2] = matrix[2, 0] = 4
    found = backends.marginals(backend, unary, [Kernel(np.zeros((2, 2), np.float32), matrix)], 2)
    assert found[1, 1] > 0.8
    assert found[2, 1] < 0.2
