"""Train a network on pairs of images and labels, and write the weights of the best validation.

    pairs ─▶ class pixels, band moments ─▶ crops ─▶ SGD, poly rate ─▶ validation ─▶ model file
             (unsuitable pairs refused)    read ahead      │          best mIoU kept
                                                           └─▶ checkpoint, to resume from

Median frequency weights are the median of the classes' proportions divided by the proportion (Eigen
& Fergus 2015, sec. 6.3.2).
"""

from collections.abc import Callable
from dataclasses import astuple, dataclass
from pathlib import Path

import torch
from torch import nn

from segtasks.config.extras import require_packages
from segtasks.config.train_job import TrainJob
from segtasks.errors import JobError
from segtasks.evaluation.metrics import Scores
from segtasks.networks import Card
from segtasks.networks.inference.malloc import keep_freed
from segtasks.storage import object_store
from segtasks.training import checkpoint, curves
from segtasks.training.checkpoint import Checkpoint
from segtasks.training.cpu import on_threads, warn_of_emulation, with_threads
from segtasks.training.dataset import TrainingData, make_training_data
from segtasks.training.distributed import Ranks, process_group
from segtasks.training.initialise import initialise_network
from segtasks.training.model_writer import write_model
from segtasks.training.recipes import Settings, settings_of
from segtasks.training.trainer import OnProgress, Progress, make_trainer

__all__ = ["OnLine", "OnProgress", "Progress", "Result", "train"]

OnLine = Callable[[str], None]


@dataclass(frozen=True)
class Result:
    """The result of a training."""

    model: str
    """Path of the model file."""
    card: Card
    scores: Scores
    """Metrics of the best validation, whose weights were written."""
    iteration: int
    curves: tuple[str, ...]
    """Names of a table and a picture next to the model file."""


def _nothing(_: object) -> None:
    """Ignore the report."""


def train(job: TrainJob, on_progress: OnProgress = _nothing, on_line: OnLine = _nothing) -> Result:
    """Train a network on pairs of images and labels; write its model file and its curves.

    Call it again after a kill: it resumes from its last checkpoint. The weights depend on the job,
    the data, the kind of CPU and torch's version alone, not on where training was killed and
    resumed; the caller's random state and threads are left as they were.

    Args:
        job: the pairs, the classes and how to train, e.g.
            ``TrainJob(sources=[pair], validation=[other], legend=classes, to="own.safetensors")``
            with ``pair = {"image": "a.tif", "labels": "a_label.tif"}`` and ``classes =
            [{"id": 0, "name": "ground", "color": "#808080"}, ...]``.
        on_progress: called after each iteration with its number, its loss and, at validations,
            its scores.
        on_line: called with a line of text for each thing that is about to be done.

    Returns:
        The path of the model file, its card, the scores of the best validation
        (``scores.mean_iou``), whose weights were written, and the paths of the curves.

    Raises:
        JobError: the settings contradict each other, the device or a package is missing, or the
            checkpoint is another job's.
        SourceError: a pair is missing or unfit; nothing has been written then.
        ModelError: the network is unknown, or training diverged.
        StorageError: a checkpoint cannot be written.
    """
    require_packages("training", "train", "kornia", "matplotlib")
    if job.device == "cuda" and not torch.cuda.is_available():
        raise JobError("device is cuda, but torch sees no GPU; use device cpu")
    warn_of_emulation(job)
    job = with_threads(job)
    with torch.random.fork_rng(), on_threads(job.threads):
        return _trained(job, on_progress, on_line)


def _trained(job: TrainJob, on_progress: OnProgress, on_line: OnLine) -> Result:
    settings = settings_of(job)
    data = make_training_data(job, settings)
    checkpoint_path = Path(job.checkpoint_file)
    if job.fresh:
        checkpoint_path.unlink(missing_ok=True)
    args = (job, settings, data)
    with process_group(job.processes, job.device, _train_process, *args) as ranks:
        module, state = _train_process(ranks, *args, on_progress, on_line)
    result = _write_result(job, settings, data, module, state)
    checkpoint_path.unlink(missing_ok=True)
    return result


def _train_process(
    ranks: Ranks,
    job: TrainJob,
    settings: Settings,
    data: TrainingData,
    on_progress: OnProgress = _nothing,
    on_line: OnLine = _nothing,
) -> tuple[nn.Module, Checkpoint]:
    """Train in one of the processes, from the start or from the checkpoint."""
    keep_freed()
    saved = checkpoint.read(Path(job.checkpoint_file), data.identity)
    initial = initialise_network(job, settings, len(data.normalisation.mean))
    lines = [*settings.lines(job), *initial.report]
    if saved:
        lines.append(f"resumed    after iteration {saved.iteration}, {job.checkpoint_file}")
    for line in lines:
        on_line(line)
    trainer = make_trainer(ranks, job, settings, data, initial)
    if saved:
        trainer.resume(saved)
    state = saved or Checkpoint(data.identity)
    trainer.run(state, on_progress)
    return initial.module, state


def _write_result(
    job: TrainJob, settings: Settings, data: TrainingData, module: nn.Module, state: Checkpoint
) -> Result:
    """Write the model file of the best validation, and the curves."""
    best = state.best
    assert best is not None  # the last iteration is always validated
    module.load_state_dict(best.weights)
    names = _write_curves(job, state)
    card = write_model(job, settings, module, data, best)
    return Result(job.to, card, best.scores, best.iteration, names)


def _write_curves(job: TrainJob, state: Checkpoint) -> tuple[str, ...]:
    rows = [astuple(step) for step in state.curve]
    stem = job.to.removesuffix(".safetensors")
    files = {f"{stem}.curves.csv": curves.table(rows), f"{stem}.curves.png": curves.picture(rows)}
    for name, content in files.items():
        object_store.write_bytes(name, content)
    return tuple(files)
