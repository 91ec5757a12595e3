"""Run networks on patches: precision, kernels, test-time augmentation, pooling over the raster."""
