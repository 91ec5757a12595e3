"""An evaluation as plain values for JSON and the page; ``None`` where a figure is undefined."""

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
from segtasks.evaluation.metrics import Floats, class_iou, mean_iou
from segtasks.evaluation.scoring import Evaluation, Image

DIGITS = 6
Figures = dict[str, Any]
Columns = dict[str, NDArray[Any]]


def figures(made: Evaluation) -> Figures:
    """Everything that is known, by name."""
    tally, names = made.tally, [entry.name for entry in made.legend]
    return {
        **_overall(tally.mask),
        "mean_iou_interval": _rounded_pair(_mean_interval(made)),
        "labelled_px": tally.labelled_px,
        "boundary_tolerance_px": made.job.tolerance_px,
        "block_px": made.job.block_px,
        "blocks": made.draws.blocks,
        "replicates": REPLICATES if _enough(made) else 0,
        "area_unit": tally.area_unit,
        "classes": dict(zip(names, _classes(made, tally), strict=True)),
        "before": _before(made, tally, names),
        "calibration": tally.confidence and _calibration(tally.confidence),
        "confusion": tally.mask.confusion.tolist(),
        "images": [_image(image, names) for image in made.images],
    }


def _overall(judged: MaskCounts) -> Figures:
    """The figures of one mask over all classes."""
    scores = judged.scores
    return {
        "mean_iou": rounded(scores.mean_iou),
        "pixel_accuracy": rounded(scores.pixel_accuracy),
        "frequency_weighted_iou": rounded(scores.frequency_weighted_iou),
        "mean_f1": rounded(_mean(scores.f1)),
        "mean_boundary_f": rounded(judged.outline.mean_f),
    }


def _classes(made: Evaluation, tally: ImageCounts) -> list[Figures]:
    """The figures of each class."""
    quality = _columns(_quality(tally.mask))
    areas = _columns(_areas(tally))
    enough = _enough(made)
    ious, bounds = (
        class_intervals(made.replicates[0], figures_of) if enough else [None] * len(areas)
        for figures_of in (class_iou, lambda counts: estimated_areas(counts, tally.area))
    )
    return [
        own | {"iou_interval": _rounded_pair(iou)} | {"area": area | {"block_interval": bound}}
        for own, iou, area, bound in zip(quality, ious, areas, bounds, strict=True)
    ]


def _quality(judged: MaskCounts) -> Columns:
    scores, outline = judged.scores, judged.outline
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
    """Areas of each class: of the mask, and as the labels correct it, with 95 % bounds."""
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


def _before(made: Evaluation, tally: ImageCounts, names: Sequence[str]) -> Figures | None:
    """What the mask was before the CRF, and what the CRF gained."""
    if tally.before is None:
        return None
    per_class = _columns(_quality(tally.before))
    ious = [mean_iou(replicates.counts) for replicates in made.replicates]
    gain = tally.mask.scores.mean_iou - tally.before.scores.mean_iou
    return {
        **_overall(tally.before),
        "classes": dict(zip(names, per_class, strict=True)),
        "gain": rounded(gain),
        "gain_interval": _rounded_pair(interval(ious[0] - ious[1]) if _enough(made) else None),
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
    judged, before = image.tally.mask, image.tally.before
    ious = [rounded(iou) for iou in judged.scores.class_iou.tolist()]
    return {
        "mask": redact_url(image.pair.mask),
        "labels": redact_url(image.pair.labels),
        "labelled_px": image.tally.labelled_px,
        **_overall(judged),
        "mean_iou_before": None if before is None else rounded(before.scores.mean_iou),
        "iou": dict(zip(names, ious, strict=True)),
    }


def _enough(made: Evaluation) -> bool:
    return made.draws.blocks >= LEAST_BLOCKS


def _mean_interval(made: Evaluation) -> Interval | None:
    return interval(mean_iou(made.replicates[0].counts)) if _enough(made) else None


def _mean(values: Floats) -> float:
    occurs = values[~np.isnan(values)]
    return float(occurs.mean()) if occurs.size else float("nan")


def _columns(table: Columns) -> list[Figures]:
    """One row per entry of the columns."""
    rows = zip(*(column.tolist() for column in table.values()), strict=True)
    return [dict(zip(table, map(rounded, row), strict=True)) for row in rows]


def rounded(value: float) -> float | None:
    """Return the figure as it is published, ``None`` for NaN."""
    return None if np.isnan(value) else round(value, DIGITS)


def _rounded_pair(pair: Interval | None) -> list[float | None] | None:
    return pair and [rounded(value) for value in pair]
