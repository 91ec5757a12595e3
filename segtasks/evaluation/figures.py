"""The metrics of an evaluation as plain values for JSON and HTML; ``None`` if undefined."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segtasks.errors import redact_url
from segtasks.evaluation.area_estimation import Z95, estimated_areas, standard_errors
from segtasks.evaluation.bootstrap import (
    LEAST_BLOCKS,
    REPLICATES,
    Interval,
    class_intervals,
    interval,
)
from segtasks.evaluation.calibration import BINS, Calibration
from segtasks.evaluation.counts import ImageCounts, MaskCounts
from segtasks.evaluation.metrics import class_iou, mean_iou
from segtasks.evaluation.scoring import Evaluation, Image

DIGITS = 6
Figures = dict[str, Any]
Columns = dict[str, NDArray[Any]]


def figures(evaluation: Evaluation) -> Figures:
    """Return all results of an evaluation by name."""
    tally, names = evaluation.tally, [entry.name for entry in evaluation.legend]
    mean_interval = None
    if _enough(evaluation):
        mean_interval = interval(mean_iou(evaluation.replicates[0].counts))
    return {
        **_overall(tally.mask),
        "mean_iou_interval": _rounded_pair(mean_interval),
        "labelled_px": tally.labelled_px,
        "boundary_tolerance_px": evaluation.job.tolerance_px,
        "block_px": evaluation.job.block_px,
        "blocks": evaluation.draws.blocks,
        "replicates": REPLICATES if _enough(evaluation) else 0,
        "area_unit": tally.area_unit,
        "classes": dict(zip(names, _classes(evaluation, tally), strict=True)),
        "before": _before(evaluation, tally, names),
        "calibration": tally.confidence and _calibration(tally.confidence),
        "confusion": tally.mask.confusion.tolist(),
        "images": [_image(image, names) for image in evaluation.images],
    }


def _overall(counts: MaskCounts) -> Figures:
    """Return the metrics of one mask over all classes."""
    scores = counts.scores
    f1 = scores.f1[~np.isnan(scores.f1)]
    return {
        "mean_iou": rounded(scores.mean_iou),
        "pixel_accuracy": rounded(scores.pixel_accuracy),
        "frequency_weighted_iou": rounded(scores.frequency_weighted_iou),
        "mean_f1": rounded(float(f1.mean()) if f1.size else float("nan")),
        "mean_boundary_f": rounded(counts.outline.mean_f),
    }


def _classes(evaluation: Evaluation, tally: ImageCounts) -> list[Figures]:
    """Return the metrics of each class."""
    quality = _columns(_quality(tally.mask))
    areas = _columns(_areas(tally))
    enough = _enough(evaluation)
    ious, bounds = (
        class_intervals(evaluation.replicates[0], figures_of) if enough else [None] * len(areas)
        for figures_of in (class_iou, lambda counts: estimated_areas(counts, tally.area))
    )
    return [
        own | {"iou_interval": _rounded_pair(iou)} | {"area": area | {"block_interval": bound}}
        for own, iou, area, bound in zip(quality, ious, areas, bounds, strict=True)
    ]


def _quality(counts: MaskCounts) -> Columns:
    scores, outline = counts.scores, counts.outline
    return {
        "iou": scores.class_iou,
        "f1": scores.f1,
        "precision": scores.precision,
        "recall": scores.recall,
        "boundary_f": outline.class_f,
        "boundary_precision": outline.precision,
        "boundary_recall": outline.recall,
        "support_px": scores.support,
    }


def _areas(tally: ImageCounts) -> Columns:
    """Return areas per class: of the mask, and corrected by its errors with 95 % bounds."""
    counts, mapped = tally.mask.confusion, tally.area
    estimate, error = estimated_areas(counts, mapped), standard_errors(counts, mapped)
    return {
        "mapped": mapped,
        "mapped_px": tally.mapped[0].astype(np.int64),
        "estimated": estimate,
        "standard_error": error,
        "low": estimate - Z95 * error,
        "high": estimate + Z95 * error,
    }


def _before(evaluation: Evaluation, tally: ImageCounts, names: Sequence[str]) -> Figures | None:
    """Return the metrics of the mask before the CRF, and the gain by the CRF."""
    if tally.before is None:
        return None
    per_class = _columns(_quality(tally.before))
    ious = [mean_iou(replicates.counts) for replicates in evaluation.replicates]
    gain = tally.mask.scores.mean_iou - tally.before.scores.mean_iou
    return {
        **_overall(tally.before),
        "classes": dict(zip(names, per_class, strict=True)),
        "gain": rounded(gain),
        "gain_interval": _rounded_pair(
            interval(ious[0] - ious[1]) if _enough(evaluation) else None
        ),
    }


def _calibration(confidence: Calibration) -> Figures:
    edges = np.linspace(0, 1, BINS + 1)
    bins = {
        "above": edges[:-1],
        "up_to": edges[1:],
        "pixels": confidence.pixels,
        "confidence": confidence.confidence,
        "accuracy": confidence.accuracy,
    }
    error = rounded(confidence.expected_error)
    return {"expected_calibration_error": error, "bins": _columns(bins)}


def _image(image: Image, names: Sequence[str]) -> Figures:
    counts, before = image.tally.mask, image.tally.before
    ious = [rounded(iou) for iou in counts.scores.class_iou.tolist()]
    return {
        "mask": redact_url(image.pair.mask),
        "labels": redact_url(image.pair.labels),
        "labelled_px": image.tally.labelled_px,
        **_overall(counts),
        "mean_iou_before": None if before is None else rounded(before.scores.mean_iou),
        "iou": dict(zip(names, ious, strict=True)),
    }


def _enough(evaluation: Evaluation) -> bool:
    return evaluation.draws.blocks >= LEAST_BLOCKS


def _columns(table: Columns) -> list[Figures]:
    """Return one row per entry of the columns."""
    rows = zip(*(column.tolist() for column in table.values()), strict=True)
    return [dict(zip(table, map(rounded, row), strict=True)) for row in rows]


def rounded(value: float) -> float | None:
    """Round a number, and turn NaN into ``None``."""
    return None if np.isnan(value) else round(value, DIGITS)


def _rounded_pair(pair: Interval | None) -> list[float | None] | None:
    return pair and [rounded(value) for value in pair]
