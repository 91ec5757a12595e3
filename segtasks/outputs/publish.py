"""Write: the finished arrays -> what lies at the destination: mask, confidence, item and the rest.

All is made first and then published, the mask last: where it is, nothing is left to do.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from segtasks.errors import DestinationError, StageError, redact_url
from segtasks.outputs import gdal_legend, polygon_layer, provenance, qgis_style, quicklook
from segtasks.planning.plan import Plan
from segtasks.planning.products import FILES, mask_url, result_urls
from segtasks.raster.confidence import MAX_CONFIDENCE
from segtasks.raster.grid import Grid, Window
from segtasks.storage import aoi, cog, object_store, probability_store, receipts, workspace

OnProgress = Callable[[int, int], None]
Tell = Callable[[], None]
Parts = Iterator[tuple[Window, npt.NDArray[Any]]]

PROVEN = ("confidence", "probabilities", "mask")
"""Results that carry their fingerprint; the others are made with them."""
LEGENDS = {"legend": gdal_legend.aux_xml, "style": qgis_style.qml}
"""Results that need nothing but the model's classes."""


def is_published(plan: Plan) -> bool:
    """Whether the destination holds the results of this very job (which ``fresh`` makes again).

    Raises:
        DestinationError: when it holds something else and may not be replaced; or the mask without
            a result that is asked for now, and that only a run can make.
    """
    urls = result_urls(plan)
    # Also what is not asked for now: it may be another time.
    for own in (f"{plan.job.to}/{file}" for file in FILES.values()):
        if object_store.is_same(own, plan.job.source):
            raise DestinationError(f"{own}: is the source itself; choose another --to")
    # Of the mask last: whatever is refused is refused before it counts as done.
    theirs = [_is_ours(plan, name, urls[name]) for name in PROVEN if name in urls]
    if plan.job.fresh or not all(theirs):
        return False
    absent = [url for name, url in _absent(plan).items() if name not in LEGENDS]
    if absent and not plan.job.overwrite:
        raise DestinationError(
            f"{absent[0]}: is not there, but the mask that it is made with is; give --overwrite to "
            "make all results again, or do not ask for it"
        )
    return not absent


def _absent(plan: Plan) -> dict[str, str]:
    """The results asked for that are not there: one listing."""
    there = object_store.names(plan.job.to)
    found = result_urls(plan).items()
    return {name: url for name, url in found if url.rpartition("/")[2] not in there}


def finish_publication(plan: Plan) -> dict[str, str]:
    """Urls of results that are published; of a mask's legends those that were lost are made."""
    for name, url in _absent(plan).items():
        object_store.write_bytes(url, LEGENDS[name](plan.card.classes))
    return result_urls(plan)


def _is_ours(plan: Plan, name: str, url: str) -> bool:
    """Whether a result is there, and made by this job."""
    if not object_store.exists(url):
        return False
    is_cube = name == "probabilities"
    read = probability_store.read_attribute if is_cube else cog.read_tag
    if read(url, cog.FINGERPRINT_TAG) == provenance.fingerprint(plan, name):
        return True
    if plan.job.overwrite or (is_cube and probability_store.is_unfinished(url)):
        return False
    raise DestinationError(
        f"{url}: is there already, made by another job; choose another --to or give --overwrite"
    )


def is_outdated(plan: Plan) -> bool:
    """Whether the destination holds our mask of an earlier state of the same source."""
    url = mask_url(plan)
    tag, source = provenance.SOURCE_TAG, redact_url(plan.job.source)
    if not object_store.exists(url) or cog.read_tag(url, tag) != source:
        return False
    return cog.read_tag(url, provenance.IDENTITY_TAG) != plan.raster.identity


def publish(plan: Plan, on_progress: OnProgress) -> dict[str, str]:
    """Make and publish all results; their urls by name."""
    _require_finished(plan)
    started = time.perf_counter()
    urls, tell = result_urls(plan), _counting(plan, on_progress)
    with ExitStack() as files:
        made: dict[str, Path] = {
            name: files.enter_context(_cog(plan, name, urls[name], tell))
            for name in ("mask", "confidence")
            if name in urls
        }
        small = _small(plan, urls, made, started)
        if "probabilities" in urls:
            _write_probabilities(plan, urls["probabilities"], tell)
        if "polygons" in urls:
            polygon_layer.publish_polygons(plan)
        for name, data in small.items():
            object_store.write_bytes(urls[name], data)
        for name in reversed(made):
            object_store.put_file(made[name], urls[name])
    return urls


