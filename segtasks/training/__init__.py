"""Train a network on pairs of image and label rasters, and write a model file."""
