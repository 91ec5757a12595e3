"""The command that evaluates masks: evaluate."""

import json
from collections.abc import Mapping
from typing import Any

import click

from segtasks.cli import model_options
from segtasks.cli.legend_options import legend_of, with_legend
from segtasks.config.evaluation_job import EvaluationJob
from segtasks.config.loading import read_job_file, validated
from segtasks.errors import JobError
from segtasks.storage.manifests import read_manifest

PAIR: dict[str, Any] = {"nargs": 2, "multiple": True, "metavar": "MASK LABELS"}


@click.command()
@click.argument("mask", required=False)
@click.argument("labels", required=False)
@click.option(
    "--before",
    metavar="MASK",
    help="A second mask to compare with, e.g. one without the CRF; may have {1} as in --pair.",
)
@click.option("--probabilities", metavar="URL", help="Workspace kept by the run of the mask.")
@click.option(
    "--pair",
    "more",
    **PAIR,
    help="Further masks with their labels. {1} in LABELS is replaced by the text that the first * "
    "in MASK matched.",
)
@click.option(
    "--manifest",
    metavar="FILE",
    help="CSV file with the columns mask, labels and optionally before, probabilities.",
)
@click.option(
    "--job", "job_file", metavar="FILE", help="YAML file with settings; options override them."
)
@with_legend
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
@model_options.options(EvaluationJob, without=frozenset({"pairs", "legend"}))
def evaluate(job_file: str | None, *, as_json: bool, **given: Any) -> None:  # noqa: ANN401 - click's
    """Compare MASK with LABELS: IoU, F1, boundaries, areas, calibration; --to writes a page."""
    from segtasks.cli.progress import shown_progress  # noqa: PLC0415 - --help needs no rasters
    from segtasks.evaluation.evaluate import evaluate as start  # noqa: PLC0415 - the same

    values = read_job_file(job_file) if job_file else {}
    over = model_options.merged(
        EvaluationJob, _lists(given), model_options.nested(EvaluationJob, given)
    )
    job = validated(EvaluationJob, model_options.merged(EvaluationJob, values, over))
    with shown_progress() as on_progress:
        found = start(job, on_progress=on_progress)
    urls = found.pop("urls")
    click.echo(json.dumps(found) if as_json else "\n".join([*lines(found), *_places(urls)]))


def _lists(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the pairs and the legend that arguments and options give."""
    pairs = [{"mask": mask, "labels": labels} for mask, labels in given["more"]]
    pairs += read_manifest(given["manifest"]) if given["manifest"] else []
    extras = {key: given[key] for key in ("before", "probabilities") if given[key]}
    if given["labels"]:
        pairs.insert(0, {"mask": given["mask"], "labels": given["labels"], **extras})
    elif given["mask"]:
        raise JobError(f"{given['mask']}: no LABELS given; write them after the mask")
    elif extras:
        raise JobError(
            "--before and --probabilities go with MASK LABELS; use --manifest for several pairs"
        )
    return legend_of(given) | ({"pairs": pairs} if pairs else {})


def lines(found: Mapping[str, Any]) -> list[str]:
    """Return the scores of an evaluation as lines of text."""
    head = f"{'class':<16}{'IoU':>8}{'F1':>8}{'prec.':>8}{'recall':>8}{'bound.F':>8}{'px':>14}"
    unit = found["area_unit"]
    return [
        *_overall(found),
        "",
        head,
        *(_class_line(name, entry) for name, entry in found["classes"].items()),
        "",
        f"{'area, ' + unit:<16}{'mask':>14}{'estimated':>14}{'± (pixels)':>12}  95 % (blocks)",
        *(_area_line(name, entry["area"]) for name, entry in found["classes"].items()),
        *_image_lines(found["images"]),
    ]


def _overall(found: Mapping[str, Any]) -> list[str]:
    before, calibration = found["before"], found["calibration"]
    rows = [
        (
            f"mean IoU                {_ratio(found['mean_iou'])}  "
            f"{_range(found['mean_iou_interval'])}"
        ),
        f"pixel accuracy          {_ratio(found['pixel_accuracy'])}",
        f"frequency-weighted IoU  {_ratio(found['frequency_weighted_iou'])}",
        (
            f"boundary F              {_ratio(found['mean_boundary_f'])}  within "
            f"{found['boundary_tolerance_px']} px"
        ),
    ]
    if before:
        rows.append(
            f"before the CRF          {_ratio(before['mean_iou'])} mean IoU, "
            f"{_ratio(before['mean_boundary_f'])} boundary F; gain {_ratio(before['gain'])}  "
            f"{_range(before['gain_interval'])}"
        )
    if calibration:
        rows.append(f"calibration error       {_ratio(calibration['expected_calibration_error'])}")
    return rows


def _class_line(name: str, entry: Mapping[str, Any]) -> str:
    keys = ("iou", "f1", "precision", "recall", "boundary_f")
    return (
        f"{name:<16}{''.join(f'{_ratio(entry[key]):>8}' for key in keys)}{entry['support_px']:>14,}"
    )


def _area_line(name: str, area: Mapping[str, Any]) -> str:
    amounts = "".join(f"{_amount(area[key]):>14}" for key in ("mapped", "estimated"))
    margin = None if area["low"] is None else area["estimated"] - area["low"]
    low, high = area["block_interval"] or (None, None)
    return f"{name:<16}{amounts}{_amount(margin):>12}  {_amount(low)} … {_amount(high)}"


def _image_lines(images: list[Mapping[str, Any]]) -> list[str]:
    if len(images) == 1:
        return []
    rows = [f"{_ratio(each['mean_iou']):>8}  {each['mask']}" for each in images]
    return ["", "mean IoU  image", *rows]


def _places(urls: Mapping[str, str]) -> list[str]:
    return ["", *(f"{name:<16} {url}" for name, url in urls.items())] if urls else []


def _ratio(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _range(bounds: tuple[float, float] | None) -> str:
    return "" if bounds is None else f"(95 %: {bounds[0]:.4f} … {bounds[1]:.4f})"


def _amount(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}"
