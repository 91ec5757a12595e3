"""Area per class as the labels see it: the mask's areas, corrected by its errors.

Stratified estimation of Olofsson et al. 2014 (doi:10.1016/j.rse.2014.02.015): the strata are the
mask's classes i with area shares W_i, the labelled pixels are the reference sample, n_ik of those
of stratum i being labelled k. Share of class k, eq. 9: p_k = Σ_i W_i n_ik / n_i; its standard
error, eq. 10: sqrt(Σ_i W_i² q (1 - q) / (n_i - 1)) with q = n_ik / n_i; eq. 11 multiplies by the
area. Our confusion matrices have labels as rows: n_ik is ``counts[k, i]``.
"""

import numpy as np
from numpy.typing import NDArray

from segtasks.evaluation.metrics import Floats, ratio

Z95 = 1.959964
"""Standard normal quantile of a two-sided 95 % interval."""


def estimated_areas(counts: NDArray[np.number], mapped: Floats) -> Floats:
    """Error-adjusted areas, eq. 9.

    Args:
        counts: (..., K, K), rows labels, columns mask.
        mapped: area of each class in the mask (K,), in any unit.

    Returns:
        (..., K) in that unit; NaN where a class of the mask has no labelled pixel, since nothing
        is known then of what it hides.
    """
    areas: Floats = (mapped * _shares(counts, mapped)).sum(-1)
    return areas


def standard_errors(counts: NDArray[np.number], mapped: Floats) -> Floats:
    """Standard errors (K,) of `estimated_areas`, eqs. 10 and 11; NaN from one labelled pixel."""
    share = _shares(counts, mapped)
    freedom = counts.sum(-2) - 1
    variance = ratio(share * (1 - share), np.where(mapped > 0, freedom, 1)[None, :])
    errors: Floats = np.sqrt((mapped**2 * variance).sum(-1))
    return errors


def _shares(counts: NDArray[np.number], mapped: Floats) -> Floats:
    """n_ik / n_i as (..., k, i); 0 for strata without area, whatever was sampled there."""
    shares = ratio(counts, counts.sum(-2, keepdims=True))
    return np.where(mapped > 0, shares, 0.0)
