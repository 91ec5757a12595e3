"""One window, compared with pydensecrf's own calls and exact sums, and changes without effect."""

import numpy as np
import pytest
from numpy.typing import NDArray

from segtasks.crf import CrfParameters, refine
from tests.helpers.crf_scenes import Float32, Scene, drawing, percent_different

DEFAULT = CrfParameters()
DEEPLAB = CrfParameters(iterations=10, pos_xy_std=1, bi_w=4, bi_xy_std=67, bi_rgb_std=3)


def plain_pydensecrf(scene: Scene, parameters: CrfParameters) -> Float32:
    """Call pydensecrf as in its README, on an 8-bit RGB image."""
    densecrf = pytest.importorskip("pydensecrf.densecrf", reason="the reference")
    K, H, W = scene.probabilities.shape
    field = densecrf.DenseCRF2D(W, H, K)
    unary = -np.log(np.clip(scene.probabilities, 1e-5, 1)).reshape(K, -1)
    field.setUnaryEnergy(np.ascontiguousarray(unary))
    field.addPairwiseGaussian(sxy=parameters.pos_xy_std, compat=parameters.pos_w)
    rgb = np.ascontiguousarray(np.moveaxis(scene.image8, 0, -1).astype(np.uint8))
    xy_std, rgb_std = parameters.bi_xy_std, parameters.bi_rgb_std
    field.addPairwiseBilateral(sxy=xy_std, srgb=rgb_std, rgbim=rgb, compat=parameters.bi_w)
    marginals = np.asarray(field.inference(parameters.iterations))
    return marginals.reshape(K, H, W)


@pytest.mark.parametrize("classes", [2, 6, 21])
@pytest.mark.parametrize("parameters", [DEFAULT, DEEPLAB], ids=["default", "deeplab"])
def test_at_the_rasters_corner_equals_plain_pydensecrf(
    classes: int, parameters: CrfParameters
) -> None:
    scene = drawing(160, classes)
    plain = plain_pydensecrf(scene, parameters)
    ours = scene.refined(0, 0, parameters, "pydensecrf")
    np.testing.assert_array_equal(ours, plain)
    assert percent_different(ours.argmax(0), scene.probabilities.argmax(0)) > 1  # it does something


def exact_mean_field(scene: Scene, parameters: CrfParameters) -> NDArray[np.float64]:
    """Compute algorithm 1 with sums over all pairs in float64 and symmetric normalisation."""
    K, H, W = scene.probabilities.shape
    unary = -np.log(np.clip(scene.probabilities.reshape(K, -1).astype(np.float64), 1e-5, 1))
    yx = np.indices((H, W)).reshape(2, -1).astype(np.float64)
    colours = scene.image8.reshape(len(scene.image8), -1) / parameters.bi_rgb_std
    position = gauss(yx / parameters.pos_xy_std)
    bilateral = gauss(np.concatenate([yx / parameters.bi_xy_std, colours]))
    kernel = parameters.pos_w * position + parameters.bi_w * bilateral
    q = softmax(-unary)
    for _ in range(parameters.iterations):
        q = softmax(-unary + q @ kernel)
    return np.asarray(q.reshape(K, H, W))


