"""Train a tiny network on a labelled scene, then segment another scene with it.

It needs the extra `train`: pip install "segtasks[train]"
"""

from pathlib import Path

import segtasks
from segtasks.training.synthetic import LEGEND, write_scene

# Make three scenes with exact labels: to train on, to validate on, and to segment.
for name, seed in (("train", 11), ("validation", 12), ("new", 13)):
    if not Path(f"{name}.tif").exists():
        write_scene(f"{name}.tif", seed, height=768, width=768)

# So small a network trains in seconds and finds the easy classes; see docs/training.md for more.
job = segtasks.TrainJob(
    sources=[{"image": "train.tif", "labels": "train_label.tif"}],
    validation=[{"image": "validation.tif", "labels": "validation_label.tif"}],
    legend=[{"id": i, "name": name, "color": color} for i, (name, color) in enumerate(LEGEND)],
    to="own.safetensors",
    network="fcn8s_lean",
    width=0.1,
    crop_px=128,
    batch=4,
    iterations=100,
    validate_every=50,
)
trained = segtasks.train(job, on_line=print)
print(f"mean IoU of the validation: {trained.scores.mean_iou:.3f}\n")

# The model file holds the network, its classes and its bands: nothing else needs to be said.
result = segtasks.segment(
    segtasks.Job(source="new.tif", to="result", model="own.safetensors", overwrite=True)
)
print(result)
