"""Batch semantic segmentation of very large aerial images."""
