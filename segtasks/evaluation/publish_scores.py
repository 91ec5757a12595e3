"""Write an evaluation: the page, its figures as JSON, its pictures."""

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
    """Refuse a destination before work starts.

    Raises:
        JobError: matplotlib, which draws the pictures, is not installed.
        DestinationError: something is there and may not be replaced, or nothing can be written.
    """
    if job.to is not None:
        require_packages("a page of an evaluation", "evaluate", "matplotlib")
        object_store.require_free(job.to, NAMES, overwrite=job.overwrite)


def publish(made: Evaluation, found: Figures) -> dict[str, str]:
    """Write everything under ``job.to``; the urls by name, none when there is no such prefix."""
    prefix = made.job.to
    if prefix is None:
        return {}
    told = found | {"version": version("segtasks")}
    pictures = _pictures(made, found)
    files = {f"{name}.png": png for name, png in pictures.items()}
    files["evaluation.json"] = f"{json.dumps(told, indent=1, ensure_ascii=False)}\n".encode()
    # Last: where a page is, the rest is.
    files["evaluation.html"] = _page(made, told, pictures).encode()
    for name in set(NAMES) - set(files):
        object_store.remove_tree(f"{prefix}/{name}")  # of an earlier evaluation that had more
    for name, data in files.items():
        object_store.write_bytes(f"{prefix}/{name}", data)
    return {name: f"{prefix}/{name}" for name in files}


def _page(made: Evaluation, told: Figures, pictures: dict[str, bytes]) -> str:
    from segtasks.outputs.html import evaluation_page  # noqa: PLC0415 - jinja2, for a page only

    names = [PurePosixPath(redact_url(pair.mask)).name for pair in made.job.pairs]
    title = f"Evaluation of {names[0] if len(names) == 1 else f'{len(names)} masks'}"
    return evaluation_page(told, pictures, title)


def _pictures(made: Evaluation, found: Figures) -> dict[str, bytes]:
    """PNGs by name."""
    from segtasks.evaluation import charts  # noqa: PLC0415 - matplotlib takes a second to import

    assert made.worst is not None
    image, picture = made.worst
    names = [entry.name for entry in made.legend]
    which = (
        "error map"
        if len(made.images) == 1
        else f"{redact_url(image.pair.mask)}, the least mean IoU"
    )
    pictures = {
        "confusion": charts.confusion_chart(np.array(found["confusion"], np.int64), names),
        "errors": charts.error_map(picture.counts, OUTCOMES, which),
    }
    if calibration := found["calibration"]:
        error = calibration["expected_calibration_error"]
        pictures["reliability"] = charts.reliability_chart(calibration["bins"], error)
    return pictures
