"""The job is refused before anything starts, in one line that says what, the bound and the mend."""

from pathlib import Path

import pytest

from segtasks.cli.model_options import merged, nested
from segtasks.config.batch_job import BatchJob
from segtasks.config.job import Job, make_job
from segtasks.config.loading import read_job_file, validated
from segtasks.config.train_job import TrainJob
from segtasks.errors import JobError, SourceError
from segtasks.pipeline.batch import find_jobs
from segtasks.planning.fingerprints import digest

PATHS = {"source": "a.tif", "to": "out"}


@pytest.mark.parametrize(
    ("values", "match"),
    [
        ({"to": "out"}, "^source: Field required$"),
        ({"crf": {"bi_xy": 3}}, "^crf.bi_xy: unknown key; did you mean bi_xy_std?"),
        ({"tile_px": 512}, "^tile_px: unknown key; did you mean tile_px?|tiling"),
        ({"tiling": {"tile_px": 1000}}, r"1000 px is off the lattice.*use 960 or 1024"),
        ({"tiling": {"tile_px": 0}}, r"tiling.tile_px: .* greater than or equal to 64 \(got 0\)"),
        ({"crf": {"window_px": 100}}, r"crf.window_px: 100 px is off the lattice.*use 64 or 128"),
        ({"crf": {"bi_rgb_std": 0}}, r"crf.bi_rgb_std: .* greater than or equal to 0.5 \(got 0\)"),
        ({"crf": {"pos_w": float("nan")}}, r"crf.pos_w: .*\(got nan\)"),
        ({"stretch": [5, 3]}, "stretch 5,3: LOW must be below HIGH"),
        ({"gamma": 2.2}, "gamma is 2.2, but there is no stretch; give both or none$"),
        ({"stretch": "auto", "gamma": 22}, r"gamma: .*less than or equal to 5 \(got 22\)"),
        (
            {"tiling": {"stitch": "glue"}},
            r"tiling.stitch: .*'crop' or 'blend' \(got 'glue'\)",
        ),
        ({"compute": {"kind": "address"}}, "kind is address: give address"),
        ({"compute": {"kind": "cluster"}}, "kind is cluster: give cluster_class"),
        ({"bands": [0]}, r"bands.0: .*greater than or equal to 1 \(got 0\)"),
        ({"limits": {"attempts": 0}}, r"limits.attempts: .*\(got 0\)"),
        (
            {"outputs": {"confidence": "high"}},
            r"outputs.confidence: .*'margin' or 'entropy' \(got 'high'\)",
        ),
    ],
)
def test_a_wrong_setting_is_one_line(values: dict[str, object], match: str) -> None:
    base = {} if "to" in values else PATHS
    with pytest.raises(JobError, match=match) as caught:
        make_job({**base, **values})
    assert "\n" not in str(caught.value)


def test_an_unknown_key_is_named_before_a_missing_one() -> None:
    with pytest.raises(JobError, match=r"^out: unknown key; known keys: .*, to, .*\(and 4 more\)$"):
        validated(TrainJob, {"out": "m.safetensors"})


def test_options_win_over_the_file_part_by_part(tmp_path: Path) -> None:
    path = tmp_path / "job.yaml"
    path.write_text("source: a.tif\nto: out\ncrf: {iterations: 3, bi_xy_std: 20}\n")
    given = {"crf_iterations": "7", "tile_px": "512", "bands": "3,2,1", "overwrite": True}
    job = make_job(merged(Job, read_job_file(str(path)), nested(Job, given)))
    assert job.crf is not None
    assert (job.crf.iterations, job.crf.bi_xy_std) == (7, 20)
    assert (job.tiling.tile_px, job.bands, job.overwrite) == (512, (3, 2, 1), True)


def test_an_option_that_is_a_mapping_takes_the_place_of_the_files() -> None:
    given = nested(TrainJob, {"variant": "{bayesian: true}"})
    file = {"network": "fcn8s_lean", "variant": {"dropout": 0.2}}
    assert merged(TrainJob, file, given) == file | {"variant": {"bayesian": True}}


