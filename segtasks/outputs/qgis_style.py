"""``mask.qml``: the style that QGIS loads with the mask.

With the colour table alone QGIS lists all 256 values, most of them black and without a name.
"""

from collections.abc import Iterable
from xml.etree import ElementTree as ET

from segtasks.config.legend import ClassEntry
from segtasks.outputs.publication import Publication


def make_style(publication: Publication) -> bytes:
    """Make ``mask.qml``."""
    return qml(publication.plan.card.classes)


def qml(classes: Iterable[ClassEntry]) -> bytes:
    """Return the style of a band of class ids, with one legend entry for each class."""
    # Symbology alone: scale limits, names and the like stay as the user has them.
    root = ET.Element("qgis", styleCategories="Symbology", version="3.22")
    pipe = ET.SubElement(root, "pipe")
    renderer = ET.SubElement(
        pipe, "rasterrenderer", type="paletted", band="1", opacity="1", alphaBand="-1"
    )
    palette = ET.SubElement(renderer, "colorPalette")
    for entry in sorted(classes, key=lambda entry: entry.id):
        cells = {"value": str(entry.id), "label": entry.name, "color": entry.color.lower()}
        ET.SubElement(palette, "paletteEntry", cells | {"alpha": "255"})
    ET.indent(root)
    return str(ET.tostring(root, encoding="unicode")).encode()
