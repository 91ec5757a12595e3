"""``mask.tif.aux.xml``: class names and colours where GDAL and QGIS look for them.

A GeoTIFF has room for a colour table, but not for category names and an attribute table. GDAL
keeps those in a file next to it, as "persistent auxiliary metadata".
"""

from collections.abc import Iterable
from xml.etree import ElementTree as ET

from segtasks.outputs.publication import Publication

Entry = tuple[int, str, str]
"""Class id, name, colour (#rrggbb)."""
INTEGER, STRING = 0, 2  # GDALRATFieldType
MIN_MAX, NAME, RED, GREEN, BLUE = 5, 2, 6, 7, 8  # GDALRATFieldUsage
FIELDS = (
    ("Value", INTEGER, MIN_MAX),
    ("Class", STRING, NAME),
    ("Red", INTEGER, RED),
    ("Green", INTEGER, GREEN),
    ("Blue", INTEGER, BLUE),
)


def make_legend(publication: Publication) -> bytes:
    """Make ``mask.tif.aux.xml``."""
    return aux_xml(publication.legend.entries)


def aux_xml(entries: Iterable[Entry]) -> bytes:
    """Return the file for a band of class ids."""
    rows = sorted(entries)
    root = ET.Element("PAMDataset")
    band = ET.SubElement(root, "PAMRasterBand", band="1")
    _add_names(band, {class_id: name for class_id, name, _ in rows})
    _add_table(band, rows)
    ET.indent(root)
    # Without an XML declaration, after which GDAL reads none of it.
    return str(ET.tostring(root, encoding="unicode")).encode()


def _add_names(band: ET.Element, names: dict[int, str]) -> None:
    """Add the category names, which have no ids: the n-th is the name of value n."""
    categories = ET.SubElement(band, "CategoryNames")
    for class_id in range(max(names) + 1):
        ET.SubElement(categories, "Category").text = names.get(class_id, "")


def _add_table(band: ET.Element, rows: Iterable[Entry]) -> None:
    table = ET.SubElement(band, "GDALRasterAttributeTable", tableType="thematic")
    for index, (name, kind, usage) in enumerate(FIELDS):
        field = ET.SubElement(table, "FieldDefn", index=str(index))
        for key, value in (("Name", name), ("Type", kind), ("Usage", usage)):
            ET.SubElement(field, key).text = str(value)
    for index, (class_id, name, color) in enumerate(rows):
        row = ET.SubElement(table, "Row", index=str(index))
        for value in (class_id, name, *bytes.fromhex(color[1:])):
            ET.SubElement(row, "F").text = str(value)
