"""Commands that take a job: run, batch, plan; and up, which serves the deployments."""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import click

from segtasks.cli import model_options
from segtasks.config.batch_job import BatchJob
from segtasks.config.job import Job
from segtasks.config.loading import read_job_file, validated
from segtasks.errors import redact_url

if TYPE_CHECKING:
    from segtasks.pipeline.batch import Row
    from segtasks.pipeline.run import Result

J = TypeVar("J", bound=Job)

job_options = [
    click.argument("source", required=False),
    click.option(
        "--job", "job_file", metavar="FILE", help="YAML file with settings; options override them."
    ),
    click.option(
        "--no-crf", is_flag=True, help="Do not run the CRF; the mask has the labels of the network."
    ),
    click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout."),
    model_options.options(Job, without=frozenset({"source"})),
]


def with_job(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options of a job."""
    for option in reversed(job_options):
        command = option(command)
    return command


def job_of(
    model: type[J],
    source: str | None,
    job_file: str | None,
    given: Mapping[str, object],
    *,
    no_crf: bool,
) -> J:
    """Return the job, or batch job, of a file and options."""
    values = read_job_file(job_file) if job_file else {}
    values = model_options.merged(model, values, model_options.nested(Job, given))
    if source is not None:
        values["source"] = source
    if no_crf:
        values["crf"] = None
    return validated(model, values)


@click.command()
@with_job
def run(
    source: str | None, job_file: str | None, *, no_crf: bool, as_json: bool, **given: object
) -> None:
    """Segment SOURCE; the mask is PREFIX/mask.tif. An interrupted run resumes if repeated."""
    result = _segmented(job_of(Job, source, job_file, given, no_crf=no_crf))
    click.echo(result.model_dump_json() if as_json else "\n".join(result.lines()))


def _segmented(job: Job) -> "Result":
    """Run the job and show progress and warnings."""
    from segtasks.cli.progress import shown_progress  # noqa: PLC0415 - the same
    from segtasks.pipeline.run import segment  # noqa: PLC0415 - 1 s that --help need not wait for

    with shown_progress() as on_progress:
        result = segment(job, on_progress)
    for warning in result.warnings:
        click.echo(f"warning: {warning}", err=True)
    return result


@click.command()
@with_job
@click.argument("more", nargs=-1, metavar="")
def batch(
    source: str | None,
    job_file: str | None,
    more: tuple[str, ...],
    *,
    no_crf: bool,
    as_json: bool,
    **given: object,
) -> None:
    """Segment every raster of SOURCE: a folder or prefix, a glob in quotes, or a .txt list.

    Masks are PREFIX/NAME/mask.tif. Only new or changed rasters are processed; a raster that fails
    does not stop the others.
    """
    from segtasks.pipeline.batch import require_all  # noqa: PLC0415 - see _segmented

    if more:  # the shell has expanded the glob
        raise click.UsageError(
            f"batch takes one SOURCE, {1 + len(more)} are given; put a glob in quotes, or list the "
            "rasters in a .txt"
        )
    rows = []
    for row in _rows(job_of(BatchJob, source, job_file, given, no_crf=no_crf)):
        rows.append(row)
        if not as_json:
            click.echo(_batch_line(row))
    if as_json:
        click.echo(json.dumps(rows))
    require_all(rows)


def _rows(job: BatchJob) -> Iterator["Row"]:
    """Segment one raster after another; print the name of each before it starts."""
    from segtasks.pipeline.batch import outcome, segment_each  # noqa: PLC0415 - see _segmented

    def named(each: Job) -> "Row":
        click.echo(redact_url(each.source), err=True)
        return outcome(_segmented(each))

    return segment_each(job, named)


def _batch_line(row: Mapping[str, Any]) -> str:
    return f"{row['status']:<16} {row['source']}: {row.get('error') or row['mask']}"


@click.command()
@with_job
@click.option("--measure", is_flag=True, help="Run a few tiles to estimate the run time.")
@click.option(
    "--price-per-hour",
    type=click.FloatRange(min=0),
    metavar="PRICE",
    help="With --measure: price of all machines together per hour, in any currency.",
)
def plan(
    source: str | None,
    job_file: str | None,
    *,
    no_crf: bool,
    as_json: bool,
    measure: bool,
    price_per_hour: float | None,
    **given: object,
) -> None:
    """Show what `run` with the same arguments would do and need; fail if it cannot fit.

    Nothing is run or written. With --measure a few tiles are run in a workspace next to that of
    the job, which is then deleted.
    """
    from segtasks.cli.progress import shown_progress  # noqa: PLC0415 - see _segmented
    from segtasks.pipeline.dry_run import dry_run  # noqa: PLC0415 - see _segmented

    if price_per_hour is not None and not measure:
        raise click.UsageError("--price-per-hour needs the run time; give --measure too")
    job = job_of(Job, source, job_file, given, no_crf=no_crf)
    with shown_progress() as on_progress:
        made = dry_run(job, measure=measure, price_per_hour=price_per_hour, on_progress=on_progress)
    click.echo(json.dumps(made.figures) if as_json else "\n".join(made.lines))


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", default=4200, show_default=True, type=click.IntRange(1, 65535), help="Port."
)
def up(host: str, port: int) -> None:
    """Start Prefect's server, a work pool, a worker and the deployments; Ctrl-C stops them all."""
    from segtasks.orchestration.server import up as start  # noqa: PLC0415 - see _segmented

    start(host, port)
