"""The dense CRF of Kraehenbuehl and Koltun, with the same result on tiles as on the whole image."""

from segtasks.crf.mean_field import is_certain, refine
from segtasks.crf.parameters import CrfParameters, bytes_per_px, largest_window_px, preset

__all__ = ["CrfParameters", "bytes_per_px", "is_certain", "largest_window_px", "preset", "refine"]
