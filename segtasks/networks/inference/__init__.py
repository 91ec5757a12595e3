"""How a network runs on patches: precision, kernels, TTA, pooling over the raster."""
