"""Write polygons batch by batch to GeoParquet, FlatGeobuf or GeoPackage.

Needs pyarrow and pyogrio: ``pip install 'segtasks[vectors]'``.
"""

import json
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely

from segtasks.config.extras import require_packages
from segtasks.config.vectors import Vectors
from segtasks.errors import ResourceError

NEEDED = ("pyarrow", "pyogrio")
DRIVERS = {"flatgeobuf": "FlatGeobuf", "gpkg": "GPKG"}
LAYER, GEOMETRY = "polygons", "geometry"
BATCH = 4096
Columns = dict[str, npt.NDArray[Any]]
"""Named columns of equal length; ``geometry`` holds WKB."""

# The raster may have no CRS, about which the plan has a warning already.
warnings.filterwarnings("ignore", message="'crs' was not provided")


def require(vectors: Vectors) -> None:
    """Check that the packages for writing vectors are installed.

    Raises:
        JobError: some are missing; the message names the extra to install.
    """
    require_packages(f"vectors {vectors.format}", "vectors", *NEEDED)


def write(path: Path, kind: str, batches: Iterable[Columns], crs_wkt: str | None) -> None:
    """Write the features of all batches to one file.

    Args:
        path: a file that does not exist.
        kind: parquet, flatgeobuf or gpkg.
        batches: at least one table, all with the same columns; tables may be empty.
        crs_wkt: CRS of the geometries as WKT, if there is one.

    Raises:
        ResourceError: the disk is full.
    """
    import pyarrow as pa  # noqa: PLC0415 - an extra
    from pyogrio.errors import DataSourceError  # noqa: PLC0415 - an extra

    records = (_record(columns, pa) for columns in batches)
    first = next(records)
    reader = pa.RecordBatchReader.from_batches(first.schema, _regrouped(first, records, pa))
    try:
        if kind == "parquet":
            _write_parquet(path, reader, crs_wkt)
        else:
            _write_gdal(path, kind, reader, crs_wkt)
    except (OSError, DataSourceError) as error:
        raise ResourceError(
            f"{path.name}: cannot be made in {path.parent} ({' '.join(str(error).split())}); is "
            "the disk full? Free some space or set TMPDIR, and rerun: what is done is kept"
        ) from error


def _record(columns: Columns, pa: Any) -> Any:  # noqa: ANN401 - an extra's module and its type
    # Explicit types, since an empty column has no values from which to infer one.
    kinds = {"name": pa.string(), GEOMETRY: pa.binary()}
    return pa.record_batch({key: pa.array(each, kinds.get(key)) for key, each in columns.items()})


def _regrouped(first: Any, records: Iterator[Any], pa: Any) -> Iterator[Any]:  # noqa: ANN401 - see _record
    """Combine batches to some thousand features each, since a tile may have only a few."""
    pending = [first]
    for record in records:
        pending.append(record)
        if sum(map(len, pending)) >= BATCH:
            yield pa.concat_batches(pending)
            pending = []
    if pending:
        yield pa.concat_batches(pending)


def _write_gdal(path: Path, kind: str, reader: Any, crs_wkt: str | None) -> None:  # noqa: ANN401 - see _record
    import pyogrio  # noqa: PLC0415 - an extra

    pyogrio.write_arrow(
        reader,
        path,
        layer=LAYER,
        driver=DRIVERS[kind],
        geometry_name=GEOMETRY,
        geometry_type="Polygon",
        crs=crs_wkt,
    )


def _write_parquet(path: Path, reader: Any, crs_wkt: str | None) -> None:  # noqa: ANN401 - see _record
    """Write GeoParquet 1.1; its metadata ``geo`` have the bounds and are thus written last."""
    from pyarrow import parquet  # noqa: PLC0415 - an extra

    low, high = np.full(2, np.inf), np.full(2, -np.inf)
    with parquet.ParquetWriter(path, reader.schema, compression="zstd") as writer:
        for batch in reader:
            writer.write_batch(batch)
            shapes = shapely.from_wkb(batch.column(GEOMETRY).to_numpy(zero_copy_only=False))
            if len(shapes):
                bounds = shapely.total_bounds(shapes)
                low, high = np.minimum(low, bounds[:2]), np.maximum(high, bounds[2:])
        box = [*low.tolist(), *high.tolist()] if np.isfinite(low).all() else None
        writer.add_key_value_metadata({"geo": json.dumps(_geo_metadata(crs_wkt, box))})


def _geo_metadata(crs_wkt: str | None, box: list[float] | None) -> dict[str, Any]:
    from pyproj import CRS  # noqa: PLC0415 - 0.1 s

    crs = CRS.from_wkt(crs_wkt).to_json_dict() if crs_wkt else None
    column: dict[str, Any] = {"encoding": "WKB", "geometry_types": ["Polygon"], "crs": crs}
    column |= {"orientation": "counterclockwise"} | ({"bbox": box} if box else {})
    return {"version": "1.1.0", "primary_column": GEOMETRY, "columns": {GEOMETRY: column}}
