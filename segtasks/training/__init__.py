"""Training: windows of label rasters in, a model file out."""
