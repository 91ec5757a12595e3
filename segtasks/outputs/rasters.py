"""Makers of the rasters: arrays of the workspace become COGs and a Zarr store."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from segtasks.outputs import provenance
from segtasks.outputs.publication import Publication, class_band
from segtasks.planning.plan import Plan
from segtasks.raster.confidence import MAX_CONFIDENCE
from segtasks.raster.grid import Grid, Window
from segtasks.storage import aoi, cog, object_store, probability_store, workspace

Parts = Iterator[tuple[Window, npt.NDArray[Any]]]


def make_mask(publication: Publication) -> Callable[[], None]:
    """Make ``mask.tif``: class ids (H, W), uint8."""
    return _make_cog(publication, "mask")


def make_confidence(publication: Publication) -> Callable[[], None]:
    """Make ``confidence.tif``: (H, W), uint8, 0..254 for 0..1."""
    return _make_cog(publication, "confidence")


def make_probabilities(publication: Publication) -> Callable[[], None]:
    """Return what writes ``probabilities.zarr`` (K, H, W): too large for a temporary copy."""
    plan = publication.plan
    return partial(
        probability_store.write,
        publication.urls["probabilities"],
        plan.raster,
        plan.card.classes,
        plan.tiles.core_px,
        provenance.tags(plan, "probabilities"),
        _known_probabilities(publication),
    )


def band(plan: Plan, name: str) -> cog.Band:
    """What the band of ``mask`` or ``confidence`` shows."""
    if name == "confidence":
        return cog.Scale(name=f"{plan.confidence}", factor=1 / MAX_CONFIDENCE)
    return class_band(plan)


def shard_grid(plan: Plan, name: str) -> Grid:
    """The grid whose cores are the shards of an array of the workspace."""
    return plan.tiles if name == "probabilities" else plan.mask_grid


def _make_cog(publication: Publication, name: str) -> Callable[[], None]:
    plan, url = publication.plan, publication.urls[name]
    array = plan.finished_mask if name == "mask" else name
    tags, parts = provenance.tags(plan, name), _parts(publication, name, array)
    made = cog.write_cog(url, plan.raster, band(plan, name), tags, parts)
    path = publication.rasters[name] = publication.files.enter_context(made)
    return partial(object_store.put_file, path, url)


def _known_probabilities(publication: Publication) -> Parts:
    """Yield the probabilities, NaN where there is no data and outside the area of interest."""
    plan = publication.plan
    url = plan.job.workspace_url
    for core, data in _parts(publication, "probabilities", "probabilities"):
        valid = workspace.read(url, "valid", core)
        data[:, ~aoi.cut(valid, url, plan.aoi, core)] = np.nan
        yield core, data


def _parts(publication: Publication, name: str, array: str) -> Parts:
    """Yield an array of the workspace shard by shard."""
    grid = shard_grid(publication.plan, name)
    for tile in grid.tiles():
        core = grid.core(tile)
        yield core, workspace.read(publication.plan.job.workspace_url, array, core)
        publication.on_tile()
