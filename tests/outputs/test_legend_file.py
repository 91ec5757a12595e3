"""GDAL itself reads the legend that lies beside a mask."""

from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import rasterio
import rasterio.shutil

from segtasks.outputs.gdal_legend import aux_xml
from tests.helpers.legends import classes

ENTRIES = classes(
    (0, "bare & <ground>", "#808080"), (1, "Größe", "#fe00Aa"), (3, "water", "#0000ff")
)


def test_gdal_hands_names_and_table_on(tmp_path: Path) -> None:
    """Copied to GDAL's own format of virtual rasters, which is XML, they can be seen."""
    mask = tmp_path / "mask.tif"
    profile = {"driver": "GTiff", "dtype": "uint8", "count": 1, "height": 4, "width": 4}
    with rasterio.open(mask, "w", **profile) as dataset:
        dataset.write(np.zeros((1, 4, 4), np.uint8))
    Path(f"{mask}.aux.xml").write_bytes(aux_xml(ENTRIES))
    rasterio.shutil.copy(mask, tmp_path / "seen.vrt", driver="VRT")
    band = ET.parse(tmp_path / "seen.vrt").find("VRTRasterBand")  # noqa: S314 - GDAL's
    assert band is not None
    names = [each.text or "" for each in band.findall("CategoryNames/Category")]
    assert names == ["bare & <ground>", "Größe", "", "water"]
    table = band.find("GDALRasterAttributeTable")
    assert table is not None
    assert table.get("tableType") == "thematic"
    rows = [[cell.text for cell in row] for row in table.findall("Row")]
    assert rows[1:] == [["1", "Größe", "254", "0", "170"], ["3", "water", "0", "0", "255"]]
    usages = [field.findtext("Usage") for field in table.findall("FieldDefn")]
    assert usages == ["5", "2", "6", "7", "8"]
