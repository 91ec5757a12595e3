"""What a flow run shows in Prefect's UI: progress as it runs, tables and a picture at the end."""

import base64
import io
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from PIL import Image
from prefect.artifacts import (
    create_image_artifact,
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)
from prefect.context import FlowRunContext
from prefect.logging.handlers import APILogHandler

from flows.dry import DryRun
from flows.route import Result
from segtasks.storage import objects

UPDATE_SECONDS = 2.0
PICTURE_PX = 900  # it is kept in the server's database


class ProgressArtifacts:
    """One progress artifact per stage, updated at most every two seconds."""

    def __init__(self) -> None:
        self._ids: dict[str, Any] = {}
        self._told: dict[str, float] = {}

    def tell(self, stage: str, done: int, total: int, _px: int = 0, /) -> None:
        """Take the news of a stage."""
        now, share = time.monotonic(), 100.0 * done / max(total, 1)
        if stage not in self._ids:
            text = f"{stage}: {total} tiles"
            self._ids[stage] = create_progress_artifact(share, key=stage, description=text)
        elif done == total or now - self._told[stage] >= UPDATE_SECONDS:
            update_progress_artifact(self._ids[stage], progress=share)
        else:
            return
        self._told[stage] = now


@contextmanager
def run_log() -> Iterator[None]:
    """Send what ``segtasks`` logs, here and on Dask workers, to the log of this flow run."""
    context = FlowRunContext.get()
    if context is None or context.flow_run is None:
        yield
        return
    handler, logger = APILogHandler(), logging.getLogger("segtasks")
    # Records of workers arrive in a thread that does not know the run.
    handler.addFilter(_Stamp(str(context.flow_run.id)))
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        handler.flush()


class _Stamp(logging.Filter):
    def __init__(self, run_id: str) -> None:
        super().__init__()
        self._run_id = run_id

    def filter(self, record: logging.LogRecord) -> bool:
        """Name the run in the record."""
        record.flow_run_id = self._run_id
        return True


def show(result: Result) -> None:
    """Artifacts of a finished run."""
    total = max(sum(result.class_px.values()), 1)
    table = [
        {"class": name, "pixels": px, "share %": round(100 * px / total, 2)}
        for name, px in result.class_px.items()
    ]
    if table:
        create_table_artifact(table, key="classes", description=result.source)
    links = "\n".join(f"- {name}: `{url}`" for name, url in result.urls.items())
    create_markdown_artifact(
        f"## {result.source}\n\n{result.status}, {result.seconds:.1f} s\n\n{links}\n", key="result"
    )
    if "quicklook" in result.urls:
        create_image_artifact(_data_uri(result.urls["quicklook"]), key="quicklook")


def show_plan(made: DryRun) -> None:
    """What a dry run found."""
    lines = "\n".join(made.lines)
    create_markdown_artifact(f"## {made.plan.job.source}\n\n```\n{lines}\n```\n", key="plan")


def show_batch(rows: list[dict[str, Any]]) -> None:
    """The table of a batch."""
    create_table_artifact(rows, key="batch", description="images of this run")


def _data_uri(url: str) -> str:
    """A small copy of the picture, inline."""
    with Image.open(io.BytesIO(objects.read_bytes(url))) as picture:
        picture.thumbnail((PICTURE_PX, PICTURE_PX))
        out = io.BytesIO()
        picture.save(out, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(out.getvalue()).decode()}"
