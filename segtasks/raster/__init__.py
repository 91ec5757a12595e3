"""Pixel geometry and arrays: grids, patches, labels, areas. No files, no torch."""
