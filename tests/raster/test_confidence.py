"""Confidence of labels: compared with scipy and sorting, and the same for any tiles."""

import hypothesis.extra.numpy as hnp
import numpy as np
import numpy.typing as npt
import pytest
import scipy.special
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from segtasks.raster import confidence
from segtasks.raster.confidence import MAX_CONFIDENCE, Kind

Floats = npt.NDArray[np.float32]
KINDS: tuple[Kind, ...] = ("max_probability", "margin", "entropy")


def probabilities(classes: int, height: int, width: int, seed: int = 0) -> Floats:
    logits = np.random.default_rng(seed).normal(0, 4, (classes, height, width))
    found: Floats = scipy.special.softmax(logits, axis=0).astype(np.float32)
    return found


def expected(shares: Floats, kind: Kind) -> npt.NDArray[np.float64]:
    exact = shares.astype(np.float64)
    ordered = np.sort(exact, axis=0)
    values: dict[Kind, npt.NDArray[np.float64]] = {
        "max_probability": ordered[-1],
        "margin": ordered[-1] - ordered[-2],
        "entropy": 1 - scipy.stats.entropy(exact, base=len(exact), axis=0),
    }
    return values[kind]


@pytest.mark.parametrize("classes", [2, 3, 9])
@pytest.mark.parametrize("kind", KINDS)
def test_a_byte_is_the_value_to_half_a_step(kind: Kind, classes: int) -> None:
    shares = probabilities(classes, 33, 57)
    found = confidence.quantise_confidence(shares, kind) / MAX_CONFIDENCE
    np.testing.assert_allclose(found, expected(shares, kind), atol=0.5 / MAX_CONFIDENCE + 1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_certain_is_full_and_nothing_is_nodata(kind: Kind) -> None:
    certain = np.zeros((4, 1, 2), np.float32)
    certain[2, 0, 0] = certain[0, 0, 1] = 1
    assert (confidence.quantise_confidence(certain, kind) == MAX_CONFIDENCE).all()
    even = confidence.quantise_confidence(np.full((4, 1, 1), 0.25, np.float32), kind)
    assert even[0, 0] == (round(MAX_CONFIDENCE / 4) if kind == "max_probability" else 0)


@given(
    row=st.integers(0, 60),
    col=st.integers(0, 60),
    size=st.integers(1, 64),
    kind=st.sampled_from(KINDS),
)
def test_a_window_has_the_bytes_of_the_whole(row: int, col: int, size: int, kind: Kind) -> None:
    shares = WHOLE[kind]
    part = np.s_[row : row + size, col : col + size]
    found = confidence.quantise_confidence(SHARES[(slice(None), *part)], kind)
    np.testing.assert_array_equal(found, shares[part])


SHARES = probabilities(5, 70, 90)
WHOLE = {kind: confidence.quantise_confidence(SHARES, kind) for kind in KINDS}


@given(
    hnp.arrays(
        np.float32,
        hnp.array_shapes(min_dims=3, max_dims=3, min_side=2, max_side=5),
        elements=st.floats(-1e4, 1e4, width=32),
    )
)
def test_softmax_is_scipys(logits: Floats) -> None:
    exact = scipy.special.softmax(logits.astype(np.float64), axis=0)
    np.testing.assert_allclose(confidence.softmax(logits), exact, atol=1e-6)
