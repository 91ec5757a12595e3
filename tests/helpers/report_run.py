"""What the fixture ``run`` gives to the tests of the page."""

from pathlib import Path
from typing import NamedTuple

from segtasks.config.job import Job
from segtasks.pipeline.run import Result


class Run(NamedTuple):
    """A job, what it returned, and its page."""

    job: Job
    result: Result
    page: Path
