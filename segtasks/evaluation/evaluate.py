"""Evaluate masks: count, compute the figures, write the page."""

from segtasks.config.evaluation_job import EvaluationJob
from segtasks.evaluation.figures import Figures, figures
from segtasks.evaluation.publish_scores import publish, require_free
from segtasks.evaluation.scoring import OnProgress, count_pairs


def evaluate(job: EvaluationJob, *, on_progress: OnProgress = lambda *_: None) -> Figures:
    """Compare masks with labels: IoU, F1, outlines, areas and calibration.

    Args:
        job: masks with their labels, e.g.
            ``EvaluationJob(pairs=[{"mask": "result/mask.tif", "labels": "labels.tif"}])``; with
            ``to`` a page and its pictures are written.
        on_progress: called as ``on_progress("evaluate", done, total)`` after each block.

    Returns:
        The figures by name, as in ``evaluation.json``: ``mean_iou``, ``pixel_accuracy``,
        ``classes`` (figures by the name of the class), ``confusion`` (rows labels, columns mask,
        pixels), ``images`` and others, ``None`` where one is undefined; and ``urls``, the files
        that were written, by name.

    Raises:
        DestinationError: results exist and may not be replaced, or nothing can be written.
        JobError: a pattern finds no mask, or the legend does not suffice for the labels.
        SourceError: a file is missing or unreadable, two are not on one grid, an id is beyond the
            legend, or no pixel is known to mask and labels.

    Example:
        ```python
        pair = {"mask": "result/mask.tif", "labels": "labels.tif"}
        figures = segtasks.evaluate(segtasks.EvaluationJob(pairs=[pair]))
        print(figures["mean_iou"], figures["classes"]["building"]["iou"])
        ```
    """
    require_free(job)
    made = count_pairs(job, on_progress)
    found = figures(made)
    return found | {"urls": publish(made, found)}
