"""Write the results of an evaluation: an HTML page, metrics as JSON, and pictures."""

import json
from importlib.metadata import version
from pathlib import PurePosixPath

import numpy as np

from segtasks.config.evaluation_job import EvaluationJob
from segtasks.config.extras import require_packages
from segtasks.errors import redact_url
from segtasks.evaluation.error_map import OUTCOMES
from segtasks.evaluation.figures import Figures
from segtasks.evaluation.scoring import Evaluation
from segtasks.storage import object_store

PICTURES = ("confusion", "errors", "reliability")
NAMES = ("evaluation.html", "evaluation.json", *(f"{name}.png" for name in PICTURES))


def require_free(job: EvaluationJob) -> None:
    """Check before work starts that the results can be written.

    Raises:
        JobError: matplotlib, which draws the pictures, is not installed.
        DestinationError: a file exists and may not be replaced, or nothing can be written.
    """
    if job.to is not None:
        require_packages("a page of an evaluation", "evaluate", "matplotlib")
        object_store.require_free(job.to, NAMES, overwrite=job.overwrite)


def publish(evaluation: Evaluation, values: Figures) -> dict[str, str]:
    """Write all results under ``job.to`` and return their urls by name; without it, do nothing."""
    prefix = evaluation.job.to
    if prefix is None:
        return {}
    content = values | {"version": version("segtasks")}
    pictures = _pictures(evaluation, values)
    files = {f"{name}.png": png for name, png in pictures.items()}
    files["evaluation.json"] = f"{json.dumps(content, indent=1, ensure_ascii=False)}\n".encode()
    # The page is written last, so that all other files exist if it does.
    files["evaluation.html"] = _page(evaluation, content, pictures).encode()
    for name in set(NAMES) - set(files):
        object_store.remove_tree(f"{prefix}/{name}")  # of an earlier evaluation that had more
    for name, data in files.items():
        object_store.write_bytes(f"{prefix}/{name}", data)
    return {name: f"{prefix}/{name}" for name in files}


def _page(evaluation: Evaluation, content: Figures, pictures: dict[str, bytes]) -> str:
    from segtasks.outputs.html import evaluation_page  # noqa: PLC0415 - jinja2, for a page only

    names = [PurePosixPath(redact_url(pair.mask)).name for pair in evaluation.job.pairs]
    title = f"Evaluation of {names[0] if len(names) == 1 else f'{len(names)} masks'}"
    return evaluation_page(content, pictures, title)


def _pictures(evaluation: Evaluation, values: Figures) -> dict[str, bytes]:
    """Draw the pictures and return them as PNG by name."""
    from segtasks.evaluation import charts  # noqa: PLC0415 - matplotlib takes a second to import

    assert evaluation.worst is not None
    image, picture = evaluation.worst
    names = [entry.name for entry in evaluation.legend]
    which = (
        "error map"
        if len(evaluation.images) == 1
        else f"{redact_url(image.pair.mask)}, the least mean IoU"
    )
    pictures = {
        "confusion": charts.confusion_chart(np.array(values["confusion"], np.int64), names),
        "errors": charts.error_map(picture.counts, OUTCOMES, which),
    }
    if calibration := values["calibration"]:
        error = calibration["expected_calibration_error"]
        pictures["reliability"] = charts.reliability_chart(calibration["bins"], error)
    return pictures
