"""Ingest: a window of the source raster -> ``image``, ``valid`` and the pixels of the quicklook."""

import numpy as np

from segtasks.pipeline.tile_stage import TileStage, Written
from segtasks.planning.plan import Plan
from segtasks.raster.grid import Tile, Window
from segtasks.storage import raster_reader, workspace
from segtasks.storage.raster_reader import Image, Valid

Pixels = tuple[Image, Valid]


def read(plan: Plan, tile: Tile) -> Pixels:
    """Read a core; invalid pixels become 0, so that no value under nodata is seen later."""
    image, valid = raster_reader.read(plan.raster, plan.bands, plan.tiles.core(tile))
    image[:, ~valid] = 0
    return image, valid


def write(plan: Plan, tile: Tile, pixels: Pixels, _: None) -> Written:
    """Write the core, and every n-th pixel of it; n divides the origin of the core."""
    (image, valid), url = pixels, plan.job.workspace_url
    core, step = plan.tiles.core(tile), plan.thumbnail_step
    small = image[:, ::step, ::step]
    workspace.write(url, "image", core, image)
    workspace.write(url, "valid", core, valid)
    place = Window(core.row // step, core.col // step, *small.shape[1:])
    workspace.write(url, "thumbnail", place, small)
    return Written(valid_px=int(np.count_nonzero(valid)))


STAGE = TileStage(read=read, compute=None, write=write)
