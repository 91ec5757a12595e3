"""Inputs that crash pydensecrf or give NaN, each of them observed, are refused with a message."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from segtasks.crf import CrfParameters, is_certain, refine
from segtasks.errors import CrfError

K, C, H, W = 3, 3, 6, 8
Array = NDArray[Any]


def good() -> dict[str, Array]:
    rng = np.random.default_rng(0)
    return {
        "probabilities": np.moveaxis(rng.dirichlet(np.ones(K), (H, W)), -1, 0).astype(np.float32),
        "image8": rng.uniform(0, 255, (C, H, W)).astype(np.float32),
        "valid": np.ones((H, W), bool),
    }


FAST = CrfParameters(iterations=2, bi_xy_std=4)


def refined(
    arrays: dict[str, Any], row: int = 0, parameters: CrfParameters = FAST
) -> NDArray[np.float32]:
    return refine(**arrays, row=row, col=0, parameters=parameters)


def spoiled(name: str, value: float) -> dict[str, Array]:
    arrays = good()
    arrays[name][0, 2, 3] = value
    return arrays


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 7.0, -3.0])
def test_one_bad_probability_is_refused(value: float) -> None:
    with pytest.raises(CrfError, match=r"probabilities are .*must be finite and within 0\.\.1"):
        refined(spoiled("probabilities", value))


@pytest.mark.parametrize("value", [np.nan, np.inf, -1.0, 65535.0])
def test_one_bad_image_value_is_refused(value: float) -> None:
    with pytest.raises(CrfError, match=r"image8 band 0 is .*must be finite and within 0\.\.255"):
        refined(spoiled("image8", value))


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        # a softmax with its classes last, and flattened ones
        ("probabilities", lambda p: p.transpose(1, 2, 0), "do not fit"),
        ("probabilities", lambda p: p.reshape(K, -1), "do not fit"),
        # width and height swapped: pydensecrf without a bilateral term answers, wrongly
        ("probabilities", lambda p: p.transpose(0, 2, 1), "do not fit"),
        ("image8", lambda i: i.transpose(1, 2, 0), "do not fit"),
        ("image8", lambda i: i[:, :-1], "do not fit"),
        ("valid", lambda v: v[None], "do not fit"),
        # the wrong unit or type
        ("probabilities", lambda p: (p * 255).astype(np.uint8), r"is uint8, must be float"),
        ("probabilities", lambda p: p.tolist(), r"is a list, must be a numpy array"),
        ("image8", lambda i: i.astype(np.uint8), r"is uint8, must be float32 \(C, H, W\)"),
        ("valid", lambda v: v.astype(np.uint8), r"is uint8, must be bool \(H, W\)"),
        # one class, and scores that are no distribution
        ("probabilities", lambda p: p[:1] * 0 + 1, "got 1 class, needs >= 2"),
        ("probabilities", lambda p: p * 0.5, "miss the sum 1 by"),
    ],
)
def test_array_that_does_not_fit_is_refused(name: str, change: Any, message: str) -> None:  # noqa: ANN401
    arrays: dict[str, Any] = good()
    arrays[name] = change(arrays[name])
    with pytest.raises(CrfError, match=message):
        refined(arrays)


def test_window_before_the_raster_is_refused() -> None:
    with pytest.raises(CrfError, match="must be >= 0: count from the raster's corner"):
        refined(good(), row=-1)


@pytest.mark.parametrize("name", ["bi_xy_std", "pos_xy_std", "bi_rgb_std"])
def test_std_so_small_that_lattice_keys_wrap_is_refused(name: str) -> None:
    small: dict[str, Any] = {name: 1e-5}
    with pytest.raises(CrfError, match=r"lattice key .*enlarge pos_xy_std"):
        refined(good(), parameters=replace(FAST, **small))


@pytest.mark.parametrize(
    "change",
    [
        lambda a: a.astype(np.float64) if a.shape[0] == K and a.max() <= 1 else a,
        np.asfortranarray,
        lambda a: a[..., ::-1].copy()[..., ::-1],
        lambda a: np.frombuffer(a.tobytes(), a.dtype).reshape(a.shape),
    ],
    ids=["float64", "fortran", "strided", "read-only"],
)
def test_memory_layout_does_not_matter(change: Any) -> None:  # noqa: ANN401
    arrays = good()
    changed = {name: change(array) for name, array in arrays.items()}
    np.testing.assert_array_equal(refined(changed), refined(arrays))


def test_inputs_are_left_as_they_were() -> None:
    arrays = good()
    refined(arrays)
    for name, array in good().items():
        np.testing.assert_array_equal(arrays[name], array)


@pytest.mark.parametrize("threshold", [0.9, 0.99])
def test_core_is_certain_only_if_every_valid_pixel_is(threshold: float) -> None:
    probabilities = np.stack([np.full((4, 4), 0.999), np.full((4, 4), 0.001)])
    valid = np.ones((4, 4), bool)
    assert is_certain(probabilities, valid, threshold)
    probabilities[:, 1, 1] = 0.5
    assert not is_certain(probabilities, valid, threshold)
    valid[1, 1] = False
    assert is_certain(probabilities, valid, threshold)


def test_core_without_data_is_certain_and_one_with_nan_is_not() -> None:
    probabilities = np.full((2, 4, 4), np.nan)
    assert is_certain(probabilities, np.zeros((4, 4), bool))
    assert not is_certain(probabilities, np.ones((4, 4), bool))
