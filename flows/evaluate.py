"""The flow that evaluates: masks against labels, figures and a page out."""

from typing import Any

from prefect import flow
from prefect.artifacts import create_table_artifact
from prefect.client.schemas.objects import State

from segtasks.config.evaluation_job import EvaluationJob
from segtasks.errors import redact_url
from segtasks.evaluation.evaluate import evaluate as start
from segtasks.evaluation.figures import Figures
from segtasks.orchestration.artifacts import ProgressArtifacts
from segtasks.orchestration.run_states import as_failed_state, parse_job


@flow(name="evaluate", persist_result=False, validate_parameters=False)  # see refusal
def evaluate(job: EvaluationJob) -> dict[str, Any] | State[Any]:
    """Compare masks with labels: figures per class, and a page with pictures.

    Args:
        job: The masks with their labels, and where the page goes.
    """
    return as_failed_state(lambda: _evaluate(parse_job(EvaluationJob, job)))


def _evaluate(job: EvaluationJob) -> dict[str, Any]:
    found = start(job, on_progress=ProgressArtifacts().tell)
    _show(found, job.pairs[0].mask)
    return found


def _show(found: Figures, mask: str) -> None:
    """The classes' figures and the means, as a table of the run."""
    keys = ("iou", "f1", "precision", "recall", "boundary_f", "support_px")
    rows = [
        {"class": name} | {key: entry[key] for key in keys}
        for name, entry in found["classes"].items()
    ]
    means = {key: found[f"mean_{key}"] for key in ("iou", "f1", "boundary_f")}
    create_table_artifact(
        [*rows, {"class": "mean"} | means], key="evaluation", description=redact_url(mask)
    )
