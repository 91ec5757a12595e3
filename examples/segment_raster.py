"""Segment one raster, then read the mask. Files are written to the current folder."""

from pathlib import Path

import numpy as np
import rasterio

import segtasks
from segtasks.training.synthetic import write_scene

# Make a scene to segment: 1024 x 1024 px of 0.3 m. Use any raster that GDAL opens instead.
if not Path("scene.tif").exists():
    write_scene("scene.tif", seed=7, height=1024, width=1024)

# `demo` is a model that ships with segtasks; give the path of a model file to use another one.
job = segtasks.Job(source="scene.tif", to="result", model="demo")

# A plan says what the run will do and need, before anything is written.
print(segtasks.plan(job), end="\n\n")

result = segtasks.segment(job)
print(result, end="\n\n")

# The mask is a GeoTIFF on the grid of the source. Its values are class ids; 255 is nodata.
with rasterio.open(result.urls["mask"]) as mask:
    labels = mask.read(1)  # (H, W), uint8
    print(f"{mask.width} x {mask.height} px, {mask.crs}, classes {np.unique(labels)}")
