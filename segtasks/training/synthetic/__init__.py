"""Procedural aerial scenes with exact labels: unlimited in size, and computed by windows."""

from segtasks.training.synthetic.window import LEGEND, scene_window
from segtasks.training.synthetic.write import label_path, write_scene

__all__ = ["LEGEND", "label_path", "scene_window", "write_scene"]
