"""Estimate the area per class: the mask's areas, corrected by its errors.

This is the stratified estimation of Olofsson et al. 2014 (doi:10.1016/j.rse.2014.02.015). The
strata are the mask's classes i with area proportions W_i. The labelled pixels are the reference
sample: n_ik of them lie in stratum i and have label k. The proportion of class k is (eq. 9)
p_k = Σ_i W_i n_ik / n_i, and its standard error (eq. 10) is
sqrt(Σ_i W_i² q (1 - q) / (n_i - 1)) with q = n_ik / n_i. Eq. 11 multiplies by the area. Confusion
matrices here have labels as rows, so n_ik is ``counts[k, i]``.
"""

import numpy as np
from numpy.typing import NDArray

from segtasks.evaluation.metrics import Floats, ratio

Z95 = 1.959964
"""Standard normal quantile of a two-sided 95 % interval."""


def estimated_areas(counts: NDArray[np.number], mapped: Floats) -> Floats:
    """Compute error-adjusted areas, eq. 9.

    Args:
        counts: confusion matrices (..., K, K), rows labels, columns mask.
        mapped: area of each class in the mask (K,), in any unit.

    Returns:
        Areas (..., K) in that unit; NaN if a class of the mask has no labelled pixel, since its
        errors are then unknown.
    """
    areas: Floats = (mapped * _shares(counts, mapped)).sum(-1)
    return areas


def standard_errors(counts: NDArray[np.number], mapped: Floats) -> Floats:
    """Compute standard errors (K,) of `estimated_areas`, eqs. 10 and 11.

    They are NaN if a class of the mask has only one labelled pixel.
    """
    share = _shares(counts, mapped)
    freedom = counts.sum(-2) - 1
    variance = ratio(share * (1 - share), np.where(mapped > 0, freedom, 1)[None, :])
    errors: Floats = np.sqrt((mapped**2 * variance).sum(-1))
    return errors


def _shares(counts: NDArray[np.number], mapped: Floats) -> Floats:
    """Return n_ik / n_i as (..., k, i); 0 for strata without area, even if they have samples."""
    shares = ratio(counts, counts.sum(-2, keepdims=True))
    return np.where(mapped > 0, shares, 0.0)
