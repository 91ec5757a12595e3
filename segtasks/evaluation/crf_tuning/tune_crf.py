"""Tune the CRF: search, say which settings to take, write them."""

from segtasks.config.tuning_job import TuneJob
from segtasks.evaluation.crf_tuning.publish_settings import publish, require_free
from segtasks.evaluation.crf_tuning.scores import Figures, figures
from segtasks.evaluation.crf_tuning.tune import OnProgress, tune


def tune_crf(job: TuneJob, *, on_progress: OnProgress = lambda *_: None) -> Figures:
    """Search CRF settings on kept workspaces with labels; say which to take, or to take none.

    Args:
        job: workspaces with their labels, e.g.
            ``TuneJob(pairs=[{"workspace": "result/.workspace", "labels": "labels.tif"}])``. A
            workspace is kept by ``Job(..., keep_workspace=True)`` with a CRF.
        on_progress: called as ``on_progress(step, done, total)``; steps are ``read``, ``tune`` and
            ``held out``.

    Returns:
        The figures by name, as in ``crf-tune.json``: ``advice`` (one line), ``take`` (whether to
        take a CRF), ``crf`` (the settings for ``Job(crf=...)``, or ``None``), ``rows`` (all
        settings that were tried) and others; and ``urls``, the files that were written, by name.

    Raises:
        DestinationError: results exist and may not be replaced, or nothing can be written.
        JobError: optuna is missing, the grid is too large, or the legend does not suffice.
        WorkspaceError: a workspace does not say what it holds.
        SourceError: no probabilities, other classes, unfit labels, or too few labelled windows.
        CrfError: the backend cannot be loaded, or an array would crash it.
        ResourceError: a process was killed.

    Example:
        ```python
        pair = {"workspace": "result/.workspace", "labels": "labels.tif"}
        found = segtasks.tune_crf(segtasks.TuneJob(pairs=[pair]))
        better = segtasks.Job(source="ortho.tif", to="better", crf=found["crf"])
        ```
    """
    require_free(job)
    made = tune(job, on_progress)
    found = figures(made)
    return found | {"urls": publish(job, found)}
