"""The flow that trains: label rasters in, a model file out."""

from typing import Any

from prefect import flow, get_run_logger
from prefect.client.schemas.objects import State

from flows.refusal import parsed, told
from segtasks.training.job import TrainJob


@flow(name="train", persist_result=False, validate_parameters=False)  # see refusal
def train(job: TrainJob) -> dict[str, Any] | State[Any]:
    """Train a network on pairs of image and label rasters and write a model file.

    A run that was killed is taken up where its last checkpoint left it when it is started again.

    Args:
        job: The pairs, the network, and how to train it.
    """
    return told(lambda: _train(parsed(TrainJob, job)))


def _train(job: TrainJob) -> dict[str, Any]:
    from segtasks.training.loop import Progress  # noqa: PLC0415 - torch, for deploying not needed
    from segtasks.training.loop import train as start  # noqa: PLC0415 - the same

    logger = get_run_logger()

    def tell(progress: Progress) -> None:
        if progress.scores is not None:
            logger.info(
                "iteration %d of %d: loss %.4f, mIoU %.4f",
                progress.iteration,
                progress.iterations,
                progress.loss,
                progress.scores.mean_iou,
            )

    result = start(job, tell, logger.info)
    names = [entry.name for entry in job.legend]
    facts = {"model": result.out, "iteration": result.iteration, "curves": list(result.curves)}
    return facts | result.scores.table(names)
