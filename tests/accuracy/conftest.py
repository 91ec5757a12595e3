"""Masks and labels on disk."""

from pathlib import Path
from typing import Any

import pytest
import rasterio
from masks import LEGEND, PLACE, Ids, Write


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes class ids (h, w) as a GeoTIFF and returns its path."""

    def made(name: str, ids: Ids, *, tags: bool = True, **changes: Any) -> str:  # noqa: ANN401
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        profile: dict[str, Any] = {"driver": "GTiff", "dtype": "uint8", "count": 1, "nodata": 255}
        profile |= {"height": ids.shape[0], "width": ids.shape[1]}
        profile |= {"crs": "EPSG:4326", "transform": PLACE} | changes
        with rasterio.open(path, "w", **profile) as dataset:
            dataset.write(ids, 1)
            dataset.write_colormap(1, LEGEND.colormap)
            dataset.update_tags(**(LEGEND.tags if tags else {}))
        return str(path)

    return made
