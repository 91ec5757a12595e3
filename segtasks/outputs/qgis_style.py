"""``mask.qml``: the style that QGIS loads with the mask.

With the colour table alone QGIS lists all 256 values, most of them black and without a name.
"""

from collections.abc import Iterable
from xml.etree import ElementTree as ET

from segtasks.outputs.gdal_legend import Entry
from segtasks.outputs.publication import Publication


def make_style(publication: Publication) -> bytes:
    """Make ``mask.qml``."""
    return qml(publication.legend.entries)


def qml(entries: Iterable[Entry]) -> bytes:
    """Return the style of a band of class ids, with one legend entry for each class."""
    # Symbology alone: scale limits, names and the like stay as the user has them.
    root = ET.Element("qgis", styleCategories="Symbology", version="3.22")
    pipe = ET.SubElement(root, "pipe")
    renderer = ET.SubElement(
        pipe, "rasterrenderer", type="paletted", band="1", opacity="1", alphaBand="-1"
    )
    palette = ET.SubElement(renderer, "colorPalette")
    for class_id, name, color in sorted(entries):
        cells = {"value": str(class_id), "label": name, "color": color.lower(), "alpha": "255"}
        ET.SubElement(palette, "paletteEntry", cells)
    ET.indent(root)
    return str(ET.tostring(root, encoding="unicode")).encode()
