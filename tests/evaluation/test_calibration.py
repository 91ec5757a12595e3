"""Calibration error, compared with a slow loop over the bins of the paper."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segtasks.evaluation.calibration import BINS, Calibration, calibration_sums

PIXELS = st.lists(st.tuples(st.floats(0, 1, width=32), st.booleans()), min_size=1, max_size=60)


@given(PIXELS)
def test_expected_error_is_that_of_a_slow_loop(pixels: list[tuple[float, bool]]) -> None:
    slow = 0.0
    for m in range(1, BINS + 1):
        # The first bin takes 0 as well: no pixel may be lost.
        least = -1.0 if m == 1 else (m - 1) / BINS
        held = [(p, right) for p, right in pixels if least < p <= m / BINS]
        if held:
            accuracy = sum(right for _, right in held) / len(held)
            confidence = sum(p for p, _ in held) / len(held)
            slow += len(held) / len(pixels) * abs(accuracy - confidence)
    sure = np.array([p for p, _ in pixels], np.float32)
    found = Calibration(calibration_sums(sure, np.array([right for _, right in pixels])))
    assert found.expected_error == pytest.approx(slow, abs=1e-6)
    assert found.pixels.sum() == len(pixels)


def test_certain_and_always_wrong_is_the_worst() -> None:
    sums = calibration_sums(np.ones(4, np.float32), np.zeros(4, bool))
    assert Calibration(sums).expected_error == 1
    assert Calibration(sums).accuracy[-1] == 0
    assert np.isnan(Calibration(sums).accuracy[0])


def test_nothing_counted_is_not_a_number() -> None:
    assert np.isnan(Calibration(np.zeros((3, BINS))).expected_error)
