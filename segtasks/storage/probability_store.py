"""``probabilities.zarr``: a Zarr v3 store that xarray opens georeferenced.

    probabilities  (class, y, x) float16, NaN at nodata
    class          (class,)      class ids; names and colours are attributes
    y, x           pixel centres, if rows and columns are parallel to the axes of the CRS
    spatial_ref    ()            CF's grid mapping: the CRS, and GDAL's GeoTransform

The metadata of the group are written last, so that the store of a killed writer cannot be opened.
"""

import json
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import zarr
from pyproj import CRS
from zarr.codecs import ZstdCodec

from segtasks.config.legend import ClassEntry
from segtasks.errors import ResourceError
from segtasks.raster.grid import Window
from segtasks.raster.header import RasterHeader
from segtasks.storage import object_store
from segtasks.storage.workspace import GROUP, sides

Halves = npt.NDArray[np.float16]
Attributes = Mapping[str, Any]

PARTS = {"probabilities", "class", "y", "x", "spatial_ref"}
NAME, MAPPING = "probabilities", "spatial_ref"

# Consolidated metadata are not part of the Zarr v3 specification; other readers ignore them.
warnings.filterwarnings("ignore", message="Consolidated metadata is currently not part")


def write(
    url: str,
    raster: RasterHeader,
    classes: Sequence[ClassEntry],
    shard_px: int,
    attributes: Attributes,
    parts: Iterable[tuple[Window, Halves]],
) -> None:
    """Write the store, one window at a time in memory.

    Args:
        url: the store; an existing one is removed first.
        raster: size and georeference of the grid.
        classes: the classes of the first axis.
        shard_px: side of the windows, except at the raster's borders.
        attributes: attributes of the group.
        parts: windows that cover the raster, each whole shards, with their data (K, h, w).

    Raises:
        ResourceError: the disk is full.
    """
    try:
        # The group's metadata are removed first, so that a partly removed store cannot be opened.
        object_store.remove_tree(f"{url}/{GROUP}")
        object_store.remove_tree(url)
        cube = _create(url, raster, len(classes), shard_px)
        for window, data in parts:
            cube[(..., *window.slices)] = data
        _add_coordinates(url, raster, classes)
        zarr.create_group(store=url, zarr_format=3, attributes=dict(attributes))
        # Consolidated metadata open all arrays with one request; xarray looks for them.
        zarr.consolidate_metadata(url, zarr_format=3)
    except OSError as error:
        raise ResourceError(
            f"{url}: cannot be written ({error.strerror or error}); free some space and rerun: "
            "what is done is kept"
        ) from error


def read_attribute(url: str, key: str) -> str | None:
    """Read an attribute of a complete store; ``None`` if there is no such store or attribute."""
    if not object_store.exists(f"{url}/{GROUP}"):
        return None
    try:
        value = json.loads(object_store.read_bytes(f"{url}/{GROUP}"))["attributes"].get(key)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return None if value is None else str(value)


def is_unfinished(url: str) -> bool:
    """Return whether ``url`` holds only parts of a store, as a killed run leaves them."""
    return object_store.names(url) <= PARTS


def _create(url: str, raster: RasterHeader, classes: int, shard_px: int) -> zarr.Array[Any]:
    chunk, shard = sides(shard_px, (raster.height, raster.width))
    return zarr.create_array(
        # By its own url, because creating it through the group would write the group's metadata.
        store=f"{url}/{NAME}",
        shape=(classes, raster.height, raster.width),
        chunks=(classes, chunk, chunk),
        shards=(classes, shard, shard),
        dtype="float16",
        fill_value=np.float16("nan"),
        compressors=ZstdCodec(level=1),
        dimension_names=("class", "y", "x"),
        attributes={
            "long_name": "probability of the class",
            "units": "1",
            "grid_mapping": MAPPING,
            "coordinates": MAPPING,
        },
        zarr_format=3,
    )


def _add_coordinates(url: str, raster: RasterHeader, classes: Sequence[ClassEntry]) -> None:
    ids = np.array([entry.id for entry in classes], np.uint8)
    _add(url, "class", ids, _class_attributes(classes))
    for name, values in _pixel_centres(raster).items():
        axis = {"axis": name.upper(), "long_name": f"{name} of pixel centres"}
        _add(url, name, values, axis)
    _add(url, MAPPING, np.array(0, np.int32), _mapping_attributes(raster))


def _add(url: str, name: str, values: npt.NDArray[Any], attributes: Attributes) -> None:
    zarr.create_array(
        store=f"{url}/{name}",
        data=values,
        chunks=values.shape,
        dimension_names=(name,) if values.ndim else (),
        attributes=dict(attributes),
        zarr_format=3,
    )


def _class_attributes(classes: Sequence[ClassEntry]) -> Attributes:
    """Return CF's flags (section 3.5), in which names have no blanks, and the names unchanged."""
    return {
        "long_name": "class id",
        "flag_values": [entry.id for entry in classes],
        "flag_meanings": " ".join("_".join(entry.name.split()) for entry in classes),
        "names": [entry.name for entry in classes],
        "colors": [entry.color for entry in classes],
    }


def _pixel_centres(raster: RasterHeader) -> dict[str, npt.NDArray[Any]]:
    """Return y and x of pixel centres; rotated grids and those with GCPs have none per row."""
    if raster.transform is None or raster.transform[1] or raster.transform[3]:
        return {}
    a, _, c, _, e, f = raster.transform
    rows, cols = np.arange(raster.height) + 0.5, np.arange(raster.width) + 0.5
    return {"y": f + e * rows, "x": c + a * cols}


def _mapping_attributes(raster: RasterHeader) -> Attributes:
    """Return the CRS and the GeoTransform as rioxarray and GDAL read them."""
    attributes: dict[str, Any] = {}
    if raster.crs_wkt:
        attributes |= CRS.from_wkt(raster.crs_wkt).to_cf()
        attributes["spatial_ref"] = attributes["crs_wkt"]
    if raster.transform:
        a, b, c, d, e, f = raster.transform
        attributes["GeoTransform"] = " ".join(f"{value!r}" for value in (c, a, b, f, d, e))
    return attributes
