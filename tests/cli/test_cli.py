"""The command line as a user meets it: one line and a non-zero exit for every mistake."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import rasterio

from tests.helpers import job_runs


def segtasks(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "segtasks", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def refused(*words: object) -> str:
    """The one line of a command that must fail."""
    done = segtasks(*words)
    assert done.returncode == 1, done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    assert done.stdout == ""
    return done.stderr


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return job_runs.write_photo(tmp_path_factory.mktemp("cli") / "photo.tif", 300, 400)


def test_run_plan_and_run_again(photo: Path, tmp_path: Path) -> None:
    words = (photo, "--to", tmp_path / "o", "--json")
    plan = json.loads(segtasks("plan", *words).stdout)
    assert (plan["tiles"], plan["done_already"]) == (1, False)
    assert not (tmp_path / "o").exists()
    done = json.loads(segtasks("run", *words).stdout)
    assert done["urls"]["mask"] == f"{tmp_path}/o/mask.tif"
    assert done["urls"] == plan["results"]
    assert {Path(url) for url in done["urls"].values()} == set((tmp_path / "o").iterdir())
    assert sum(done["class_px"].values()) == 300 * 400
    assert not (tmp_path / "o" / ".workspace").exists()
    assert json.loads(segtasks("plan", *words).stdout)["done_already"] is True
    assert json.loads(segtasks("run", *words).stdout)["status"] == "was done already"


def test_the_plan_names_a_stage_and_its_memory(photo: Path, tmp_path: Path) -> None:
    text = segtasks("plan", photo, "--to", tmp_path).stdout
    assert "crf        1 windows of 2048 px, halo 120 px" in text
    assert "refine" in text


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--tile-px", "1000"), "1000 px is off the lattice"),
        (("--patch-px", "100"), "is not a multiple of 32 px (the network's stride); use"),
        (("--overlap-px", "31"), "overlap 31 px is odd; use 30 or 32"),
        (("--bands", "1,2"), "2 chosen, but the model needs 3 (red, green, blue)"),
        (("--bands", "1,2,9"), "has no band 9; its colour bands are 1, 2, 3"),
        (("--model", "nothing.safetensors"), "nothing.safetensors: no such model file"),
        (("--model", __file__), "not a whole safetensors file"),
        (("--job", "nothing.yaml"), "nothing.yaml: cannot be read"),
        (("--to", "/proc/nothing"), "/proc/nothing: cannot be written"),
        (("--worker-memory-gib", "0.2", "--compute", "local"), "needs 0."),
    ],
)
def test_bad_input_is_refused(
    photo: Path, tmp_path: Path, options: tuple[str, ...], says: str
) -> None:
    assert says in refused("run", photo, "--to", tmp_path / "o", *options)
    assert not (tmp_path / "o" / "mask.tif").exists()


def test_an_unknown_key_in_the_file(photo: Path, tmp_path: Path) -> None:
    path = tmp_path / "job.yaml"
    path.write_text(f"source: {photo}\nto: {tmp_path}/o\ntiling: {{tile: 512}}\n")
    assert "tiling.tile: unknown key; did you mean tile_px?" in refused("run", "--job", path)


def test_an_existing_file_is_not_replaced_unless_told(photo: Path, tmp_path: Path) -> None:
    (tmp_path / "mask.tif").write_bytes(photo.read_bytes())
    assert "give --overwrite" in refused("run", photo, "--to", tmp_path)
    assert (tmp_path / "mask.tif").read_bytes() == photo.read_bytes()
    bare = ("--no-crf", "--no-confidence", "--no-stac", "--no-quicklook", "--no-report")
    assert segtasks("run", photo, "--to", tmp_path, *bare, "--overwrite").returncode == 0
    assert {path.name for path in tmp_path.iterdir()} == {
        "mask.tif",
        "mask.tif.aux.xml",
        "mask.qml",
    }
    with rasterio.open(tmp_path / "mask.tif") as mask:
        assert mask.tags()["CLASS_1"] == "building"


def test_wrong_arguments_exit_with_2() -> None:
    done = segtasks("run", "--no-such-option")
    assert (done.returncode, "No such option" in done.stderr) == (2, True)


def test_scene_train_show_run_evaluate(tmp_path: Path) -> None:
    scene, model = tmp_path / "s.tif", tmp_path / "m.safetensors"
    assert segtasks("scene", "--to", scene, "--size", 300, "--seed", 62).returncode == 0
    pair = (scene, tmp_path / "s_label.tif")
    classes = [
        w
        for name in ["ground", "building", "road", "tree", "water", "field"]
        for w in ("--class", name)
    ]
    small = ("--width", 0.03, "--iterations", 3, "--crop-px", 64, "--batch", 2)
    trained = segtasks(
        "train", "--pair", *pair, "--val", *pair, *classes, *small, "--to", model, "--json"
    )
    assert trained.returncode == 0, trained.stderr
    assert 0 <= json.loads(trained.stdout)["mean_iou"] <= 1
    assert "fcn8s_lean, width 0.03" in segtasks("model", "show", model).stdout
    assert segtasks("run", scene, "--model", model, "--to", tmp_path / "o").returncode == 0
    found = json.loads(segtasks("evaluate", tmp_path / "o/mask.tif", pair[1], "--json").stdout)
    assert set(found) >= {"mean_iou", "pixel_accuracy", "mean_boundary_f"}
    assert set(found["classes"]) == set(classes[1::2])


def test_batch_of_a_glob_that_the_shell_has_expanded_says_quote_it() -> None:
    done = segtasks("batch", "a.tif", "b.tif", "c.tif", "--to", "o")
    assert done.returncode == 2
    assert "takes one SOURCE, 3 are given; put a glob in quotes" in " ".join(done.stderr.split())


def test_batch_does_what_is_new_and_names_what_fails(tmp_path: Path) -> None:
    for folder in ("north", "south"):
        (tmp_path / folder).mkdir()
        made = segtasks("scene", "--to", tmp_path / folder / "a.tif", "--size", 70)
        assert made.returncode == 0, made.stderr
    (tmp_path / "north/torn.tif").write_bytes(b"no raster")
    listed = ["north/a.tif", "south/a.tif", "north/torn.tif"]
    (tmp_path / "list.txt").write_text("\n".join(f"{tmp_path}/{name}" for name in listed))
    words = ("batch", tmp_path / "list.txt", "--to", tmp_path / "o", "--no-crf", "--json")
    for status, announced in (("done", listed[:2]), ("was done already", [])):
        done = segtasks(*words)
        told = done.stderr.splitlines()
        assert [line for line in told if line.endswith("a.tif")] == [
            f"{tmp_path}/{name}" for name in announced
        ]
        assert done.returncode == 1
        assert re.search(r"segtasks: 1 of 3 images failed: .*torn\.tif", done.stderr)
        rows = json.loads(done.stdout)
        assert [row["status"] for row in rows] == [status, status, "failed"]
        assert all(Path(row["mask"]).exists() for row in rows[:2])
