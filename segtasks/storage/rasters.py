"""Reading rasters by windows: any file GDAL opens, local, s3:// or https://."""

import os
import threading
import warnings
from collections import OrderedDict
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import numpy.typing as npt
import rasterio
from rasterio.enums import ColorInterp
from rasterio.errors import NotGeoreferencedWarning, RasterioError, RasterioIOError
from rasterio.io import DatasetReader
from rasterio.windows import Window as RasterioWindow

from segtasks.errors import SourceError
from segtasks.grid import Window
from segtasks.raster import GroundControlPoint, Raster
from segtasks.storage import objects

Image = npt.NDArray[Any]
Valid = npt.NDArray[np.bool_]

OPEN_PER_THREAD = 4
_threads = threading.local()


def gdal_options() -> dict[str, Any]:
    """GDAL settings: few requests when remote, the endpoint s3fs and boto use, bounded cache."""
    options: dict[str, Any] = {
        "GDAL_CACHEMAX": 128 * 2**20,  # an int in bytes; the default is 5 % of the memory
        "GDAL_DISABLE_READDIR_ON_OPEN": "TRUE",  # no listing, yet side-car masks are found
        "GDAL_HTTP_MAX_RETRY": 5,
        "GDAL_HTTP_RETRY_DELAY": 1,
        "VSI_CACHE": True,
        "CPL_VSIL_CURL_USE_HEAD": "YES",
    }
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    if endpoint:
        parts = urlsplit(endpoint)
        options |= {
            "AWS_S3_ENDPOINT": parts.netloc,
            "AWS_HTTPS": "YES" if parts.scheme == "https" else "NO",
            "AWS_VIRTUAL_HOSTING": "FALSE",
        }
    return options


def gdal_path(url: str) -> str:
    """``url`` as GDAL names it."""
    if url.startswith("s3://"):
        return f"/vsis3/{url.removeprefix('s3://')}"
    if url.startswith(("http://", "https://")):
        return f"/vsicurl/{url}"
    return url.removeprefix("file://")


def describe(url: str) -> Raster:
    """Read the header.

    Raises:
        SourceError: missing, unreadable, without bands, or complex.
    """
    dataset = _open(url)
    with rasterio.Env(**gdal_options()):
        if dataset.count == 0:
            raise SourceError(f"{url}: has no bands{_subdatasets(dataset)}")
        palette = _palette(dataset)
        raster = Raster(
            url=url,
            identity=_identity(dataset, url),
            height=dataset.height,
            width=dataset.width,
            bands=(1, 2, 3) if palette else _colour_bands(dataset),
            dtype="uint8" if palette else _common_dtype(dataset),
            crs_wkt=_crs_wkt(dataset),
            transform=_transform(dataset),
            gcps=_gcps(dataset),
            palette=palette,
            warnings=_warnings(dataset, url),
        )
    if not raster.bands:
        raise SourceError(f"{url}: its only band is alpha; there is nothing to segment")
    return raster


def read(raster: Raster, bands: tuple[int, ...], window: Window) -> tuple[Image, Valid]:
    """Read a window.

    Returns:
        The image (C, h, w) in ``raster.dtype`` and where it is valid (h, w): False at nodata,
        transparent or masked pixels and where a band is not finite.

    Raises:
        SourceError: naming the window, when the file is truncated or the server gives up.
    """
    area = RasterioWindow(window.col, window.row, window.width, window.height)
    try:
        with rasterio.Env(**gdal_options()):
            dataset = _open(raster.url)
            valid = dataset.dataset_mask(window=area) > 0
            if raster.palette:
                return _expand(dataset.read(1, window=area), bands, valid, raster)
            image = dataset.read(list(bands), window=area, out_dtype=raster.dtype)
    except RasterioError as error:
        _forget(raster.url)
        raise SourceError(
            f"{raster.url}: rows {window.row}-{window.row_stop}, columns {window.col}-"
            f"{window.col_stop} cannot be read ({_reason(error)}); the file is truncated or "
            "damaged there, mend it and rerun: what is done is kept"
        ) from None
    if image.dtype.kind == "f":
        valid &= np.isfinite(image).all(axis=0)
    return image, valid


def sample(raster: Raster, bands: tuple[int, ...], *, side: int = 5, size_px: int = 256) -> Image:
    """Valid pixels (N, C) of ``side`` x ``side`` windows spread evenly over the raster."""
    rows = np.linspace(0, max(0, raster.height - size_px), side).astype(int)
    cols = np.linspace(0, max(0, raster.width - size_px), side).astype(int)
    whole = Window(0, 0, raster.height, raster.width)
    pixels = []
    for row in dict.fromkeys(rows.tolist()):
        for col in dict.fromkeys(cols.tolist()):
            image, valid = read(raster, bands, Window(row, col, size_px, size_px).intersect(whole))
            pixels.append(image[:, valid].T)
    return np.concatenate(pixels)


