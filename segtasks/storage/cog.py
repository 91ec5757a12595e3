"""Write and read results as Cloud-Optimised GeoTIFFs (COGs).

    Zarr windows -> temporary GeoTIFF -> temporary COG -> read back -> destination (by the caller)

Both files are streamed, so memory does not grow with the raster. Nothing appears at the destination
until the COG is complete and has been read back.
"""

import json
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import rasterio
import rasterio.shutil
from rasterio.control import GroundControlPoint as RasterioGcp
from rasterio.crs import CRS
from rasterio.enums import ColorInterp
from rasterio.transform import Affine
from rasterio.windows import Window as RasterioWindow

from segtasks.config.legend import ClassEntry
from segtasks.errors import ResourceError
from segtasks.raster.grid import Window
from segtasks.raster.header import RasterHeader
from segtasks.raster.labels import NODATA
from segtasks.storage.gdal import GDAL_ERRORS, gdal_options, gdal_path

BLOCK_PX = 512
FINGERPRINT_TAG = "SEGTASKS_FINGERPRINT"
CLASSES_TAG = "SEGTASKS_CLASSES"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassBand:
    """The description of a band of class ids.

    Attributes:
        classes: the classes, by id.
        creation: options of GDAL's COG driver.
    """

    classes: tuple[ClassEntry, ...]
    # Overviews show the most frequent class; a mean of ids has no meaning.
    creation: ClassVar[Mapping[str, str]] = {"overview_resampling": "mode"}

    @property
    def colormap(self) -> dict[int, tuple[int, int, int, int]]:
        """GDAL's colour table, in which nodata is transparent."""
        table = {entry.id: bytes.fromhex(entry.color[1:]) for entry in self.classes}
        return {i: (r, g, b, 255) for i, (r, g, b) in table.items()} | {NODATA: (0, 0, 0, 0)}

    @property
    def tags(self) -> dict[str, str]:
        """The class names as metadata, one tag per class and all of them as JSON."""
        names = {str(entry.id): entry.name for entry in self.classes}
        return {f"CLASS_{i}": name for i, name in names.items()} | {CLASSES_TAG: json.dumps(names)}

    def describe(self, dataset: Any) -> None:  # noqa: ANN401 - rasterio ships no types
        """Write colours and names to an open dataset."""
        dataset.write_colormap(1, self.colormap)
        dataset.colorinterp = (ColorInterp.palette,)
        dataset.set_band_description(1, "class")
        dataset.update_tags(**self.tags)
        dataset.update_tags(1, **{f"CLASS_{entry.id}": entry.name for entry in self.classes})


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """The description of a band of bytes that encode real values: value = byte x ``factor``."""

    name: str
    factor: float
    creation: ClassVar[Mapping[str, str]] = {
        "overview_resampling": "average",
        "predictor": "standard",
    }

    def describe(self, dataset: Any) -> None:  # noqa: ANN401 - as above
        """Write name and scale to an open dataset, so that viewers show the real values."""
        dataset.set_band_description(1, self.name)
        dataset.scales, dataset.offsets = (self.factor,), (0.0,)


Band = ClassBand | Scale


@contextmanager
def write_cog(
    url: str,
    raster: RasterHeader,
    band: Band,
    tags: Mapping[str, str],
    parts: Iterable[tuple[Window, npt.NDArray[np.uint8]]],
) -> Iterator[Path]:
    """Write a temporary COG of one band of bytes, in which 255 is nodata.

    Args:
        url: the destination, which gives the file name and the name in messages.
        raster: size and georeference of the result.
        band: classes or scale of the values.
        tags: metadata of the file.
        parts: windows (h, w) that cover the raster, with their pixels.

    Yields:
        The path of the complete file. The caller copies it to its destination.

    Raises:
        ResourceError: the disk is full or the file cannot be read back.
    """
    with tempfile.TemporaryDirectory(prefix="segtasks-") as folder:
        plain, cog = Path(folder, "plain.tif"), Path(folder, url.rsplit("/", 1)[-1])
        try:
            with rasterio.Env(**gdal_options()):
                _write_plain(plain, raster, band, tags, parts)
                _write_cog(plain, cog, band.creation)
                _check(cog, raster, tags)
        except (OSError, *GDAL_ERRORS) as error:
            raise ResourceError(
                f"{url}: cannot be made in {folder} ({' '.join(str(error).split())}); is the disk "
                "full? Free some space or set TMPDIR, and rerun: what is done is kept"
            ) from error
        plain.unlink()
        yield cog


