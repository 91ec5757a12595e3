"""The flow that evaluates masks: masks and labels in, figures and a page out."""

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State

from segtasks.config.evaluation_job import EvaluationJob
from segtasks.evaluation.evaluate import evaluate as evaluate_masks
from segtasks.orchestration.artifacts import ProgressArtifacts, show_evaluation
from segtasks.orchestration.run_states import as_failed_state, parse_job


@flow(
    name="evaluate",
    persist_result=False,
    validate_parameters=False,  # parse_job does it, with a message of one line
)
def evaluate(job: EvaluationJob) -> dict[str, Any] | State[Any]:
    """Compare masks with labels: figures per class, and a page with pictures.

    Args:
        job: The masks with their labels, and where the page goes.
    """
    return as_failed_state(lambda: _evaluate(parse_job(EvaluationJob, job)))


def _evaluate(job: EvaluationJob) -> dict[str, Any]:
    found = evaluate_masks(job, on_progress=ProgressArtifacts().tell)
    show_evaluation(found, job.pairs[0].mask)
    return found
