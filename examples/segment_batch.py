"""Segment several rasters with a preset of the CRF, then compare the masks with labels.

The page of the evaluation needs the extra `evaluate`: pip install "segtasks[evaluate]"
"""

from pathlib import Path

import segtasks
from segtasks.training.synthetic import write_scene

# Make three scenes with exact labels: incoming/scene_1.tif and incoming/scene_1_label.tif, ...
Path("incoming").mkdir(exist_ok=True)
for seed in (1, 2, 3):
    if not Path(f"incoming/scene_{seed}.tif").exists():
        write_scene(f"incoming/scene_{seed}.tif", seed, height=512, width=512)

# One job for all rasters. Run it again after new rasters have come: only those are segmented.
batch = segtasks.BatchJob(source="incoming/scene_?.tif", to="masks", crf={"preset": "aerial"})
rows = segtasks.segment_batch(batch)
for row in rows:
    print(row["status"], row["mask"], row.get("error", ""))

# {1} is the text that the star matched: masks/scene_1/mask.tif, incoming/scene_1_label.tif.
pair = {"mask": "masks/*/mask.tif", "labels": "incoming/{1}_label.tif"}
job = segtasks.EvaluationJob(pairs=[pair], to="evaluation", overwrite=True)
figures = segtasks.evaluate(job)

print(f"\nmean IoU {figures['mean_iou']:.3f} over {len(figures['images'])} masks")
for name, scores in figures["classes"].items():
    iou = scores["iou"]  # None if the class does not occur
    print(f"  {name:<10}", "-" if iou is None else f"{iou:.3f}")
print(f"page with pictures: {figures['urls']['evaluation.html']}")
