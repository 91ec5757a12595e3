"""The files of an evaluation: a self-contained page, metrics and pictures."""

import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from segtasks.cli.evaluation import evaluate
from segtasks.errors import DestinationError, JobError
from segtasks.evaluation.charts import OUTCOME_COLORS, confusion_chart, error_map
from tests.helpers.masks import Write, keep_probabilities, scene

NAMES = {"evaluation.html", "evaluation.json", "confusion.png", "errors.png", "reliability.png"}


def command(*words: str) -> str:
    done = CliRunner().invoke(evaluate, list(words), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def files(write: Write, tmp_path: Path) -> tuple[str, str, str]:
    mask, labels, before = scene(200, 300)
    keep_probabilities(f"{tmp_path}/ws", before)
    return write("m.tif", mask), write("l.tif", labels), f"{tmp_path}/ws"


def test_everything_is_written_and_the_page_stands_alone(write: Write, tmp_path: Path) -> None:
    mask, labels, kept = files(write, tmp_path)
    to = tmp_path / "out"
    words = (mask, labels, "--probabilities", kept, "--to", str(to), "--block-px", "64", "--json")
    told = json.loads(command(*words))
    assert {path.name for path in to.iterdir()} == NAMES
    written = json.loads((to / "evaluation.json").read_text())
    assert written.items() >= told.items()
    page = (to / "evaluation.html").read_text()
    HTMLParser().feed(page)
    assert not re.search(r'(src|href)="(?!data:)', page)
    assert page.count("data:image/png;base64,") == 3
    assert "prefers-color-scheme: dark" in page
    assert f"{told['mean_iou']:.3f}" in page
    for name in ("confusion", "errors", "reliability"):
        with Image.open(to / f"{name}.png") as picture:
            assert min(picture.size) > 300


def test_the_terminal_says_what_the_json_says(write: Write, tmp_path: Path) -> None:
    mask, labels, _ = files(write, tmp_path)
    found = json.loads(command(mask, labels, "--json"))
    text = command(mask, labels)
    assert f"mean IoU                {found['mean_iou']:.4f}" in text
    assert re.search(rf"^road +{found['classes']['road']['iou']:.4f} ", text, re.MULTILINE)
    assert "area, m2" in text


def test_an_existing_page_is_not_replaced_without_overwrite(write: Write, tmp_path: Path) -> None:
    mask, labels, kept = files(write, tmp_path)
    to = ("--to", f"{tmp_path}/out")
    command(mask, labels, "--probabilities", kept, *to)
    before = (tmp_path / "out" / "evaluation.html").read_bytes()
    with pytest.raises(DestinationError, match=r"already exists; .* give --overwrite"):
        command(mask, labels, *to)
    assert (tmp_path / "out" / "evaluation.html").read_bytes() == before
    command(mask, labels, *to, "--overwrite")
    # No reliability plot of other probabilities beside figures that have none.
    assert {path.name for path in (tmp_path / "out").iterdir()} == NAMES - {"reliability.png"}


def test_many_images_come_from_pairs_or_a_manifest(write: Write, tmp_path: Path) -> None:
    mask, labels, _ = files(write, tmp_path)
    (tmp_path / "t.csv").write_text("mask,labels\nm.tif,l.tif\nm.tif,l.tif\n")
    listed = json.loads(command("--manifest", str(tmp_path / "t.csv"), "--json"))
    paired = json.loads(command(mask, labels, "--pair", mask, labels, "--json"))
    assert listed["confusion"] == paired["confusion"]
    assert len(listed["images"]) == 2
    to = tmp_path / "many"
    command("--manifest", str(tmp_path / "t.csv"), "--to", str(to))
    assert "2 images, pooled" in (to / "evaluation.html").read_text()


def test_stars_find_masks_and_say_which_labels(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mask, labels, _ = scene(80, 90)
    for name in ("b", "a"):
        (tmp_path / "o" / name / "[1]").mkdir(parents=True)
        write(f"o/{name}/[1]/mask.tif", mask)
        write(f"{name}-[1].tif", labels)
    monkeypatch.chdir(tmp_path)
    for start in ("", "./", f"{tmp_path}/"):
        words = (f"{start}o/*/*/mask.tif", f"{start}{{1}}-{{2}}.tif", "--json")
        found = [image["labels"] for image in json.loads(command(*words))["images"]]
        assert found == [f"{start}a-[1].tif", f"{start}b-[1].tif"]
    for nothing in ("o/*/mask.tif", "o/**/mask.tif"):
        with pytest.raises(JobError, match=r"mask\.tif: matches no mask"):
            command(nothing, "a.tif")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "pairs: Field required"),
        (("m.tif",), r"m\.tif: no LABELS given"),
        (("--pair", "m", "l", "--before", "b"), "go with MASK LABELS; use --manifest"),
        (("m", "l", "--class", "a", "--class", "a"), "two classes are named 'a'"),
        (("m", "l", "--tolerance-px", "999"), "tolerance_px: .*less than or equal to 256"),
    ],
)
def test_wrong_words_are_refused(words: tuple[str, ...], message: str) -> None:
    with pytest.raises(JobError, match=message):
        command(*words)


def test_names_are_text_not_markup(write: Write, tmp_path: Path) -> None:
    mask, labels, _ = files(write, tmp_path)
    to = ("--to", f"{tmp_path}/out")
    names = ("--class", "<script>", "--class", "b & c", "--class", "d")
    command(mask, labels, *names, *to)
    page = (tmp_path / "out" / "evaluation.html").read_text()
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


def test_squares_of_the_error_map_mix_their_outcomes() -> None:
    counts = np.zeros((2, 40, 40), np.uint32)
    counts[0], counts[1, :, 20:] = 4, 12
    picture = Image.open(io.BytesIO(error_map(counts, ("right", "wrong"), "t"))).convert("RGB")
    right, wrong = (
        np.array(list(bytes.fromhex(OUTCOME_COLORS[name][1:]))) for name in ("right", "wrong")
    )
    seen = {color for _, color in picture.getcolors(1 << 24) or ()}
    assert any(np.allclose(color, right, atol=1) for color in seen)
    assert any(np.allclose(color, 0.25 * right + 0.75 * wrong, atol=1) for color in seen)


def test_a_class_without_labels_leaves_its_row_empty() -> None:
    counts = np.array([[3, 1], [0, 0]], np.int64)
    assert confusion_chart(counts, ["a", "b"]).startswith(b"\x89PNG")
