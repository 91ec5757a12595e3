"""``mask.tif.aux.xml``: class names and colours where GDAL and QGIS look for them.

A GeoTIFF has room for a colour table, but not for category names and an attribute table. GDAL
keeps those in a file next to it, as "persistent auxiliary metadata".
"""

from collections.abc import Iterable
from xml.etree import ElementTree as ET

from segtasks.config.legend import ClassEntry
from segtasks.outputs.publication import Publication

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
    return aux_xml(publication.plan.card.classes)


def aux_xml(classes: Iterable[ClassEntry]) -> bytes:
    """Return the file for a band of class ids."""
    rows = sorted(classes, key=lambda entry: entry.id)
    root = ET.Element("PAMDataset")
    band = ET.SubElement(root, "PAMRasterBand", band="1")
    _add_names(band, {entry.id: entry.name for entry in rows})
    _add_table(band, rows)
    ET.indent(root)
    # Without an XML declaration, after which GDAL reads none of it.
    return str(ET.tostring(root, encoding="unicode")).encode()


def _add_names(band: ET.Element, names: dict[int, str]) -> None:
    """Add the category names, which have no ids: the n-th is the name of value n."""
    categories = ET.SubElement(band, "CategoryNames")
    for class_id in range(max(names) + 1):
        ET.SubElement(categories, "Category").text = names.get(class_id, "")


def _add_table(band: ET.Element, rows: Iterable[ClassEntry]) -> None:
    table = ET.SubElement(band, "GDALRasterAttributeTable", tableType="thematic")
    for index, (name, kind, usage) in enumerate(FIELDS):
        field = ET.SubElement(table, "FieldDefn", index=str(index))
        for key, value in (("Name", name), ("Type", kind), ("Usage", usage)):
            ET.SubElement(field, key).text = str(value)
    for index, entry in enumerate(rows):
        row = ET.SubElement(table, "Row", index=str(index))
        for value in (entry.id, entry.name, *bytes.fromhex(entry.color[1:])):
            ET.SubElement(row, "F").text = str(value)
