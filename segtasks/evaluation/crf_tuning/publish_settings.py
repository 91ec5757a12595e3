"""Write the results of a tuning: JSON, CSV, a chart, and the recommended settings."""

import json
from importlib.metadata import version

import yaml

from segtasks.config.extras import require_packages
from segtasks.config.tuning_job import TuneJob
from segtasks.evaluation.crf_tuning.scores import Figures, table
from segtasks.storage import object_store

NAMES = ("crf-tune.json", "crf-tune.csv", "crf-tune.png", "best.yaml")


def require_free(job: TuneJob) -> None:
    """Check before work starts that the results can be written.

    Raises:
        JobError: matplotlib, which draws the chart, is not installed.
        DestinationError: a file exists and may not be replaced, or nothing can be written.
    """
    if job.to is not None:
        require_packages("a chart of CRF settings", "tune", "matplotlib")
        object_store.require_free(job.to, NAMES, overwrite=job.overwrite)


def publish(job: TuneJob, found: Figures) -> dict[str, str]:
    """Write all results under ``job.to`` and return their urls by name; without it, do nothing."""
    if job.to is None:
        return {}
    from segtasks.evaluation.crf_tuning.chart import settings_chart  # noqa: PLC0415 - matplotlib is slow

    content = found | {"version": version("segtasks")}
    files = {
        "crf-tune.json": f"{json.dumps(content, indent=1, ensure_ascii=False)}\n".encode(),
        "crf-tune.csv": table(found["rows"]),
        "crf-tune.png": settings_chart(found["rows"], found["setting"], found["advice"]),
        "best.yaml": best(found),
    }
    for name, data in files.items():
        object_store.write_bytes(f"{job.to}/{name}", data)
    return {name: f"{job.to}/{name}" for name in files}


def best(found: Figures) -> bytes:
    """Return the part of a job file with the recommended setting, or ``crf: null``."""
    text = yaml.safe_dump({"crf": found["crf"]}, sort_keys=False)
    return f"# {found['advice']}\n{text}".encode()
