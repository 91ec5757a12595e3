"""What QGIS makes of a mask, as one who drops it into the window sees it. Run by QGIS's own Python.

qgis_look.py MASK PICTURE: draws it, prints its renderer and legend as JSON.
"""

import json
import os
import sys

from qgis.core import (
    QgsApplication,
    QgsMapRendererParallelJob,
    QgsMapSettings,
    QgsRasterLayer,
)
from qgis.PyQt.QtCore import QSize
from qgis.PyQt.QtGui import QColor

mask, picture = sys.argv[1:]
app = QgsApplication([], GUIenabled=False)
app.initQgis()
layer = QgsRasterLayer(mask, "mask")
assert layer.isValid(), layer.error().message()
renderer = layer.renderer()
settings = QgsMapSettings()
settings.setLayers([layer])
settings.setDestinationCrs(layer.crs())
settings.setExtent(layer.extent())
settings.setOutputSize(QSize(layer.width(), layer.height()))
settings.setBackgroundColor(QColor(255, 255, 255))
job = QgsMapRendererParallelJob(settings)
job.start()
job.waitForFinished()
job.renderedImage().save(picture)
classes = renderer.classes() if renderer.type() == "paletted" else []
found = {
    "renderer": renderer.type(),
    "legend": {entry.value: [entry.label, entry.color.name()] for entry in classes},
    "crs": layer.crs().authid(),
}
sys.stdout.write(json.dumps(found) + "\n")
sys.stdout.flush()
os._exit(0)  # its destructors crash in the wrong order