def test_clean_up_and_polygons_have_options() -> None:
    given = {"sieve_px": "25", "vectors_format": "gpkg", "vectors_without": "background"}
    job = make_job({**PATHS, **nested(Job, given)})
    assert job.cleanup is not None
    assert job.vectors is not None
    assert (job.cleanup.sieve_px, job.cleanup.connectedness) == (25, 4)
    assert (job.vectors.file_name, job.vectors.without) == ("polygons.gpkg", ("background",))


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ({}, "max_probability"),
        ({"confidence": "entropy", "no_confidence": False}, "entropy"),
        ({"no_confidence": True}, None),
        ({"confidence": None}, "max_probability"),
    ],
)
def test_confidence_can_be_left_out(given: dict[str, object], kind: str | None) -> None:
    assert make_job(merged(Job, PATHS, nested(Job, given))).outputs.confidence == kind


def test_text_stays_text() -> None:
    assert nested(Job, {"to": "2024", "model": "1e5"}) == {"to": "2024", "model": "1e5"}


@pytest.mark.parametrize(
    ("text", "match"), [("- a\n", "not a mapping"), ("a: [", "not YAML"), (None, "cannot be read")]
)
def test_a_job_file_that_is_none(tmp_path: Path, text: str | None, match: str) -> None:
    path = tmp_path / "job.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(JobError, match=match):
        read_job_file(str(path))


def test_a_job_survives_the_form() -> None:
    job = make_job({**PATHS, "crf": None, "stretch": "auto"})
    assert Job.model_validate_json(job.model_dump_json()) == job


def test_the_digest_tells_settings_apart() -> None:
    assert digest(1, [2]) == digest(1, (2,)) != digest([1, 2])


@pytest.fixture
def incoming(tmp_path: Path) -> Path:
    for name in ("a.tif", "deep/b.TIF", "deep/b.tif.aux.xml", "notes.txt", "masks/a/mask.tif"):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path / "in"


def batch(source: object, to: object) -> list[Job]:
    return find_jobs(BatchJob(source=str(source), to=str(to)))


def test_a_batch_finds_the_rasters_of_a_folder_but_not_its_own_masks(incoming: Path) -> None:
    found = batch(incoming, incoming / "masks")
    assert [(Path(job.source).name, job.to) for job in found] == [
        ("a.tif", f"{incoming}/masks/a"),
        ("b.TIF", f"{incoming}/masks/deep/b"),
    ]


def test_a_batch_takes_globs_and_manifests(incoming: Path, tmp_path: Path) -> None:
    assert [job.to for job in batch(incoming / "*.tif", "out")] == ["out/a"]
    manifest = tmp_path / "list.txt"
    manifest.write_text(f"{incoming}/a.tif\n\ns3://bucket/far/c.tif\n")
    assert [job.to for job in batch(manifest, "out")] == ["out/a", "out/c"]


@pytest.mark.parametrize(
    "prefix", ["", "/data/", "s3://bucket/", "../up/"], ids=["relative", "absolute", "s3", "up"]
)
def test_listed_images_of_one_name_in_two_folders_are_two(prefix: str, tmp_path: Path) -> None:
    manifest = tmp_path / "list.txt"
    manifest.write_text(f"{prefix}north/a.tif\n{prefix}south/a.tif\n")
    assert [job.to for job in batch(manifest, "out")] == ["out/north/a", "out/south/a"]
    manifest.write_text(f"{prefix}north/a.tif\n")
    assert next(job.to for job in batch(manifest, "out")).endswith("/a")


def test_a_batch_refuses_nothing_and_twins(incoming: Path) -> None:
    with pytest.raises(SourceError, match=r"nowhere: no raster there"):
        batch(incoming / "nowhere", "out")
    (incoming / "a.jp2").touch()
    with pytest.raises(JobError, match=r"out/a: two sources have this destination"):
        batch(incoming / "a.*", "out")
