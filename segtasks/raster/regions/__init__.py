"""Regions of a mask across tile borders: label, remove small ones, trace, simplify, stitch."""
