"""Evaluation of files: blocks give the result of the whole; pooling, alignment and refusals."""

import json
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray
from shapely.geometry import box

from segtasks.config.evaluation_job import EvaluationJob
from segtasks.config.loading import validated
from segtasks.errors import JobError, SegtasksError
from segtasks.evaluation.boundary import boundary_counts
from segtasks.evaluation.calibration import BINS
from segtasks.evaluation.error_map import CORRECTED, DEGRADED, NOT_COMPARED, OUTCOMES, RIGHT, WRONG
from segtasks.evaluation.figures import figures
from segtasks.evaluation.metrics import confusion
from segtasks.evaluation.scoring import Evaluation, count_pairs
from segtasks.storage.manifests import read_manifest
from tests.helpers.masks import LEGEND, PLACE, Ids, Write, keep_probabilities, scene

WHOLE = (slice(None), slice(None))

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")


def judged(*pairs: dict[str, str], **settings: Any) -> Evaluation:  # noqa: ANN401
    return count_pairs(validated(EvaluationJob, {"pairs": pairs, "block_px": 64} | settings))


def unvoided(*maps: Ids) -> list[Ids]:
    void = np.logical_or.reduce([ids == 255 for ids in maps])
    return [np.where(void, 255, ids).astype(np.uint8) for ids in maps]


@pytest.mark.parametrize("block_px", [64, 100, 4096])
def test_blocks_give_the_figures_of_the_whole_raster(write: Write, block_px: int) -> None:
    mask, labels, before = scene(150, 210)
    pair = {"mask": write("m.tif", mask), "labels": write("l.tif", labels)}
    pair["before"] = write("b.tif", before)
    tally = judged(pair, block_px=block_px, tolerance_px=2).tally
    mask, labels, before = unvoided(mask, labels, before)
    assert tally.before is not None
    for found, ids in ((tally.mask, mask), (tally.before, before)):
        np.testing.assert_array_equal(found.confusion, confusion(ids, labels, 3))
        expected = boundary_counts(ids, labels, WHOLE, 3, 2)
        np.testing.assert_array_equal(found.boundary, expected)


def test_areas_are_of_the_whole_mask_labelled_or_not(write: Write) -> None:
    mask, labels, _ = scene(150, 210)
    found = judged({"mask": write("m.tif", mask), "labels": write("l.tif", labels)}).tally
    np.testing.assert_array_equal(found.mapped[0], np.bincount(mask[mask != 255], minlength=3))
    assert found.area_unit == "m2"
    # A hundred-thousandth of a degree near the equator: 1.113 m by 1.106 m.
    np.testing.assert_allclose(found.area / found.mapped[0], 1.1129 * 1.1057, rtol=1e-3)


def test_without_georeference_areas_are_pixels(write: Write) -> None:
    mask, labels, _ = scene(80, 80)
    nowhere = {"crs": None, "transform": None}
    pair = {
        "mask": write("m.tif", mask, **nowhere),
        "labels": write("l.tif", labels, **nowhere),
    }
    found = figures(judged(pair))
    assert found["area_unit"] == "px"
    areas = [entry["area"] for entry in found["classes"].values()]
    assert [area["mapped"] for area in areas] == [area["mapped_px"] for area in areas]


def test_probabilities_give_calibration_and_what_was_before(write: Write, tmp_path: Path) -> None:
    mask, labels, before = scene(150, 210)
    url = f"{tmp_path}/.workspace"
    held = keep_probabilities(url, before).astype(np.float32)
    pair = {"mask": write("m.tif", mask), "labels": write("l.tif", labels), "probabilities": url}
    tally = judged(pair).tally
    _, truth, likely = unvoided(mask, labels, before)
    known = truth != 255
    assert tally.before is not None
    assert tally.confidence is not None
    np.testing.assert_array_equal(tally.before.confusion, confusion(likely, truth, 3))
    assert tally.confidence.expected_error == pytest.approx(slow_error(held, truth, known))


def slow_error(held: NDArray[np.float32], truth: Ids, known: NDArray[np.bool_]) -> float:
    """Compute the ECE with a mask per bin."""
    confidence, right = held.max(0)[known], (held.argmax(0) == truth)[known]
    error = 0.0
    for m in range(BINS):
        inside = (confidence > m / BINS) & (confidence <= (m + 1) / BINS)
        if inside.any():
            gap = right[inside].mean() - confidence[inside].astype(np.float64).mean()
            error += float(inside.mean() * abs(gap))
    return error


