"""Reading rasters by windows: any file GDAL opens, local, s3:// or https://."""

import os
import threading
import warnings
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import numpy.typing as npt
import rasterio
from rasterio._err import CPLE_BaseError
from rasterio.enums import ColorInterp
from rasterio.errors import NotGeoreferencedWarning, RasterioError, RasterioIOError
from rasterio.io import DatasetReader
from rasterio.windows import Window as RasterioWindow

from segtasks.errors import SourceError, StorageError
from segtasks.grid import Window
from segtasks.raster import GroundControlPoint, Raster
from segtasks.storage import objects

Image = npt.NDArray[Any]
Valid = npt.NDArray[np.bool_]

# GDAL's own errors leave rasterio unwrapped in places, e.g. when a disk is full.
GDAL_ERRORS = (RasterioError, CPLE_BaseError)
OPEN_PER_THREAD = 4
CACHE_BYTES = 128 * 2**20
"""Of decoded blocks, kept by GDAL for the whole process."""
VIEWERS = (".aux.xml", ".ovr")  # written beside a raster by programs that only show it
_threads = threading.local()

# It is said once, in one line, by the raster's own `warnings`.
warnings.filterwarnings("ignore", category=NotGeoreferencedWarning)


def gdal_options() -> dict[str, Any]:
    """GDAL settings: few requests when remote, the endpoint s3fs and boto use, bounded cache."""
    options: dict[str, Any] = {
        # An int in bytes; the default is 5 % of the memory.
        "GDAL_CACHEMAX": getattr(_threads, "cache_bytes", CACHE_BYTES),
        "GDAL_DISABLE_READDIR_ON_OPEN": "TRUE",  # no listing, yet side-car masks are found
        "GDAL_HTTP_MAX_RETRY": 5,
        "GDAL_HTTP_RETRY_DELAY": 1,
        "VSI_CACHE": True,
        "CPL_VSIL_CURL_USE_HEAD": "YES",
        # What is closed is asked for again: the object may have been replaced meanwhile.
        "CPL_VSIL_CURL_NON_CACHED": "/vsis3/:/vsicurl/",
    }
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    if endpoint:
        parts = urlsplit(endpoint)
        if parts.scheme not in {"http", "https"}:
            raise StorageError(
                f"AWS_ENDPOINT_URL_S3 is {endpoint}, which is no url; write http://HOST:PORT or "
                "https://HOST"
            )
        options |= {
            "AWS_S3_ENDPOINT": parts.netloc,
            "AWS_HTTPS": "YES" if parts.scheme == "https" else "NO",
            "AWS_VIRTUAL_HOSTING": "FALSE",
        }
    return options