def read_tag(url: str, key: str) -> str | None:
    """Read a tag of a raster; ``None`` if there is no such tag or no such raster."""
    try:
        with rasterio.Env(**gdal_options()), rasterio.open(gdal_path(url)) as mask:
            value: str | None = mask.tags().get(key)
            return value
    except GDAL_ERRORS:
        return None


def read_classes(url: str) -> tuple[ClassEntry, ...] | None:
    """Read the classes of a mask written by `write_cog`; ``None`` if it has no such tags."""
    text = read_tag(url, CLASSES_TAG)
    if text is None:
        return None
    with rasterio.Env(**gdal_options()), rasterio.open(gdal_path(url)) as mask:
        colors = mask.colormap(1)
    names: dict[str, str] = json.loads(text)
    return tuple(
        ClassEntry(id=i, name=names[str(i)], color=f"#{bytes(colors[i][:3]).hex()}")
        for i in range(len(names))
    )


def read_small(url: str, shape: tuple[int, int], bands: tuple[int, ...] = (1,)) -> npt.NDArray[Any]:
    """Read bands (C, h, w) subsampled to ``shape`` (h, w), from overviews if the file has them."""
    with rasterio.Env(**gdal_options()), rasterio.open(gdal_path(url)) as dataset:
        return np.asarray(dataset.read(list(bands), out_shape=(len(bands), *shape)))


ReadMask = Callable[[Window], npt.NDArray[np.uint8]]


@contextmanager
def open_masks(path: Path) -> Iterator[ReadMask]:
    """Open a result and yield a function that reads a window (h, w) of its first band."""
    with rasterio.Env(**gdal_options()), rasterio.open(path) as dataset:

        def read(window: Window) -> npt.NDArray[np.uint8]:
            area = RasterioWindow(window.col, window.row, window.width, window.height)
            return np.asarray(dataset.read(1, window=area))

        yield read


def _write_plain(
    path: Path,
    raster: RasterHeader,
    band: Band,
    tags: Mapping[str, str],
    parts: Iterable[tuple[Window, npt.NDArray[np.uint8]]],
) -> None:
    with rasterio.open(path, "w", **_profile(raster)) as dataset:
        _place(dataset, raster)
        band.describe(dataset)
        dataset.update_tags(**tags)
        for window, data in parts:
            area = RasterioWindow(window.col, window.row, window.width, window.height)
            dataset.write(data, 1, window=area)


def _profile(raster: RasterHeader) -> dict[str, Any]:
    return {
        "driver": "GTiff",
        "height": raster.height,
        "width": raster.width,
        "count": 1,
        "dtype": "uint8",
        "nodata": NODATA,
        "tiled": True,
        "blockxsize": BLOCK_PX,
        "blockysize": BLOCK_PX,
        "compress": "zstd",
        "zstd_level": 1,
        "bigtiff": "if_safer",
    }


def _place(dataset: Any, raster: RasterHeader) -> None:  # noqa: ANN401 - rasterio ships no types
    dataset.update_tags(ns="RPC", **dict(raster.rpcs))
    if raster.gcps:
        points = [RasterioGcp(p.row, p.col, p.x, p.y, p.z) for p in raster.gcps]
        dataset.gcps = (points, CRS.from_user_input(raster.crs_wkt) if raster.crs_wkt else CRS())
        return
    if raster.crs_wkt:
        dataset.crs = raster.crs_wkt
    if raster.transform:
        dataset.transform = Affine(*raster.transform)


def _write_cog(plain: Path, cog: Path, creation: Mapping[str, str]) -> None:
    rasterio.shutil.copy(
        plain,
        cog,
        driver="COG",
        blocksize=BLOCK_PX,
        compress="deflate",
        level=6,
        bigtiff="if_safer",
        num_threads="all_cpus",
        **creation,
    )


def _check(cog: Path, raster: RasterHeader, tags: Mapping[str, str]) -> None:
    """Read size, tags and the last pixel back, which fails if the file is truncated."""
    with rasterio.open(cog) as dataset:
        shape, kept = dataset.shape, dataset.tags()
        dataset.read(1, window=RasterioWindow(raster.width - 1, raster.height - 1, 1, 1))
    lost = [key for key in tags if key not in kept]
    if shape != (raster.height, raster.width) or lost:
        raise ResourceError(f"{cog.name}: is {shape} with tags {lost} missing; rerun to write it")
