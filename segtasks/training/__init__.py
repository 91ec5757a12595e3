"""Training and evaluation: pairs of image and label rasters in, model file or scores out."""
