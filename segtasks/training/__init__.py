"""Training: pairs of image and label rasters in, model file out."""
