"""The results of a tuning as plain values for JSON, a table and CSV; ``None`` if undefined."""

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from segtasks.config.crf import PRESETS
from segtasks.evaluation.crf_tuning.recommendation import Recommendation, recommend
from segtasks.evaluation.crf_tuning.sample_windows import Place
from segtasks.evaluation.crf_tuning.trial import Measured
from segtasks.evaluation.crf_tuning.tune import Row, Tuning
from segtasks.evaluation.figures import rounded

PARAMETERS = ("iterations", "pos_w", "pos_xy_std", "bi_w", "bi_xy_std", "bi_rgb_std")
Figures = dict[str, Any]


def figures(result: Tuning) -> Figures:
    """Return all results by name, with rows in the order in which they were tried."""
    advice = recommend(result)
    return {
        "advice": advice.text,
        "take": advice.takes,
        "setting": advice.setting,
        "objective": advice.objective,
        "gains": {
            key: {
                "gain": rounded(gain.value),
                "interval": gain.bounds and [rounded(bound) for bound in gain.bounds],
            }
            for key, gain in advice.gains.items()
        },
        "crf": crf(result, advice),
        "rows": [_row(row, result) for row in result.rows],
        "method": result.job.method,
        "seed": result.job.seed,
        "backend": result.scorer.backend,
        "boundary_tolerance_px": result.job.tolerance_px,
        "classes": [entry.name for entry in result.legend],
        "windows": {"tuning": _places(result.tuning), "held_out": _places(result.held_out)},
    }


def crf(result: Tuning, advice: Recommendation) -> Figures | None:
    """Return the part `crf` of a job with the recommended setting, or ``None``."""
    taken = [row for row in result.rows if advice.takes and row.name == advice.setting]
    return _parameters(taken[0]) if taken else None


def table(rows: Sequence[Figures]) -> bytes:
    """Return the rows as CSV."""
    text = io.StringIO()
    writer = csv.DictWriter(text, rows[0], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def lines(found: Figures) -> list[str]:
    """Return a text table: first without a CRF, then the presets, then the rest, best first."""
    first = 1 + len(PRESETS)
    fixed, tried = found["rows"][:first], found["rows"][first:]
    tried = sorted(tried, key=lambda row: row["objective"] or 0, reverse=True)
    counts = [len(found["windows"][part]) for part in ("tuning", "held_out")]
    figures_ = f"{'mIoU':>9}{'bound.F':>9}{'CPU s':>8}   {'held out: mIoU':<16}bound.F"
    return [
        f"{counts[0]} windows to tune on, {counts[1]} held out",
        "",
        f"{'setting':<14}{'it':>4}{'pos w/xy':>12}{'bi w/xy/rgb':>18}{figures_}",
        *(_line(row) for row in (*fixed, *tried)),
        "",
        found["advice"],
    ]


def _row(row: Row, result: Tuning) -> Figures:
    held_out = row.held_out
    return {
        "setting": row.name,
        **(_parameters(row) or dict.fromkeys(PARAMETERS)),
        **_measured(row.tuning),
        "objective": rounded(row.tuning.value(result.job.objective)),
        "seconds": round(row.tuning.seconds, 2),
        **{f"held_out_{k}": v for k, v in _measured(held_out).items()},
    }


def _parameters(row: Row) -> Figures | None:
    setting = row.setting
    return None if setting is None else {key: getattr(setting, key) for key in PARAMETERS}


def _measured(measured: Measured | None) -> Figures:
    if measured is None:
        return {"mean_iou": None, "boundary_f": None}
    return {
        "mean_iou": rounded(measured.mean_iou),
        "boundary_f": rounded(measured.boundary_f),
    }


def _places(places: Sequence[Place]) -> list[Figures]:
    return [{"workspace": each.source.url, **asdict(each.core)} for each in places]


def _line(row: Figures) -> str:
    if row["iterations"] is None:
        setting = f"{'':>34}"
    else:
        position = f"{row['pos_w']:g}/{row['pos_xy_std']:g}"
        bilateral = f"{row['bi_w']:g}/{row['bi_xy_std']:g}/{row['bi_rgb_std']:g}"
        setting = f"{row['iterations']:>4}{position:>12}{bilateral:>18}"
    figures_ = "".join(f"{_ratio(row[key]):>9}" for key in ("mean_iou", "boundary_f"))
    held = "".join(f"{_ratio(row[f'held_out_{key}']):<16}" for key in ("mean_iou", "boundary_f"))
    shown = f"   {held}" if row["held_out_mean_iou"] is not None else ""
    return f"{row['setting']:<14}{setting}{figures_}{row['seconds']:>8.1f}{shown}".rstrip()


def _ratio(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