@contextmanager
def small_cache(wanted_bytes: int) -> Iterator[None]:
    """Let GDAL keep less than usual of what this thread reads, down to a quarter."""
    _threads.cache_bytes = min(max(wanted_bytes, CACHE_BYTES // 4), CACHE_BYTES)
    try:
        yield
    finally:
        del _threads.cache_bytes


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
    dataset = _open_anew(url)
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
            rpcs=tuple(dataset.tags(ns="RPC").items()),
            palette=palette,
            warnings=_warnings(dataset, url),
        )
    if not raster.bands:
        raise SourceError(f"{url}: its only band is alpha; there is nothing to segment")
    _keep(raster, dataset)
    return raster


def read(raster: Raster, bands: tuple[int, ...], window: Window) -> tuple[Image, Valid]:
    """Read a window.

    Returns:
        The image (C, h, w) in ``raster.dtype`` and where it is valid (h, w): False at nodata,
        transparent or masked pixels and where a band is not finite.

    Raises:
        SourceError: naming the window, when the file is truncated or the server gives up.
    """
    with reading(raster, window) as dataset:
        return pixels(dataset, raster, bands, window)


def read_valid(raster: Raster, bands: tuple[int, ...], window: Window) -> Valid:
    """Where a window is valid (h, w), without its pixels: those of JPEG need not be decoded.

    Bands of floats are read nonetheless, since they may not be finite.

    Raises:
        SourceError: as `read`.
    """
    if raster.palette or np.dtype(raster.dtype).kind == "f":
        return read(raster, bands, window)[1]
    with reading(raster, window) as dataset:
        return _valid(dataset, _area(window))


@contextmanager
def reading(raster: Raster, window: Window) -> Iterator[DatasetReader]:
    """The raster's dataset while a window is read; GDAL's errors become one line.

    Raises:
        SourceError: naming the window.
    """
    try:
        with rasterio.Env(**gdal_options()):
            yield _open(raster)
    except GDAL_ERRORS as error:
        _forget(raster.url)
        raise SourceError(
            f"{raster.url}: rows {window.row}-{window.row_stop}, columns {window.col}-"
            f"{window.col_stop} cannot be read ({_reason(error)}); the file is truncated or "
            "damaged there, mend it and rerun: what is done is kept"
        ) from None


def pixels(
    dataset: DatasetReader, raster: Raster, bands: tuple[int, ...], window: Window
) -> tuple[Image, Valid]:
    """What `read` returns, of the raster's own dataset or of a warped one over it."""
    area = _area(window)
    valid = _valid(dataset, area)
    if raster.palette:
        return _expand(dataset.read(1, window=area), bands, valid, raster)
    image = _read_bands(dataset, bands, area, raster.dtype)
    if image.dtype.kind == "f":
        valid &= np.isfinite(image).all(axis=0)
    return image, valid


def _area(window: Window) -> RasterioWindow:
    return RasterioWindow(window.col, window.row, window.width, window.height)


def sample(raster: Raster, bands: tuple[int, ...], *, side: int = 5, size_px: int = 256) -> Image:
    """Valid pixels (N, C) of ``side`` x ``side`` windows spread evenly over the raster."""
    rows = np.linspace(0, max(0, raster.height - size_px), side).astype(int)
    cols = np.linspace(0, max(0, raster.width - size_px), side).astype(int)
    whole = Window(0, 0, raster.height, raster.width)
    found = []
    for row in dict.fromkeys(rows.tolist()):
        for col in dict.fromkeys(cols.tolist()):
            image, valid = read(raster, bands, Window(row, col, size_px, size_px).intersect(whole))
            found.append(image[:, valid].T)
    return np.concatenate(found)


def _valid(dataset: DatasetReader, area: RasterioWindow) -> Valid:
    """GDAL's mask; it overlooks alpha where a nodata value is declared as well."""
    valid: Valid = dataset.dataset_mask(window=area) > 0
    kinds = zip(dataset.indexes, dataset.colorinterp, strict=True)
    alpha = [index for index, kind in kinds if kind == ColorInterp.alpha]
    if alpha and dataset.nodata is not None:
        valid &= dataset.read(alpha[0], window=area) > 0
    return valid


def _read_bands(
    dataset: DatasetReader, bands: tuple[int, ...], area: RasterioWindow, dtype: str
) -> Image:
    image: Image
    if len(set(dataset.dtypes)) == 1:
        image = dataset.read(list(bands), window=area, out_dtype=dtype)
    else:
        # Rasterio reads bands of several dtypes one by one only.
        image = np.stack([dataset.read(band, window=area).astype(dtype) for band in bands])
    return image


def _kept() -> OrderedDict[tuple[str, str], DatasetReader]:
    """The datasets this thread keeps open, by url and identity (GDAL handles are per thread)."""
    if not hasattr(_threads, "datasets"):
        _threads.datasets = OrderedDict()
    datasets: OrderedDict[tuple[str, str], DatasetReader] = _threads.datasets
    return datasets


def _keep(raster: Raster, dataset: DatasetReader) -> None:
    datasets = _kept()
    datasets[raster.url, raster.identity] = dataset
    while len(datasets) > OPEN_PER_THREAD:
        datasets.popitem(last=False)[1].close()


def _open(raster: Raster) -> DatasetReader:
    """The very dataset that was described.

    Raises:
        SourceError: also when the source has changed since.
    """
    datasets, key = _kept(), (raster.url, raster.identity)
    if key in datasets:
        datasets.move_to_end(key)
        return datasets[key]
    dataset = _open_anew(raster.url)
    if _identity(dataset, raster.url) != raster.identity:
        raise SourceError(f"{raster.url}: has changed since this job began; run the job again")
    _keep(raster, dataset)
    return dataset


def _open_anew(url: str) -> DatasetReader:
    try:
        with rasterio.Env(**gdal_options()):
            return rasterio.open(gdal_path(url))
    except RasterioIOError as error:
        # Only now: GDAL's own names (netcdf:a.nc:x, /vsizip/...) are no paths, yet can be opened.
        if not objects.is_remote(url) and not os.path.exists(objects.local_path(url)):  # noqa: PTH110 - Path.exists raises when a name is too long
            raise SourceError(f"{url}: no such file; check the path") from None
        raise SourceError(
            f"{url}: cannot be opened as a raster ({_reason(error)}){_hint(url)}"
        ) from None


def _forget(url: str) -> None:
    datasets = _kept()
    for key in [key for key in datasets if key[0] == url]:
        datasets.pop(key).close()


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
    try:
        colormap = dataset.colormap(1)
    except ValueError:  # it says palette, but has none: the values are what there is
        return None
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
    if _crs_wkt(dataset) or dataset.tags(ns="RPC"):
        return ()
    return (f"{url}: has no coordinate reference system; the mask will have none either",)


def _identity(dataset: DatasetReader, url: str) -> str:
    """Remote: the object's ETag or size. Local: every file that pixels or validity come from."""
    if objects.is_remote(url):
        return objects.identity(url)
    paths = [objects.local_path(name) for name in dataset.files if not name.endswith(VIEWERS)]
    stats = {path.name: path.stat() for path in paths if path.exists()}
    files = [f"{name}={stat.st_size},{stat.st_mtime_ns}" for name, stat in stats.items()]
    return ";".join([*files, f"nodata={dataset.nodatavals}"])


def _subdatasets(dataset: DatasetReader) -> str:
    names = dataset.subdatasets
    return f"; name one of its subdatasets, e.g. {names[0]}" if names else ""
