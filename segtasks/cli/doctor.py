"""The command that examines an installation: doctor."""

import json
import sys
from dataclasses import asdict

import click

UNFIT = 1


@click.command()
@click.argument("url", required=False)
@click.option("--write", is_flag=True, help="Also write a small object below URL and delete it.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
def doctor(url: str | None, *, write: bool, as_json: bool) -> None:
    """Check this installation: packages, GPU, CRF, GDAL, memory, S3, Prefect.

    URL is a source to read, or with --write a prefix of results. The exit status is 1 if a
    required check fails.
    """
    from segtasks.cli.doctor_checks import run_checks  # noqa: PLC0415 - Prefect and torch, slow to import

    if write and url is None:
        raise click.UsageError("--write needs a URL to write to")
    checks = []
    for check in run_checks(url, write=write):
        checks.append(check)
        if not as_json:
            click.echo(check.line)
    is_fit = all(check.state != "fail" for check in checks)
    if as_json:
        click.echo(json.dumps({"fit": is_fit, "checks": [asdict(check) for check in checks]}))
    if not is_fit:
        sys.exit(UNFIT)
