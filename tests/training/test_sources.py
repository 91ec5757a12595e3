"""Sources of pairs (names, globs and manifests) on disk and on S3, and legends from files."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from pydantic import ValidationError

from segtasks.cli.training import train
from segtasks.config.label_sources import Manifest, PairSource
from segtasks.config.legend import LabelRules, read_legend
from segtasks.config.loading import validated
from segtasks.config.train_job import TrainJob
from segtasks.errors import JobError, StorageError
from segtasks.storage import object_store
from segtasks.storage.manifests import find_pairs, splits_of
from tests.helpers.paths import SHARED

DUBAI = SHARED / "data" / "dubai"
ROWS = [("a.tif", "m/a.png", "train"), ("b.tif", "m/b.png", "val"), ("c.tif", "m/c.png", "train")]
KEYS = ("image", "labels", "split")


def as_csv(rows: Sequence[tuple[str, ...]]) -> str:
    return "\n".join(", ".join(row) for row in (KEYS[: len(rows[0])], *rows)) + "\n"


def as_yaml(rows: Sequence[tuple[str, ...]]) -> str:
    return yaml.safe_dump([dict(zip(KEYS, row, strict=False)) for row in rows])


def as_json(rows: Sequence[tuple[str, ...]]) -> str:
    return json.dumps([dict(zip(KEYS, row, strict=False)) for row in rows])


def as_text(rows: Sequence[tuple[str, ...]]) -> str:
    return "\n\n".join("\t ".join(row) for row in rows)


Form = tuple[str, Callable[[Sequence[tuple[str, ...]]], str]]
FORMS: list[Form] = [("csv", as_csv), ("yaml", as_yaml), ("json", as_json), ("txt", as_text)]


def test_globs_find_images_by_name_on_disk_and_on_s3(place: str) -> None:
    names = ("s2.tif", "s1.tif", "s1_label.tif", "s2_label.tif", "other.png")
    for name in names:
        object_store.write_bytes(f"{place}/{name}", b"")
    source = PairSource(image=f"{place}/*.tif", labels="{parent}/{stem}_label.tif")
    expected = [(f"{place}/{s}.tif", f"{place}/{s}_label.tif") for s in ("s1", "s2")]
    assert find_pairs([source]) == expected


def test_a_file_whose_name_looks_like_a_glob_is_taken_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "a[1].tif").touch()
    source = PairSource(image=f"{tmp_path}/a[1].tif", labels="{parent}/x/{stem}.png")
    assert find_pairs([source]) == [(f"{tmp_path}/a[1].tif", f"{tmp_path}/x/a[1].png")]


def test_a_glob_that_finds_nothing_is_named(tmp_path: Path) -> None:
    with pytest.raises(JobError, match=r"no images at .*none_\*\.tif; check the glob"):
        find_pairs([PairSource(image=f"{tmp_path}/none_*.tif", labels="x")])


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form[0])
def test_manifests_list_pairs_beside_them_by_split(place: str, form: Form) -> None:
    url = f"{place}/lists.d/pairs.{form[0]}"
    object_store.write_bytes(url, form[1](ROWS).encode())
    here = f"{place}/lists.d"
    expected = [(f"{here}/{image}", f"{here}/{labels}") for image, labels, _ in ROWS]
    assert splits_of(url) == {"train", "val"}
    assert find_pairs([Manifest(manifest=url)]) == expected
    assert find_pairs([Manifest(manifest=url, split="train")]) == [expected[0], expected[2]]
    assert find_pairs([Manifest(manifest=url, split="val")]) == [expected[1]]


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form[0])
def test_manifests_without_splits_are_taken_whole(tmp_path: Path, form: Form) -> None:
    path = tmp_path / f"pairs.{form[0]}"
    path.write_text(form[1]([row[:2] for row in ROWS]))
    assert splits_of(str(path)) == set()
    found = find_pairs([Manifest(manifest=str(path), root="/data")])
    assert found == [(f"/data/{image}", f"/data/{labels}") for image, labels, _ in ROWS]


def test_rows_keep_absolute_names_and_urls_and_may_be_globs(tmp_path: Path) -> None:
    for name in ("1.jpg", "2.jpg"):
        (tmp_path / name).touch()
    rows = [("*.jpg", "{parent}/{stem}.png"), ("/x/a.tif", "s3://b/a.gpkg|layername=roofs")]
    path = tmp_path / "pairs.csv"
    path.write_text(as_csv(rows))
    assert find_pairs([Manifest(manifest=str(path))]) == [
        (f"{tmp_path}/1.jpg", f"{tmp_path}/1.png"),
        (f"{tmp_path}/2.jpg", f"{tmp_path}/2.png"),
        ("/x/a.tif", "s3://b/a.gpkg|layername=roofs"),
    ]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", "image,labels\na.tif,a.png\nb.tif,\n", r"a\.csv: row 2: labels: Field required"),
        (
            "a.csv",
            "image,mask\na.tif,a.png\n",
            r"a\.csv: row 1: mask: unknown key; known keys: image, labels",
        ),
        ("a.csv", "image,labels\na.tif,b,c\n", r"a\.csv: row 1: extra: unknown key; known"),
        ("a.csv", "image,labels,split\na,b,dev\n", r"row 1: split: Input should be 'train', 'val'"),
        ("a.csv", "image,labels,split\na,b,val\nc,d,\n", "row 2 names no split, but other rows do"),
        ("a.txt", "only_an_image.tif\n", "row 1: labels: Field required"),
        ("a.txt", "a.tif a.png one too many\n", "row 1: split: Input should be"),
        ("a.yaml", "- [a, b]\n", r"a\.yaml: row 1: .*valid dictionary"),
        ("a.yaml", "", r"a\.yaml: lists no pairs"),
        ("a.yaml", "- {image: [", r"a\.yaml: is no manifest \("),
        ("a.csv", "\xff\xfe", r"a\.csv: is no manifest \('utf-8' codec"),
    ],
)
def test_what_is_no_manifest_is_refused(tmp_path: Path, name: str, text: str, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(JobError, match=message):
        splits_of(str(path))


def test_a_manifest_without_rows_of_its_split_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(as_csv(ROWS[:1]))
    with pytest.raises(JobError, match=r"a\.csv: has train, but no row of split val"):
        find_pairs([Manifest(manifest=str(path), split="val")])
    with pytest.raises(StorageError, match=r"absent\.csv: does not exist"):
        find_pairs([Manifest(manifest=str(tmp_path / "absent.csv"))])


@pytest.mark.shared
def test_the_splits_of_dubai_are_manifests() -> None:
    if not DUBAI.exists():
        pytest.skip(f"shared imagery not found: {DUBAI} (set SEGTASKS_SHARED)")
    counts = []
    for split in ("train", "val", "test"):
        source = Manifest(manifest=str(DUBAI / "splits" / f"{split}.txt"), root=str(DUBAI))
        pairs = find_pairs([source])
        assert all(Path(name).exists() for pair in pairs for name in pair)
        counts.append(len(pairs))
    assert counts == [42, 7, 14]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"image": "a.tif"}, r"sources\.0\.pair\.labels: Field required"),
        ({"image": "a.tif", "mask": "b"}, r"pair\.labels: Field required"),
        ({"manifest": "a.csv", "split": "dev"}, r"sources\.0\.manifest\.split: Input should be 't"),
    ],
)
def test_sources_of_a_job_file_are_checked_by_their_kind(
    source: dict[str, str], message: str
) -> None:
    values = {"sources": [source], "validation": [{"manifest": "a.csv"}], "legend": LEGEND}
    with pytest.raises(JobError, match=message):
        validated(TrainJob, {**values, "to": "m.safetensors"})


LEGEND = [
    {"id": 0, "name": "land", "color": "#8429F6"},
    {"id": 1, "name": "water", "color": "#E2A929"},
]
VOID = ["#9B9B9B", "#000000"]


@pytest.mark.parametrize(
    "entries",
    [
        [*LEGEND, {"void_colors": VOID}],
        [*LEGEND, *({"name": "void", "void": True, "color": color} for color in VOID)],
        [{**LEGEND[0], "void_colors": VOID}, LEGEND[1]],
        [{"void": True, "void_colors": VOID}, *LEGEND],
    ],
)
@pytest.mark.parametrize("suffix", ["yaml", "json"])
def test_a_legend_file_names_classes_and_void_colours(
    tmp_path: Path, entries: list[dict[str, Any]], suffix: str
) -> None:
    path = tmp_path / f"legend.{suffix}"
    path.write_text(yaml.safe_dump(entries) if suffix == "yaml" else json.dumps(entries))
    assert read_legend(str(path)) == (LEGEND, VOID)


def test_ids_and_colours_may_be_left_out_of_a_legend(tmp_path: Path) -> None:
    path = tmp_path / "legend.yaml"
    path.write_text("- name: land\n- name: water\n  color: '#E2A929'\n")
    classes, void = read_legend(str(path))
    assert [(entry["id"], entry["name"]) for entry in classes] == [(0, "land"), (1, "water")]
    assert (classes[1]["color"], void) == ("#E2A929", [])


@pytest.mark.parametrize(
    "text",
    [
        # As QGIS exports a paletted renderer.
        "# QGIS\nINTERPOLATION:EXACT\n0,132,41,246,255,land\n1,226,169,41,255,water\n",
        "0 132 41 246 255 land\n1 226 169 41 255 water\n",
    ],
)
def test_a_colour_table_is_a_legend(tmp_path: Path, text: str) -> None:
    path = tmp_path / "table.clr"
    path.write_text(text)
    lower = [{**entry, "color": str(entry["color"]).lower()} for entry in LEGEND]
    assert read_legend(str(path)) == (lower, [])


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("l.yaml", "land: 0\n", r"l\.yaml: is not a list of classes; write lines such as"),
        ("l.yaml", "- land\n", r"l\.yaml: is not a list of classes"),
        (
            "l.txt",
            "0,300,0,0\n",
            r"l\.txt: line '0 300 0 0' is no row of a colour table; write id,red,green,blue",
        ),
        ("l.txt", "0,land\n", r"l\.txt: line '0 land' is no row of a colour table; write id"),
    ],
)
def test_what_is_no_legend_is_refused(tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(JobError, match=message):
        read_legend(str(tmp_path / name))
    with pytest.raises(JobError, match=r"absent\.\w+: cannot be read"):
        read_legend(str(tmp_path / f"absent.{name[2:]}"))


def test_one_void_colour_needs_no_list() -> None:
    assert LabelRules.model_validate({"void_colors": "#9B9B9B"}).void_colors == ("#9B9B9B",)
    with pytest.raises(ValidationError, match="void_colors"):
        LabelRules.model_validate({"void_colors": "grey"})


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Callable[..., TrainJob]:
    """The job that `segtasks train` makes of its arguments."""

    def ask(*words: str) -> TrainJob:
        jobs: list[TrainJob] = []

        class Stopped(Exception):  # noqa: N818 - no error
            pass

        def stop(job: TrainJob, *_: object) -> None:
            jobs.append(job)
            raise Stopped

        monkeypatch.setattr("segtasks.training.loop.train", stop)
        result = CliRunner().invoke(train, [*words, "--to", "m.safetensors"])
        if result.exception and not isinstance(result.exception, Stopped):
            raise result.exception
        return jobs[0]

    return ask


CLASSES = ("--class", "land", "--class", "water")


def test_rows_of_split_val_are_validated_on(tmp_path: Path, asked: Callable[..., TrainJob]) -> None:
    path = tmp_path / "a.csv"
    path.write_text(as_csv(ROWS))
    job = asked("--manifest", str(path), *CLASSES)
    assert job.sources == (Manifest(manifest=str(path), split="train"),)
    assert job.validation == (Manifest(manifest=str(path), split="val"),)


def test_manifests_and_pairs_add_up(tmp_path: Path, asked: Callable[..., TrainJob]) -> None:
    train_list, val_list = tmp_path / "train.txt", tmp_path / "val.txt"
    for path in (train_list, val_list):
        path.write_text("a b\n")
    words = ("--manifest", str(train_list), "--val-manifest", str(val_list), "--root", "/data")
    job = asked(*words, "--pair", "c.tif", "d.tif", *CLASSES)
    here = Manifest(manifest=str(train_list), root="/data")
    assert job.sources == (PairSource(image="c.tif", labels="d.tif"), here)
    assert job.validation == (Manifest(manifest=str(val_list), root="/data"),)


def test_a_legend_file_stands_for_classes_and_void_colours(
    tmp_path: Path, asked: Callable[..., TrainJob]
) -> None:
    path = tmp_path / "legend.yaml"
    path.write_text(yaml.safe_dump([*LEGEND, {"void_colors": VOID}]))
    pairs = ("--pair", "a", "b", "--val", "c", "d")
    job = asked(*pairs, "--legend", str(path), "--label-column", "kind")
    assert [entry.model_dump() for entry in job.legend] == LEGEND
    assert job.labels == LabelRules(void_colors=tuple(VOID), label_column="kind")
    job = asked(*pairs, *CLASSES, "--void-colors", "#9B9B9B,#000000", "--all-touched")
    assert job.labels == LabelRules(void_colors=tuple(VOID), all_touched=True)
    with pytest.raises(JobError, match="--class and --legend both name the classes"):
        asked(*pairs, *CLASSES, "--legend", str(path))