def _open(url: str) -> DatasetReader:
    """The dataset, kept open per thread (GDAL handles are not thread-safe)."""
    if not hasattr(_threads, "datasets"):
        _threads.datasets = OrderedDict()
    datasets: OrderedDict[str, DatasetReader] = _threads.datasets
    if url not in datasets:
        datasets[url] = _open_anew(url)
        while len(datasets) > OPEN_PER_THREAD:
            datasets.popitem(last=False)[1].close()
    datasets.move_to_end(url)
    return datasets[url]


def _open_anew(url: str) -> DatasetReader:
    if not objects.is_remote(url) and not objects.local_path(url).exists():
        raise SourceError(f"{url}: no such file; check the path")
    try:
        with rasterio.Env(**gdal_options()), warnings.catch_warnings():
            # We say it ourselves, in one line, as the raster's warning.
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            return rasterio.open(gdal_path(url))
    except RasterioIOError as error:
        raise SourceError(
            f"{url}: cannot be opened as a raster ({_reason(error)}){_hint(url)}"
        ) from None


def _forget(url: str) -> None:
    dataset = _threads.datasets.pop(url, None)
    if dataset is not None:
        dataset.close()


def _hint(url: str) -> str:
    if url.startswith("s3://"):
        return (
            "; check the key, and AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and "
            "AWS_ENDPOINT_URL_S3 in the environment"
        )
    return "; it is missing, not a raster, or damaged"


def _reason(error: BaseException) -> str:
    """GDAL's own words: rasterio keeps them in the cause."""
    cause = error.__cause__ or error.__context__
    text = str(cause) if cause and "previous exception" in str(error) else str(error)
    return " ".join(text.split())


def _colour_bands(dataset: DatasetReader) -> tuple[int, ...]:
    kinds = zip(dataset.indexes, dataset.colorinterp, strict=True)
    return tuple(index for index, kind in kinds if kind != ColorInterp.alpha)


def _common_dtype(dataset: DatasetReader) -> str:
    """One dtype that holds every band: bands of a GDAL dataset may differ."""
    names = [name for name in dataset.dtypes if name != "complex_int16"]
    if len(names) < len(dataset.dtypes):
        return "complex64"
    return str(np.result_type(*names))


def _palette(dataset: DatasetReader) -> tuple[tuple[int, int, int, int], ...] | None:
    if dataset.count != 1 or dataset.colorinterp[0] != ColorInterp.palette:
        return None
    colormap = dataset.colormap(1)
    size = np.iinfo(dataset.dtypes[0]).max + 1
    return tuple(colormap.get(index, (0, 0, 0, 0)) for index in range(size))


def _expand(
    index: Image, bands: tuple[int, ...], valid: Valid, raster: Raster
) -> tuple[Image, Valid]:
    table = np.array(raster.palette, np.uint8)[index]  # (h, w, RGBA)
    channels = [band - 1 for band in bands]
    return np.moveaxis(table[..., channels], -1, 0), valid & (table[..., 3] > 0)


def _crs_wkt(dataset: DatasetReader) -> str | None:
    crs = dataset.crs or dataset.gcps[1]
    return crs.to_wkt() if crs else None


def _transform(dataset: DatasetReader) -> tuple[float, float, float, float, float, float] | None:
    affine = dataset.transform
    return None if affine.is_identity else tuple(affine)[:6]


def _gcps(dataset: DatasetReader) -> tuple[GroundControlPoint, ...]:
    points = dataset.gcps[0]
    return tuple(
        GroundControlPoint(row=p.row, col=p.col, x=p.x, y=p.y, z=p.z or 0.0) for p in points
    )


def _warnings(dataset: DatasetReader, url: str) -> tuple[str, ...]:
    if _crs_wkt(dataset):
        return ()
    return (f"{url}: has no coordinate reference system; the mask will have none either",)


def _identity(dataset: DatasetReader, url: str) -> str:
    """Remote: the object's ETag or size. Local: every file of the dataset, side-cars included."""
    if objects.is_remote(url):
        return objects.identity(url)
    paths = [objects.local_path(name) for name in dataset.files if not name.startswith("/vsi")]
    stats = {path.name: path.stat() for path in paths if path.exists()}
    return ";".join(f"{name}={stat.st_size},{stat.st_mtime_ns}" for name, stat in stats.items())


def _subdatasets(dataset: DatasetReader) -> str:
    names = dataset.subdatasets
    return f"; name one of its subdatasets, e.g. {names[0]}" if names else ""