def test_several_images_are_pooled_and_listed(write: Write) -> None:
    pairs, total = [], np.zeros((3, 3), np.int64)
    for seed in (1, 2):
        mask, labels, _ = scene(100 + 60 * seed, 90, seed)
        pairs.append({"mask": write(f"m{seed}.tif", mask), "labels": write(f"l{seed}.tif", labels)})
        total += confusion(mask, labels, 3)
    made = judged(*pairs)
    found = figures(made)
    np.testing.assert_array_equal(found["confusion"], total)
    assert [image["mask"] for image in found["images"]] == [pair["mask"] for pair in pairs]
    alone = [figures(judged(pair))["mean_iou"] for pair in pairs]
    assert [image["mean_iou"] for image in found["images"]] == alone
    assert made.worst is not None
    assert made.worst[0].pair.mask == pairs[int(np.argmin(alone))]["mask"]


def test_intervals_hold_the_figure_and_narrow_with_more_blocks(write: Write) -> None:
    widths = []
    for side in (320, 1280):
        mask, labels, before = scene(side, side)
        pair = {"mask": write("m.tif", mask), "labels": write("l.tif", labels)}
        found = figures(judged(pair | {"before": write("b.tif", before)}))
        low, high = found["mean_iou_interval"]
        assert low < found["mean_iou"] < high
        assert found["before"]["gain_interval"][0] < found["before"]["gain"]
        widths.append(high - low)
    assert widths[1] < widths[0] / 2  # sixteen times the blocks, a quarter of the width


def test_few_blocks_have_no_intervals(write: Write) -> None:
    mask, labels, _ = scene(100, 100)
    found = figures(judged({"mask": write("m.tif", mask), "labels": write("l.tif", labels)}))
    assert found["blocks"] == 4
    assert found["mean_iou_interval"] is None
    json.dumps(found, allow_nan=False)


def test_the_error_map_counts_every_pixel_once(write: Write) -> None:
    mask, labels, before = scene(1100, 1400)  # shrunk by 2
    pair = {"mask": write("m.tif", mask), "labels": write("l.tif", labels)}
    made = judged(pair | {"before": write("b.tif", before)}, block_px=320)
    assert made.worst is not None
    counts = made.worst[1].counts
    assert counts.shape == (len(OUTCOMES), 550, 700)
    assert (counts.sum(0) == 4).all()
    mask, labels, before = unvoided(mask, labels, before)
    now, then, void = mask == labels, before == labels, labels == 255
    expected = {NOT_COMPARED: void, RIGHT: now & then & ~void, WRONG: ~now & ~then}
    expected |= {CORRECTED: now & ~then, DEGRADED: then & ~now}
    for outcome, where in expected.items():
        slow = where.reshape(550, 2, 700, 2).sum((1, 3))
        np.testing.assert_array_equal(counts[outcome], slow)


def test_labels_may_be_shifted_colours_or_vectors(write: Write, tmp_path: Path) -> None:
    mask = np.zeros((80, 120), np.uint8)
    mask[10:30, 20:60] = 1
    mask_url = write("m.tif", mask)
    labels = [
        write("part.tif", mask[5:, 10:], transform=PLACE @ PLACE.translation(10, 5)),
        colours(write, mask),
        vectors(tmp_path / "l.gpkg"),
    ]
    for url in labels:
        rules = {"labels": {"label_column": "kind"}} if url.endswith("gpkg") else {}
        tally = judged({"mask": mask_url, "labels": url}, **rules).tally
        assert tally.mask.scores.pixel_accuracy == 1, url
        assert tally.labelled_px == (75 * 110 if "part" in url else 80 * 120)


def colours(write: Write, ids: Ids) -> str:
    colors = [entry.color for entry in LEGEND.classes]
    table = np.array([list(bytes.fromhex(color[1:])) for color in colors], np.uint8)
    url = write("colours.tif", ids).replace("colours", "rgb")
    with rasterio.open(
        url, "w", driver="GTiff", dtype="uint8", count=3, height=80, width=120,
        crs="EPSG:4326", transform=PLACE,
    ) as dataset:  # fmt: skip
        dataset.write(np.moveaxis(table[ids], -1, 0))
    return url


def vectors(path: Path) -> str:
    (left, top), (right, bottom) = PLACE @ (20, 10), PLACE @ (60, 30)
    frame: Any = geopandas.GeoDataFrame(
        {"kind": ["road"]}, geometry=[box(left, bottom, right, top)], crs="EPSG:4326"
    )
    frame.to_file(path)
    return str(path)


