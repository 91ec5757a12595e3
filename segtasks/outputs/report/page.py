"""report.html: what a run did and made, in one file.

Pictures come from the thumbnail that ingest keeps and from the overviews of the finished files,
apart from one crop. The page and the work to make it therefore do not grow with the raster.
"""

import time
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path

from segtasks.outputs.publication import Publication
from segtasks.outputs.report import contents, pictures
from segtasks.outputs.report.contents import Facts
from segtasks.outputs.report.rendering import report_page
from segtasks.planning.plan import Plan
from segtasks.raster.grid import Window
from segtasks.raster.labels import NODATA
from segtasks.storage import cog, workspace
from segtasks.storage.cog import ReadMask

Colormap = Mapping[int, tuple[int, int, int, int]]


def make_report(publication: Publication) -> bytes:
    """Make ``report.html``."""
    urls = {name: url for name, url in publication.urls.items() if name != "report"}
    colormap, started = publication.class_band.colormap, publication.started
    return page(publication.plan, publication.rasters, urls, colormap, started)


def page(
    plan: Plan,
    files: Mapping[str, Path],
    urls: Mapping[str, str],
    colormap: Colormap,
    started: float,
) -> bytes:
    """Return the page of a run whose results are made.

    Args:
        plan: what was done.
        files: finished COGs by name: ``mask`` and, if there is one, ``confidence``.
        urls: results in the same folder as the page, by name.
        colormap: RGBA by class id.
        started: when publishing started, by `time.perf_counter`.
    """
    with cog.open_masks(files["mask"]) as mask:
        found = contents.collect(plan, mask, urls, time.perf_counter() - started)
        drawn = _overviews(plan, files, colormap) | _worst(plan, found, mask, colormap)
    values = {each.name: getattr(found, each.name) for each in fields(found)}
    return report_page(values, drawn).encode()


def _overviews(plan: Plan, files: Mapping[str, Path], colormap: Colormap) -> dict[str, bytes]:
    """Return image, mask and confidence of the whole raster, small."""
    step = plan.thumbnail_step
    small = Window(0, 0, -(-plan.raster.height // step), -(-plan.raster.width // step))
    image = workspace.read(plan.job.workspace_url, "thumbnail", small)
    shown = {name: cog.read_small(str(path), small.shape)[0] for name, path in files.items()}
    drawn = {
        "image": pictures.photo_picture(image, shown["mask"] != NODATA),
        "mask": pictures.class_picture(shown["mask"], colormap),
    }
    if "confidence" in shown:
        drawn["confidence"] = pictures.confidence_picture(shown["confidence"])
    return drawn


def _worst(plan: Plan, found: Facts, mask: ReadMask, colormap: Colormap) -> dict[str, bytes]:
    """Return image and mask around the border sample with the most excess changes."""
    if found.seams.worst is None:
        return {}
    window = found.seams.worst.crop
    ids = mask(window)
    image = workspace.read(plan.job.workspace_url, "image", window)
    return {
        "seam_image": pictures.photo_picture(image, ids != NODATA),
        "seam_mask": pictures.class_picture(ids, colormap),
    }
