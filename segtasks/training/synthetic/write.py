"""Write scenes as tiled, georeferenced GeoTIFFs with their labels, window by window."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import rasterio
from rasterio.io import DatasetWriter
from rasterio.transform import Affine
from rasterio.windows import Window as RasterioWindow

from segtasks.errors import DestinationError, JobError
from segtasks.raster.grid import Grid
from segtasks.training.synthetic.window import LEGEND, scene_window

CRS = "EPSG:32637"
PIXEL_M = 0.3
ORIGIN_X, ORIGIN_Y = 412_000.0, 6_180_000.0
"""Upper left corner of world pixel (0, 0) in metres, near Moscow (the scene is fictitious)."""
BLOCK_PX, WINDOW_PX = 512, 1024


def label_path(path: Path) -> Path:
    """Return the path of a scene's labels: ``scene.tif`` -> ``scene_label.tif``."""
    return path.with_name(f"{path.stem}_label{path.suffix}")


def write_scene(path: Path | str, seed: int, height: int, width: int) -> Path:
    """Write rows 0 … height and columns 0 … width of scene ``seed``, and its labels.

    Memory does not depend on the size, because windows of 1024 px are written one by one. Both
    files appear when they are complete.

    Args:
        path: the image, ``….tif``; uint8 RGB, 0.3 m per pixel, EPSG:32637.
        seed: number of the scene.
        height: rows.
        width: columns.

    Returns:
        Path of the labels: uint8 class ids with a colour table, no nodata inside.

    Raises:
        JobError: the size is not positive.
        DestinationError: the folder is missing or not writable.
    """
    path = Path(path)
    if height < 1 or width < 1:
        raise JobError(f"scene of {height} x {width} px; ask for at least 1 x 1")
    labels_path = label_path(path)
    with _writer(path, 3, height, width) as image, _writer(labels_path, 1, height, width) as labels:
        _name_classes(labels)
        for area, (pixels, classes) in _windows(seed, Grid(height, width, WINDOW_PX)):
            image.write(pixels, window=area)
            labels.write(classes, 1, window=area)
    return labels_path


def _windows(seed: int, grid: Grid) -> Iterator[tuple[RasterioWindow, Any]]:
    for tile in grid.tiles():
        core = grid.core(tile)
        area = RasterioWindow(core.col, core.row, core.width, core.height)
        yield area, scene_window(seed, core.row, core.col, core.height, core.width)


@contextmanager
def _writer(path: Path, count: int, height: int, width: int) -> Iterator[DatasetWriter]:
    """Open ``path`` under a temporary name, and rename it when everything is written."""
    unfinished = path.with_name(f"{path.name}.part")
    try:
        with rasterio.open(unfinished, "w", **_profile(count, height, width)) as dataset:
            yield dataset
        unfinished.replace(path)
    except (OSError, rasterio.errors.RasterioError) as error:
        reason = " ".join(str(error).split())
        raise DestinationError(
            f"{path}: cannot be written ({reason}); check that the folder exists"
        ) from None
    finally:
        unfinished.unlink(missing_ok=True)


def _profile(count: int, height: int, width: int) -> dict[str, Any]:
    return {
        "driver": "GTiff",
        "dtype": "uint8",
        "count": count,
        "height": height,
        "width": width,
        "crs": CRS,
        "transform": Affine(PIXEL_M, 0, ORIGIN_X, 0, -PIXEL_M, ORIGIN_Y),
        "tiled": True,
        "blockxsize": BLOCK_PX,
        "blockysize": BLOCK_PX,
        "compress": "zstd",
        "zstd_level": 1,
        "bigtiff": "if_safer",
        "interleave": "pixel",
        "photometric": "rgb" if count > 1 else "minisblack",
    }


def _name_classes(labels: DatasetWriter) -> None:
    colours = {i: tuple(bytes.fromhex(colour[1:])) for i, (_, colour) in enumerate(LEGEND)}
    labels.write_colormap(1, colours)
    labels.update_tags(**{f"CLASS_{i}": name for i, (name, _) in enumerate(LEGEND)})
