"""A dry run: what a job would do and need, and how long it would take if tiles are timed."""

from dataclasses import dataclass
from typing import Any

from segtasks.config.job import Job
from segtasks.outputs.publish import is_published
from segtasks.pipeline.executors import expected_workers
from segtasks.pipeline.progress_rate import OnProgress
from segtasks.pipeline.timing import time_tiles
from segtasks.planning import summary
from segtasks.planning.plan import Plan
from segtasks.planning.planner import make_plan
from segtasks.planning.resource_check import check_disk, check_memory
from segtasks.planning.runtime_estimate import Estimate


@dataclass(frozen=True, kw_only=True)
class DryRun:
    """What a run would do: a plan that fits this machine. Its text is `lines`.

    Attributes:
        plan: what would be done.
        published: whether the mask is there already.
        processes: number of worker processes; ``None`` where a cluster decides.
        estimate: the run time, if tiles were timed.
        price_per_hour: price of everything that computes, in any currency.
    """

    plan: Plan
    published: bool
    processes: int | None
    estimate: Estimate | None = None
    price_per_hour: float | None = None

    @property
    def figures(self) -> dict[str, Any]:
        """The dry run as JSON values."""
        found = summary.figures(self.plan)
        found |= {"done_already": self.published, "processes": self.processes}
        if self.estimate:
            found |= {"time": summary.time_figures(self.estimate, self.price_per_hour)}
        return found

    @property
    def lines(self) -> list[str]:
        """The plan as lines of text."""
        by = "as the cluster has" if self.processes is None else f"{self.processes}"
        timed = (
            summary.time_lines(self.estimate, self.price_per_hour)
            if self.estimate
            else ["time       not timed; --measure times a few tiles"]
        )
        state = "done already" if self.published else "to do"
        return [*summary.lines(self.plan), f"processes  {by}", *timed, f"state      {state}"]

    def __str__(self) -> str:
        return "\n".join(self.lines)

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:  # noqa: ANN401, ARG002, FBT001 - IPython's
        """Show the lines in a notebook or IPython."""
        printer.text(str(self))


def dry_run(
    job: Job,
    *,
    measure: bool = False,
    price_per_hour: float | None = None,
    on_progress: OnProgress = lambda *_: None,
) -> DryRun:
    """Say what `segtasks.segment` would do with the same job, and refuse what cannot fit.

    Nothing is written; with ``measure`` a few tiles are computed in a folder next to the workspace,
    which is removed.

    Args:
        job: the job to plan, e.g. ``Job(source="ortho.tif", to="result", model="demo")``.
        measure: time a few tiles and estimate the run time.
        price_per_hour: price of all machines together, in any currency, for the estimate's cost.
        on_progress: called as ``on_progress(stage, done, total, px)`` while tiles are timed.

    Returns:
        The plan, with `figures` for programs and `lines` for people.

    Raises:
        ResourceError: memory or disk do not suffice; the text says what would.
        SegtasksError: anything else that a run would refuse.

    Example:
        ```python
        print(segtasks.plan(segtasks.Job(source="ortho.tif", to="result")))
        ```
    """
    plan = make_plan(job)
    published = is_published(plan)
    processes, worker_bytes = expected_workers(plan)
    if not published:
        check_disk(plan)
    if worker_bytes is not None and not published:
        check_memory(plan, worker_bytes)
    found = None
    if measure and not published:
        found = time_tiles(plan, on_progress)
    return DryRun(
        plan=plan,
        published=published,
        processes=processes,
        estimate=found,
        price_per_hour=price_per_hour,
    )