def _counting(plan: Plan, on_progress: OnProgress) -> Tell:
    """To be called for every tile of every result."""
    asked = result_urls(plan)
    grids = [_grid(plan, name) for name in PROVEN if name in asked]
    total, counter = sum(map(len, grids)), count(1)
    return lambda: on_progress(next(counter), total)


def _grid(plan: Plan, name: str) -> Grid:
    """The grid whose cores are the shards of an array."""
    return plan.tiles if name == "probabilities" else plan.mask_grid


def _require_finished(plan: Plan) -> None:
    """No receipt, no mask: a hole must never look like a result."""
    last = plan.stages[-1]
    done = receipts.done(plan.job.workspace_url, plan.fingerprints[last], last)
    selected = plan.selected(last)
    missing = sum(tile not in done for tile in selected)
    if missing:
        raise StageError(f"write: {missing} of {len(selected)} tiles are not done; rerun")


def legend(plan: Plan) -> cog.ClassBand:
    """The model's legend as the mask carries it."""
    return cog.ClassBand(classes=plan.card.classes)


def band(plan: Plan, name: str) -> cog.Band:
    """What the band of ``mask`` or ``confidence`` shows."""
    if name == "confidence":
        return cog.Scale(name=f"{plan.confidence}", factor=1 / MAX_CONFIDENCE)
    return legend(plan)


def _cog(plan: Plan, name: str, url: str, tell: Tell) -> AbstractContextManager[Path]:
    """The COG of ``mask`` or ``confidence``, as a temporary file."""
    tags = provenance.tags(plan, name)
    return cog.write_cog(url, plan.raster, band(plan, name), tags, _parts(plan, name, tell))


def _parts(plan: Plan, name: str, tell: Tell) -> Parts:
    """An array of the workspace, shard by shard."""
    grid, array = _grid(plan, name), plan.finished_mask if name == "mask" else name
    for tile in grid.tiles():
        core = grid.core(tile)
        yield core, workspace.read(plan.job.workspace_url, array, core)
        tell()


def _write_probabilities(plan: Plan, url: str, tell: Tell) -> None:
    """The network's probabilities, NaN where there is no data, or nothing was asked for."""
    attributes = provenance.tags(plan, "probabilities")
    shard_px, parts = plan.tiles.core_px, _blanked(plan, tell)
    probability_store.write(url, plan.raster, plan.card.classes, shard_px, attributes, parts)


def _blanked(plan: Plan, tell: Tell) -> Parts:
    url = plan.job.workspace_url
    for core, data in _parts(plan, "probabilities", tell):
        valid = workspace.read(url, "valid", core)
        data[:, ~aoi.cut(valid, url, plan.aoi, core)] = np.nan
        yield core, data


def _small(
    plan: Plan, urls: dict[str, str], made: dict[str, Path], started: float
) -> dict[str, bytes]:
    """The small files that go with the mask, by name."""
    makers: dict[str, Callable[[], bytes]] = {
        **{name: partial(make, plan.card.classes) for name, make in LEGENDS.items()},
        "item": lambda: _item(plan, urls),
        "quicklook": lambda: _quicklook(plan, made["mask"]),
        "report": lambda: _report(plan, urls, made, started),
    }
    return {name: make() for name, make in makers.items() if name in urls}


def _item(plan: Plan, urls: dict[str, str]) -> bytes:
    from segtasks.outputs import stac_item  # noqa: PLC0415 - half a second, which --help need not wait for

    results = {name: url for name, url in urls.items() if name != "item"}
    return stac_item.item(plan, results, provenance.tags(plan, "mask"))


def _quicklook(plan: Plan, mask_file: Path) -> bytes:
    """Picture of image and mask, from pixels kept while ingesting and from the COG's overviews."""
    step = plan.thumbnail_step
    small = Window(0, 0, -(-plan.raster.height // step), -(-plan.raster.width // step))
    image = workspace.read(plan.job.workspace_url, "thumbnail", small)
    mask = cog.read_small(str(mask_file), small.shape)[0]
    return quicklook.draw(image, mask, legend(plan).colormap)


def _report(plan: Plan, urls: dict[str, str], made: dict[str, Path], started: float) -> bytes:
    from segtasks.outputs.report.page import page  # noqa: PLC0415 - as catalogue

    beside = {name: url for name, url in urls.items() if name != "report"}
    return page(plan, made, beside, legend(plan).colormap, started)
