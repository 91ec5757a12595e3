"""``probabilities.zarr``: a Zarr v3 store that xarray opens georeferenced.

    probabilities  (class, y, x) float16, NaN at nodata
    class          (class,)      class ids; names and colours are attributes
    y, x           pixel centres, where rows and columns run along the axes of the map
    spatial_ref    ()            CF's grid mapping: the CRS, and GDAL's GeoTransform

The group's own metadata come last: a killed writer leaves nothing that opens.
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

# Zarr says that version 3 has not standardised it yet; readers that do not know it do without.
warnings.filterwarnings("ignore", message="Consolidated metadata is currently not part")


def write(
    url: str,
    raster: RasterHeader,
    classes: Sequence[ClassEntry],
    shard_px: int,
    attributes: Attributes,
    parts: Iterable[tuple[Window, Halves]],
) -> None:
    """Make the store of ``parts``: windows (K, h, w) of whole shards, one at a time in memory.

    Args:
        url: what is there is removed first.
        raster: the grid and its place.
        classes: of the first axis.
        shard_px: side of the windows, but for those at the raster's borders.
        attributes: of the group.
        parts: they cover the raster.

    Raises:
        ResourceError: when the disk is full.
    """
    try:
        _remove(url)
        cube = _create(url, raster, len(classes), shard_px)
        for window, data in parts:
            cube[(..., *window.slices)] = data
        _add_coordinates(url, raster, classes)
        zarr.create_group(store=url, zarr_format=3, attributes=dict(attributes))
        # One request opens it all; xarray asks for this.
        zarr.consolidate_metadata(url, zarr_format=3)
    except OSError as error:
        raise ResourceError(
            f"{url}: cannot be written ({error.strerror or error}); free some space and rerun: "
            "what is done is kept"
        ) from error


def read_attribute(url: str, key: str) -> str | None:
    """An attribute of a whole store; ``None`` when there is no such store or attribute."""
    if not object_store.exists(f"{url}/{GROUP}"):
        return None
    try:
        value = json.loads(object_store.read_bytes(f"{url}/{GROUP}"))["attributes"].get(key)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return None if value is None else str(value)


def is_unfinished(url: str) -> bool:
    """Whether a killed run left ``url``: parts of a store, not yet a store, and nothing else."""
    return object_store.names(url) <= PARTS


def _remove(url: str) -> None:
    """The group's metadata first: what is left of it then is no store."""
    object_store.remove_tree(f"{url}/{GROUP}")
    object_store.remove_tree(url)


def _create(url: str, raster: RasterHeader, classes: int, shard_px: int) -> zarr.Array[Any]:
    chunk, shard = sides(shard_px, (raster.height, raster.width))
    return zarr.create_array(
        # Not by name in the group: that would write the group's metadata now.
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
    for name, values in _centres(raster).items():
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
    """CF's flags (3.5), whose meanings are words; the names as they are beside them."""
    return {
        "long_name": "class id",
        "flag_values": [entry.id for entry in classes],
        "flag_meanings": " ".join("_".join(entry.name.split()) for entry in classes),
        "names": [entry.name for entry in classes],
        "colors": [entry.color for entry in classes],
    }


def _centres(raster: RasterHeader) -> dict[str, npt.NDArray[Any]]:
    """Of rotated grids and those that control points place, a row has no y of its own."""
    if raster.transform is None or raster.transform[1] or raster.transform[3]:
        return {}
    a, _, c, _, e, f = raster.transform
    rows, cols = np.arange(raster.height) + 0.5, np.arange(raster.width) + 0.5
    return {"y": f + e * rows, "x": c + a * cols}


def _mapping_attributes(raster: RasterHeader) -> Attributes:
    """What rioxarray reads, and GDAL; of a raster without a CRS the GeoTransform alone."""
    found: dict[str, Any] = {}
    if raster.crs_wkt:
        found |= CRS.from_wkt(raster.crs_wkt).to_cf()
        found["spatial_ref"] = found["crs_wkt"]
    if raster.transform:
        a, b, c, d, e, f = raster.transform
        found["GeoTransform"] = " ".join(f"{value!r}" for value in (c, a, b, f, d, e))
    return found
