"""The flow that trains a network: label rasters in, a model file out."""

from typing import TYPE_CHECKING, Any

from prefect import flow, get_run_logger
from prefect.client.schemas.objects import State

from segtasks.config.train_job import TrainJob
from segtasks.orchestration.artifacts import ProgressArtifacts, show_training
from segtasks.orchestration.run_states import as_failed_state, parse_job

if TYPE_CHECKING:
    from segtasks.training.loop import Progress


@flow(
    name="train",
    persist_result=False,
    validate_parameters=False,  # parse_job does it, with a message of one line
)
def train(job: TrainJob) -> dict[str, Any] | State[Any]:
    """Train a network on pairs of image and label rasters and write a model file.

    A run that was killed is taken up where its last checkpoint left it when it is started again.

    Args:
        job: The pairs, the network, and how to train it.
    """
    return as_failed_state(lambda: _train(parse_job(TrainJob, job)))


def _train(job: TrainJob) -> dict[str, Any]:
    from segtasks.training.loop import train as start  # noqa: PLC0415 - torch: not to deploy

    logger, shown = get_run_logger(), ProgressArtifacts("iteration")

    def tell(progress: "Progress") -> None:
        shown.tell("train", progress.iteration, progress.iterations)
        if progress.scores is not None:
            logger.info(
                "iteration %d of %d: loss %.4f, mIoU %.4f",
                progress.iteration,
                progress.iterations,
                progress.loss,
                progress.scores.mean_iou,
            )

    result = start(job, tell, logger.info)
    table = result.scores.table([entry.name for entry in job.legend])
    show_training(result, table)
    return {
        "model": result.model,
        "iteration": result.iteration,
        "curves": list(result.curves),
        **table,
    }
