"""The command line: parse -> Job -> flow. Heavy imports wait until a command needs them."""

import sys

import click

from segtasks.cli.doctor import doctor
from segtasks.cli.evaluation import evaluate
from segtasks.cli.graphs import export, probe
from segtasks.cli.jobs import batch, plan, run, up
from segtasks.cli.models import model
from segtasks.cli.training import scene, train
from segtasks.cli.tuning import crf_tune
from segtasks.errors import SegtasksError

FAILED, INTERRUPTED = 1, 130


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="segtasks")
def cli() -> None:
    """Batch semantic segmentation of very large aerial images."""


for command in (run, batch, plan, doctor, up, train, evaluate, crf_tune, scene, model):
    cli.add_command(command)
for command in (probe, export):
    model.add_command(command)


def main() -> None:
    """Run a command; an error that the user can fix is one line and a non-zero exit status."""
    try:
        cli(standalone_mode=False)
    except SegtasksError as error:
        click.echo(f"segtasks: {error}", err=True)
        sys.exit(FAILED)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("segtasks: interrupted; what is done is kept, run again to resume", err=True)
        sys.exit(INTERRUPTED)
