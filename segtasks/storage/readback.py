"""Reading windows of a result that was just made, before it is published."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt
import rasterio
from rasterio.windows import Window as RasterioWindow

from segtasks.grid import Window
from segtasks.storage.gdal import gdal_options

ReadMask = Callable[[Window], npt.NDArray[np.uint8]]


@contextmanager
def opened(path: Path) -> Iterator[ReadMask]:
    """What reads a window (h, w) of the file's first band, within its bounds."""
    with rasterio.Env(**gdal_options()), rasterio.open(path) as dataset:

        def read(window: Window) -> npt.NDArray[np.uint8]:
            area = RasterioWindow(window.col, window.row, window.width, window.height)
            return np.asarray(dataset.read(1, window=area))

        yield read
