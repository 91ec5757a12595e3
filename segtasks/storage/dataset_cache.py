"""A cache of open datasets, per thread as GDAL requires: opening a remote file costs requests."""

import os
import threading
from collections import OrderedDict

import rasterio
from rasterio.errors import RasterioIOError
from rasterio.io import DatasetReader

from segtasks.errors import SourceError
from segtasks.raster.header import RasterHeader
from segtasks.storage import object_store
from segtasks.storage.gdal import gdal_options, gdal_path, reason

OPEN_PER_THREAD = 4
VIEWERS = (".aux.xml", ".ovr")  # written next to a raster by programs that only display it
_threads = threading.local()


def opened(raster: RasterHeader) -> DatasetReader:
    """Return the dataset of a raster, from the cache or opened again.

    Raises:
        SourceError: it cannot be opened, or it has changed since its header was read.
    """
    datasets, key = _cached_datasets(), (raster.url, raster.identity)
    if key in datasets:
        datasets.move_to_end(key)
        return datasets[key]
    dataset = reopen(raster.url)
    if identity(dataset, raster.url) != raster.identity:
        raise SourceError(f"{raster.url}: has changed since this job started; run the job again")
    keep(raster, dataset)
    return dataset


def keep(raster: RasterHeader, dataset: DatasetReader) -> None:
    """Add a dataset to the cache; the least recently used one is closed if the cache is full."""
    datasets = _cached_datasets()
    datasets[raster.url, raster.identity] = dataset
    while len(datasets) > OPEN_PER_THREAD:
        datasets.popitem(last=False)[1].close()


def forget(url: str) -> None:
    """Close all cached datasets of ``url``."""
    datasets = _cached_datasets()
    for key in [key for key in datasets if key[0] == url]:
        datasets.pop(key).close()


def reopen(url: str) -> DatasetReader:
    """Open a raster without looking into the cache.

    Raises:
        SourceError: it is missing, or not a raster.
    """
    try:
        with rasterio.Env(**gdal_options()):
            return rasterio.open(gdal_path(url))
    except RasterioIOError as error:
        # Checked after opening: GDAL opens names (netcdf:a.nc:x, /vsizip/...) that are no paths.
        if not object_store.is_remote(url) and not os.path.exists(object_store.local_path(url)):  # noqa: PTH110 - Path.exists raises when a name is too long
            raise SourceError(f"{url}: no such file; check the path") from None
        raise SourceError(
            f"{url}: cannot be opened as a raster ({reason(error)}){_hint(url)}"
        ) from None


def identity(dataset: DatasetReader, url: str) -> str:
    """Return a string that changes when the content of the raster changes.

    For a remote raster it is the object's ETag or size. For a local one it has size and time of
    modification of every file from which pixels or validity are read.
    """
    if object_store.is_remote(url):
        return object_store.identity(url)
    paths = [object_store.local_path(name) for name in dataset.files if not name.endswith(VIEWERS)]
    stats = {path.name: path.stat() for path in paths if path.exists()}
    files = [f"{name}={stat.st_size},{stat.st_mtime_ns}" for name, stat in stats.items()]
    return ";".join([*files, f"nodata={dataset.nodatavals}"])


def _cached_datasets() -> OrderedDict[tuple[str, str], DatasetReader]:
    """Return the open datasets of this thread, by url and identity."""
    if not hasattr(_threads, "datasets"):
        _threads.datasets = OrderedDict()
    datasets: OrderedDict[tuple[str, str], DatasetReader] = _threads.datasets
    return datasets


def _hint(url: str) -> str:
    if url.startswith("s3://"):
        return (
            "; check the key, and AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and "
            "AWS_ENDPOINT_URL_S3 in the environment"
        )
    return "; it is missing, not a raster, or damaged"