def test_an_ignored_label_is_no_class(write: Write) -> None:
    mask, labels, _ = scene(80, 80)
    pair = {"mask": write("m.tif", mask), "labels": write("l.tif", labels)}
    counts = judged(pair, ignore=0).tally.mask.confusion
    np.testing.assert_array_equal(
        counts, confusion(mask, np.where(labels == 0, 255, labels).astype(np.uint8), 3)
    )


def shape_errors(write: Write, tmp_path: Path) -> dict[str, tuple[dict[str, Any], str]]:
    mask, labels, _ = scene(80, 90)
    good, beyond = write("m.tif", mask), np.full((80, 90), 7, np.uint8)
    bare = {"crs": None, "transform": None}
    far = PLACE.translation(90, 0) @ PLACE
    other = {"mask": write("o.tif", mask, tags=False), "labels": write("l.tif", labels)}
    keep_probabilities(f"{tmp_path}/ws", np.zeros((40, 90), np.uint8))
    whole = {"mask": good, "labels": write("l2.tif", labels)}
    return {
        "size": (
            {"mask": good, "labels": write("s.tif", labels[1:], **bare)},
            r"s\.tif is 79 x 90 px, .*m\.tif 80 x 90",
        ),
        "place": (
            {"mask": good, "labels": write("f.tif", labels, transform=far)},
            "does not overlap",
        ),
        "label": ({"mask": good, "labels": write("b.tif", beyond)}, r"b\.tif: label 7 is not in"),
        "id": ({"mask": write("c.tif", beyond), "labels": good}, r"c\.tif: label 7 is not in"),
        "void": (
            {"mask": good, "labels": write("v.tif", np.full((80, 90), 255, np.uint8))},
            r"m\.tif: no pixel of it is labelled in .*v\.tif",
        ),
        "tags": (other, r"o\.tif: has no SEGTASKS_CLASSES tag; name the classes with --class"),
        "missing": ({"mask": good, "labels": "nothing.tif"}, r"nothing\.tif: no such file"),
        "unreadable": ({"mask": good, "labels": __file__}, "cannot be opened as a raster"),
        "no array": (whole | {"probabilities": str(tmp_path)}, "has no probabilities; run"),
        "shape": (
            whole | {"probabilities": f"{tmp_path}/ws"},
            r"are 3 x 40 x 90 \(classes, rows, columns\), the mask has 3 x 80 x 90",
        ),
    }


CASES = ("size", "place", "label", "id", "void", "tags", "missing", "unreadable", "no array")


@pytest.mark.parametrize("case", [*CASES, "shape"])
def test_what_cannot_be_compared_is_refused_in_one_line(
    write: Write, tmp_path: Path, case: str
) -> None:
    pair, message = shape_errors(write, tmp_path)[case]
    with pytest.raises(SegtasksError, match=message) as caught:
        judged(pair)
    assert "\n" not in str(caught.value)


def test_a_damaged_file_is_named_with_its_place(write: Write) -> None:
    mask, labels, _ = scene(300, 300)
    tiled = {"tiled": True, "blockxsize": 64, "blockysize": 64, "compress": "deflate"}
    pair = {"mask": write("m.tif", mask), "labels": write("l.tif", labels, **tiled)}
    whole = bytearray(Path(pair["labels"]).read_bytes())
    whole[1200:1600] = bytes(400)  # pixels: the header lies before, the directory behind them
    Path(pair["labels"]).write_bytes(whole)
    with pytest.raises(SegtasksError, match=r"l\.tif: rows .*cannot be read"):
        judged(pair)


def test_a_before_for_some_images_only_is_refused() -> None:
    pairs = [{"mask": "a", "labels": "b"}, {"mask": "c", "labels": "d", "before": "e"}]
    with pytest.raises(
        JobError, match="a has no before, others have one; give all or none a before"
    ):
        judged(*pairs)


def test_a_manifest_lists_pairs_by_its_own_folder(tmp_path: Path) -> None:
    path = tmp_path / "test.csv"
    path.write_text("mask,labels,before\no/m.tif, l.tif,\ns3://b/m.tif,/x/l.tif,n.tif\n")
    assert read_manifest(str(path)) == [
        {"mask": f"{tmp_path}/o/m.tif", "labels": f"{tmp_path}/l.tif"},
        {"mask": "s3://b/m.tif", "labels": "/x/l.tif", "before": f"{tmp_path}/n.tif"},
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no rows"),
        ("mask,labels\n", "has no rows"),
        ("image,labels\na,b\n", "has the columns image, labels; name them mask, labels"),
        ("mask,labels\na.tif\n", "row 1 names no labels"),
    ],
)
def test_another_table_is_no_manifest(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "test.csv"
    path.write_text(text)
    with pytest.raises(JobError, match=message):
        read_manifest(str(path))
