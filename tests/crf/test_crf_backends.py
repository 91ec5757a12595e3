"""The interface of the backends: which one is chosen, and which inputs are refused for all."""

import sys
import types
from typing import Any

import numpy as np
import pytest

from segtasks.crf import CrfParameters, backends
from segtasks.crf.backends import BACKENDS, Kernel, kernel
from segtasks.errors import CrfError
from tests.helpers.crf_scenes import drawing

K, PIXELS = 3, 20
Array = Any


def features(dims: int = 2, pixels: int = PIXELS) -> Array:
    return np.random.default_rng(0).uniform(0, 3, (dims, pixels)).astype(np.float32)


def unary(pixels: int = PIXELS) -> Array:
    return np.random.default_rng(1).uniform(0, 3, (K, pixels)).astype(np.float32)


def hide(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Make imports of these modules fail, as if they were not installed."""
    for name in names:
        monkeypatch.setitem(sys.modules, name, None)


def test_auto_takes_native_then_pydensecrf_then_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, BACKENDS["native"], types.ModuleType("native"))
    assert backends.resolve("auto") == "native"
    assert backends.resolve("auto", has_cuda=True) == "torch"
    hide(monkeypatch, BACKENDS["native"])
    monkeypatch.setitem(sys.modules, BACKENDS["pydensecrf"], types.ModuleType("pydensecrf"))
    assert backends.resolve("auto") == "pydensecrf"
    hide(monkeypatch, BACKENDS["pydensecrf"])
    assert backends.resolve("auto") == "torch"
    assert backends.resolve("exact") == "exact"


def test_a_missing_backend_is_refused_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    hide(monkeypatch, "pydensecrf", BACKENDS["pydensecrf"])
    with pytest.raises(CrfError, match=r"pip install 'pydensecrf2>=1\.1'"):
        backends.marginals("pydensecrf", unary(), [], 1)


def test_an_unknown_backend_is_refused_with_the_known_ones() -> None:
    with pytest.raises(CrfError, match="CRF backend 'cuda': use auto or one of native, pydensecrf"):
        backends.resolve("cuda")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda u: u.astype(np.float64), r"unary is float64 \(3, 20\), must be float32"),
        (lambda u: u[:1], r"unary is float32 \(1, 20\).*K >= 2"),
        (lambda u: u[:, :0], r"unary is float32 \(3, 0\).*pixels > 0"),
        (lambda u: u.reshape(3, 4, 5), r"must be float32 \(K, pixels\)"),
        (lambda u: np.where(u == u[1, 3], np.nan, u), "NaN or infinite energies"),
        (lambda u: np.where(u == u[1, 3], np.inf, u), "NaN or infinite energies"),
        (lambda u: u[:, :-1], r"kernel of 3 classes and 20 pixels does not fit unary \(3, 19\)"),
        (lambda u: u[:-1], r"kernel of 3 classes and 20 pixels does not fit unary \(2, 20\)"),
    ],
)
def test_unary_that_does_not_fit_is_refused(change: Any, message: str) -> None:  # noqa: ANN401
    kernels = [Kernel(features(), kernel.potts(K, 3))]
    with pytest.raises(CrfError, match=message):
        backends.marginals("auto", change(unary()), kernels, 1)


def test_no_iterations_are_refused() -> None:
    with pytest.raises(CrfError, match="iterations is 0, must be >= 1"):
        backends.marginals("auto", unary(), [], 0)


def with_value(array: Array, value: float) -> Array:
    array[0, 1] = value
    return array


@pytest.mark.parametrize(
    ("made", "matrix", "message"),
    [
        (features().astype(np.float64), kernel.potts(K, 3), r"features are float64 \(2, 20\)"),
        (features()[0], kernel.potts(K, 3), r"features are float32 \(20,\)"),
        (features(0), kernel.potts(K, 3), "d >= 1"),
        (features()[:, ::2], kernel.potts(K, 3), "not C-contiguous"),
        (with_value(features(), np.nan), kernel.potts(K, 3), "features hold NaN or infinity"),
        (with_value(features(), np.inf), kernel.potts(K, 3), "features hold NaN or infinity"),
        (with_value(features(), 1e5), kernel.potts(K, 3), "lattice key .*, at most 32000"),
        (with_value(features(), -1e5), kernel.potts(K, 3), "lattice key .*, at most 32000"),
        (features(), kernel.potts(K, 3)[:-1], r"float32 \(2, 3\), must be float32 \(K, K\)"),
        (features(), kernel.potts(K, 3)[0], r"float32 \(3,\), must be"),
        (features(), np.eye(K), "compatibility is float64"),
        (features(), np.zeros((1, 1), np.float32), "needs 2 classes or more"),
        (features(), kernel.potts(K, np.nan), "compatibility holds NaN or infinity"),
        (
            features(),
            with_value(kernel.potts(K, 3), 5),
            "classes 0, 1 is 5 and of 1, 0 3, must be equal",
        ),
    ],
)
def test_a_kernel_that_would_crash_or_give_nan_is_refused(
    made: Array, matrix: Array, message: str
) -> None:
    with pytest.raises(CrfError, match=message):
        Kernel(made, matrix)


def test_only_potts_has_a_potts_weight() -> None:
    assert Kernel(features(), kernel.potts(K, 3)).potts_w == 3
    assert Kernel(features(), kernel.potts(2, -1.1)).potts_w == pytest.approx(-1.1)
    assert Kernel(features(), kernel.potts(K, 3) + np.float32(1)).potts_w is None
    unequal = kernel.potts(K, 3)
    unequal[0, 1] = unequal[1, 0] = 4
    assert Kernel(features(), unequal).potts_w is None


def test_inputs_are_not_changed() -> None:
    scene = drawing(48)
    before = scene.probabilities.copy()
    energies, made = unary(), Kernel(features(), kernel.potts(K, 3))
    kept = energies.copy(), made.features.copy()
    backends.marginals("auto", energies, [made], 3)
    scene.refined(0, 0, CrfParameters())
    np.testing.assert_array_equal(scene.probabilities, before)
    np.testing.assert_array_equal(energies, kept[0])
    np.testing.assert_array_equal(made.features, kept[1])
