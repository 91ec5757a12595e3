"""What the fixture ``run`` gives to the tests of the page."""

from pathlib import Path
from typing import NamedTuple

from flows.route import Result
from segtasks.job import Job


class Run(NamedTuple):
    """A job, what it returned, and its page."""

    job: Job
    result: Result
    page: Path
