"""The command that tunes the CRF: crf-tune."""

import json
from collections.abc import Mapping
from typing import Any

import click

from segtasks.cli import model_options
from segtasks.cli.legend_options import legend_of, with_legend
from segtasks.config.loading import read_job_file, validated
from segtasks.config.tuning_job import COLUMNS, TuneJob
from segtasks.errors import JobError
from segtasks.storage.manifests import read_manifest

PAIR: dict[str, Any] = {"nargs": 2, "multiple": True, "metavar": "WORKSPACE LABELS"}


@click.command("crf-tune")
@click.argument("workspace", required=False)
@click.argument("labels", required=False)
@click.option("--pair", "more", **PAIR, help="Further workspaces with their labels.")
@click.option("--manifest", metavar="FILE", help="CSV file with the columns workspace, labels.")
@click.option(
    "--job", "job_file", metavar="FILE", help="YAML file with settings; options override them."
)
@with_legend
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
@model_options.options(TuneJob, without=frozenset({"pairs", "legend"}))
def crf_tune(job_file: str | None, *, as_json: bool, **given: Any) -> None:  # noqa: ANN401 - click's
    """Search for CRF settings on a kept WORKSPACE with LABELS; recommend the best, or no CRF."""
    from segtasks.cli.progress import shown_progress  # noqa: PLC0415 - --help needs no rasters
    from segtasks.evaluation.crf_tuning.scores import lines  # noqa: PLC0415 - the same
    from segtasks.evaluation.crf_tuning.tune_crf import tune_crf  # noqa: PLC0415 - the same

    values = read_job_file(job_file) if job_file else {}
    over = model_options.merged(TuneJob, _lists(given), model_options.nested(TuneJob, given))
    job = validated(TuneJob, model_options.merged(TuneJob, values, over))
    with shown_progress() as on_progress:
        found = tune_crf(job, on_progress=on_progress)
    urls = found.pop("urls")
    places = ["", *(f"{name:<16} {url}" for name, url in urls.items())] if urls else []
    click.echo(json.dumps(found) if as_json else "\n".join([*lines(found), *places]))


def _lists(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the pairs and the legend that arguments and options give."""
    pairs = [{"workspace": workspace, "labels": labels} for workspace, labels in given["more"]]
    pairs += read_manifest(given["manifest"], COLUMNS) if given["manifest"] else []
    if given["labels"]:
        pairs.insert(0, {"workspace": given["workspace"], "labels": given["labels"]})
    elif given["workspace"]:
        raise JobError(f"{given['workspace']}: no LABELS given; write them after the workspace")
    return legend_of(given) | ({"pairs": pairs} if pairs else {})