def gauss(features: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the kernel D^-1/2 k D^-1/2 (pixels, pixels) of features (d, pixels)."""
    squares = (features**2).sum(axis=0)
    kernel = np.exp(features.T @ features - squares[:, None] / 2 - squares / 2)
    scale = 1 / np.sqrt(kernel.sum(axis=0))
    return np.asarray(scale[:, None] * kernel * scale)


def softmax(energy: NDArray[np.float64]) -> NDArray[np.float64]:
    odds = np.exp(energy - energy.max(axis=0))
    return np.asarray(odds / odds.sum(axis=0))


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("iterations", [1, 5])
def test_close_to_exact_sums(seed: int, iterations: int) -> None:
    # Loose, as the permutohedral lattice itself is an approximation: seen 0.004-0.005 and 0.5-2 %.
    scene = drawing(24, 6, seed=seed)
    parameters = CrfParameters(bi_xy_std=8, iterations=iterations)
    ours, exact = scene.refined(0, 0, parameters), exact_mean_field(scene, parameters)
    assert np.abs(ours - exact).mean() < 0.01
    assert percent_different(ours.argmax(0), exact.argmax(0)) < 3
    # Doing nothing would not pass.
    assert np.abs(scene.probabilities - exact).mean() > 0.03


@pytest.mark.parametrize("bands", [1, 4, 7])
def test_any_number_of_bands(bands: int) -> None:
    marginals = drawing(64, 4, bands).refined(0, 0, DEFAULT)
    np.testing.assert_allclose(marginals.sum(axis=0), 1, atol=1e-5)


def test_a_constant_fourth_band_changes_little() -> None:
    # Another dimension is another lattice: close, not equal.
    scene = drawing(128)
    flat = np.full((1, 128, 128), 90, np.float32)
    four = Scene(scene.probabilities, np.concatenate([scene.image8, flat]))
    some, others = scene.labels(DEFAULT), four.labels(DEFAULT)
    assert percent_different(some, others) < 3


def test_16_bit_source_scaled_to_8_bit_units_is_the_same() -> None:
    scene = drawing(96)
    source = scene.image8.astype(np.uint16) * 257
    scaled = Scene(scene.probabilities, source.astype(np.float32) * np.float32(255 / 65535))
    some, others = (s.refined(0, 0, DEFAULT) for s in (scene, scaled))
    np.testing.assert_allclose(some, others, atol=1e-3)
    assert percent_different(some.argmax(0), others.argmax(0)) == 0


def test_what_lies_under_nodata_does_not_matter() -> None:
    scene = drawing(96)
    valid = np.random.default_rng(0).random((96, 96)) > 0.2
    valid[20:50, 30:70] = False
    spoiled = Scene(scene.probabilities.copy(), scene.image8.copy())
    spoiled.probabilities[:, ~valid], spoiled.image8[:, ~valid] = np.nan, -1e9
    some, others = (
        refine(s.probabilities, s.image8, valid, row=5, col=7, parameters=DEFAULT)
        for s in (scene, spoiled)
    )
    np.testing.assert_array_equal(some, others)
    assert not some[:, ~valid].any()
    np.testing.assert_allclose(some[:, valid].sum(axis=0), 1, atol=1e-5)


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (0, 4)])
def test_tiny_windows(shape: tuple[int, int]) -> None:
    probabilities = np.full((2, *shape), 0.5, np.float16)
    image8, valid = np.zeros((3, *shape), np.float32), np.ones(shape, bool)
    marginals = refine(probabilities, image8, valid, row=0, col=0, parameters=DEFAULT)
    np.testing.assert_allclose(marginals, np.full((2, *shape), 0.5))


def test_window_without_data_gives_zeros() -> None:
    probabilities, image8 = np.full((2, 5, 5), np.nan), np.full((3, 5, 5), np.nan, np.float32)
    valid = np.zeros((5, 5), bool)
    marginals = refine(probabilities, image8, valid, row=0, col=0, parameters=DEFAULT)
    assert marginals.shape == (2, 5, 5)
    assert not marginals.any()


def test_without_weights_the_marginals_are_the_probabilities() -> None:
    scene = drawing(64)
    marginals = scene.refined(0, 0, CrfParameters(pos_w=0, bi_w=0))
    np.testing.assert_allclose(marginals, scene.probabilities, atol=1e-4)


def test_probabilities_stored_as_float16_give_the_same_labels() -> None:
    scene = drawing(128)
    stored = Scene(scene.probabilities.astype(np.float16).astype(np.float32), scene.image8)
    some, others = scene.labels(DEFAULT), stored.labels(DEFAULT)
    assert percent_different(some, others) < 0.02
