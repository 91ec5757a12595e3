"""Curves: a table that can be read back, and a picture with both lines."""

import csv
import io

import numpy as np
from PIL import Image

from segtasks.training import curves

ROWS: list[curves.Row] = [
    (i, 1 / i, 0.01 * (1 - i / 100), 0.5 + i / 400 if i % 20 == 0 else None) for i in range(1, 101)
]


def test_the_table_reads_back() -> None:
    rows = list(csv.DictReader(io.StringIO(curves.table(ROWS).decode())))
    assert len(rows) == 100
    assert float(rows[9]["loss"]) == 0.1
    assert [row["mean_iou"] for row in rows if row["mean_iou"]] == [
        str(row[3]) for row in ROWS if row[3] is not None
    ]


def test_the_picture_shows_loss_and_miou() -> None:
    image = Image.open(io.BytesIO(curves.picture(ROWS)))
    assert image.size == (960, 540)
    pixels = np.asarray(image.convert("RGB")).reshape(-1, 3)
    for colour in ((31, 119, 180), (255, 127, 14)):  # matplotlib's tab:blue and tab:orange
        assert (pixels == colour).all(1).sum() > 100


def test_one_iteration_is_enough() -> None:
    assert curves.picture([(1, 0.7, 0.1, 0.2)]).startswith(b"\x89PNG")
