"""Artifacts of a flow run in Prefect's UI: progress while it runs, then tables and a picture."""

import base64
import io
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

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

from segtasks.errors import redact_url
from segtasks.evaluation.figures import Figures
from segtasks.pipeline.batch import counts
from segtasks.pipeline.dry_run import DryRun
from segtasks.pipeline.progress_rate import ProgressRate
from segtasks.pipeline.run import Result
from segtasks.raster.units import HECTARE_M2
from segtasks.storage import object_store

if TYPE_CHECKING:
    from segtasks.training import loop

UPDATE_SECONDS = 2.0
PICTURE_SIDES_PX = (900, 640, 480, 320)
PICTURE_BYTES = 150_000  # kept in the server's database, sent with every page that lists it

Row = dict[str, Any]


class ProgressArtifacts:
    """One progress artifact per stage with its rate, updated at most every two seconds."""

    def __init__(self, unit: str = "tile") -> None:
        self._unit = unit
        self._ids: dict[str, Any] = {}
        self._told: dict[str, float] = {}
        self._paces: dict[str, ProgressRate] = {}

    def tell(self, stage: str, done: int, total: int, px: int = 0, /) -> None:
        """Update the artifact of a stage."""
        pace = self._paces.setdefault(stage, ProgressRate(total=total, first=done, unit=self._unit))
        pace.tell(done, total, px)
        now, share = time.monotonic(), 100.0 * done / max(total, 1)
        text = f"{stage}: {pace.text()}"
        if stage not in self._ids:
            self._ids[stage] = create_progress_artifact(share, key=stage, description=text)
        elif done == total or now - self._told[stage] >= UPDATE_SECONDS:
            update_progress_artifact(self._ids[stage], progress=share, description=text)
        else:
            return
        self._told[stage] = now

    def timings(self) -> list[Row]:
        """Return the wall time per stage. Stages overlap: the times do not add up to the run's."""
        return [
            {
                "stage": stage,
                "tiles": pace.total,
                "done in this run": pace.done - pace.first,
                "seconds": round(pace.seconds, 1),
                "tiles/s": round(pace.tiles_per_second, 2),
            }
            for stage, pace in sorted(self._paces.items(), key=lambda told: told[1].started)
        ]


@contextmanager
def run_log() -> Iterator[None]:
    """Send what ``segtasks`` logs, here and on Dask workers, to the log of this flow run."""
    context = FlowRunContext.get()
    if context is None or context.flow_run is None:
        yield
        return
    handler, logger = APILogHandler(), logging.getLogger("segtasks")
    # Records of Dask workers arrive in a thread that does not know the flow run.
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
        """Add the id of the flow run to the record."""
        record.flow_run_id = self._run_id
        return True


def show(result: Result, model: str, timings: list[Row]) -> None:
    """Show the results of a finished run."""
    create_markdown_artifact(_summary(result, model), key="result", description=result.source)
    if result.class_px:
        create_table_artifact(_classes(result), key="classes", description=result.source)
    if timings:
        create_table_artifact(timings, key="timings", description=result.source)
    if "quicklook" in result.urls:
        show_picture(result.urls["quicklook"], "quicklook", result.source)


def show_picture(url: str, key: str, description: str) -> None:
    """Show a PNG file as an image artifact."""
    picture = _data_uri(object_store.read_bytes(url))
    create_image_artifact(picture, key=key, description=description)


def show_batch(source: str, rows: list[Row]) -> None:
    """Show the table of a batch, with the same columns in every row."""
    columns = ("status", "source", "error", "mask", "seconds", "mpx")
    table = [{column: row.get(column, "") for column in columns} for row in rows]
    create_table_artifact(table, key="batch", description=f"{redact_url(source)}: {counts(rows)}")


def show_plan(made: DryRun) -> None:
    """Show what a dry run found."""
    lines, source = "\n".join(made.lines), redact_url(made.plan.job.source)
    create_markdown_artifact(f"## {source}\n\n```\n{lines}\n```\n", key="plan")


def show_training(result: "loop.Result", figures: dict[str, float | None]) -> None:
    """Show the figures of the best validation, and the curves."""
    rows = [{"figure": name, "value": value} for name, value in figures.items()]
    text = f"{redact_url(result.model)}, of iteration {result.iteration}"
    create_table_artifact(rows, key="validation", description=text)
    curves = next(url for url in result.curves if url.endswith(".png"))
    show_picture(curves, "curves", text)


def show_evaluation(found: Figures, mask: str) -> None:
    """Show the figures of each class and their means as a table."""
    keys = ("iou", "f1", "precision", "recall", "boundary_f", "support_px")
    rows = [
        {"class": name} | {key: entry[key] for key in keys}
        for name, entry in found["classes"].items()
    ]
    means = {key: found[f"mean_{key}"] for key in ("iou", "f1", "boundary_f")}
    create_table_artifact(
        [*rows, {"class": "mean"} | means], key="evaluation", description=redact_url(mask)
    )


def _summary(result: Result, model: str) -> str:
    """Return Markdown: what was done, the URLs of the results, and the warnings."""
    shown = {name: redact_url(url) for name, url in result.urls.items()}
    links = [
        f"| {name} | {url if url.startswith('http') else f'`{url}`'} |"
        for name, url in shown.items()
    ]
    size = f"{result.height} x {result.width} px"
    done = f"{result.status}, model `{redact_url(model)}`, {size}, {result.seconds:.1f} s"
    speed = f", {result.mpx_per_second:.2f} MPx/s" if result.class_px else ""
    warnings = [f"- **Warning:** {warning}" for warning in result.warnings]
    table = ["| result | url |", "|---|---|", *links]
    return "\n".join([f"## {result.source}", "", done + speed, "", *table, "", *warnings, ""])


def _classes(result: Result) -> list[Row]:
    """Return per class its share of the pixels with data, and its area if a pixel's is known."""
    total = max(sum(result.class_px.values()), 1)
    hectares = result.pixel_m2 and result.pixel_m2 / HECTARE_M2
    return [
        {"class": name, "share %": round(100 * px / total, 2), "pixels": px}
        | ({"area ha": round(px * hectares, 4)} if hectares else {})
        for name, px in result.class_px.items()
    ]


def _data_uri(png: bytes) -> str:
    """Return a small copy of a PNG as a data URI, which a browser shows without the results."""
    for side in PICTURE_SIDES_PX:
        with Image.open(io.BytesIO(png)) as picture:
            picture.thumbnail((side, side))
            out = io.BytesIO()
            picture.convert("RGB").save(out, "JPEG", quality=85)
        if out.tell() <= PICTURE_BYTES:
            break
    return f"data:image/jpeg;base64,{base64.b64encode(out.getvalue()).decode()}"
