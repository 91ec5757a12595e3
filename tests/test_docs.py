"""The pages: commands are the program's, links and paths lead somewhere, a first run works."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import click
import pytest
import rasterio

from segtasks.cli import cli
from segtasks.config.job import make_job
from segtasks.networks import pretrained
from segtasks.planning.planner import make_plan
from segtasks.planning.summary import figures
from tests.helpers.paths import ROOT

PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")])
FENCE = re.compile(r"^```sh\n(?P<lines>.*?)^```$", flags=re.MULTILINE | re.DOTALL)
PYTHON = re.compile(r"^```python\n(?P<code>.*?)^```$", flags=re.MULTILINE | re.DOTALL)
LINE = re.compile(r"^(?:\S*/|.* exec worker )?segtasks (?P<words>[a-z].*)$")
INLINE = re.compile(r"`segtasks (?P<words>[a-z][^`]*)`")
LINK = re.compile(r"\]\((?!https?:)(?P<path>[^)#\s]*)(?:#(?P<anchor>[^)\s]+))?\)")
# A name in angle brackets or a star stands for many files.
SOURCE = re.compile(
    r"`(?P<path>(?:benchmarks|docs|examples|flows|infra|segtasks|tests)/[^`<*\s:]*)(?:::\w+)?`"
)
IN_WHEEL = {"segtasks/deployments"}  # copied there when a wheel is built
WORRIES = ("first-run", "my-own-model", "my-cluster", "memory", "restart", "limits")


def commands(page: Path) -> list[list[str]]:
    """The words after ``segtasks`` of every command line in a fenced block."""
    blocks = "".join(match["lines"] for match in FENCE.finditer(page.read_text()))
    found = filter(None, map(LINE.match, re.sub(r"\\\n\s*", "", blocks).splitlines()))
    return [shlex.split(match["words"], comments=True) for match in found]


def all_commands() -> list[tuple[str, list[str]]]:
    """The same of all pages, each with its page's name."""
    return [(page.name, words) for page in PAGES for words in commands(page)]


def parsed(words: Sequence[str]) -> None:
    """Have the command line take them; nothing is run."""
    command: click.Command = cli
    while isinstance(command, click.Group):
        name, *words = words
        found = command.commands.get(name)
        if found is None:
            raise click.UsageError(f"No such command: {name}")
        command = found
    command.make_context(command.name, list(words))


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    heads = re.findall(r"^#+ (.*)$", page.read_text(), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head).strip().lower().replace(" ", "-") for head in heads}


def test_commands_are_found() -> None:
    assert {name for name, _ in all_commands()} >= {f"{worry}.md" for worry in WORRIES[:-1]}


@pytest.mark.parametrize(("page", "words"), all_commands())
def test_a_command_parses(page: str, words: list[str]) -> None:
    is_whole = "…" not in words
    try:
        parsed([word for word in words if word != "…"])
    except click.MissingParameter:
        assert not is_whole, page


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_in_the_text_exist(page: Path) -> None:
    for match in INLINE.finditer(page.read_text().replace("\n", " ")):
        try:
            parsed(shlex.split(match["words"], comments=True))
        except (click.MissingParameter, click.BadOptionUsage):
            continue  # the text speaks of a command or option, and does not give all of it


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for match in LINK.finditer(page.read_text()):
        target = (page.parent / match["path"]).resolve() if match["path"] else page
        assert target.exists(), match[0]
        assert match["anchor"] is None or match["anchor"] in anchors(target), match[0]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_named_in_the_text_exist(page: Path) -> None:
    named = {match["path"] for match in SOURCE.finditer(page.read_text())} - IN_WHEEL
    assert [path for path in named if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_cell_escapes_a_bar(page: Path) -> None:
    assert r"\|" not in page.read_text(), "the site shows the backslash, GitHub does not"


def test_files_are_found_in_the_text() -> None:
    found = SOURCE.findall("`tests/test_docs.py::test_it`, `segtasks/x/<name>.py` and `flows/`")
    assert found == ["tests/test_docs.py", "flows/"]


@pytest.mark.parametrize("worry", WORRIES)
def test_the_readme_names_the_page(worry: str) -> None:
    assert f"(docs/{worry}.md)" in (ROOT / "README.md").read_text()


def test_a_mistyped_option_would_be_found() -> None:
    with pytest.raises(click.NoSuchOption, match="--too"):
        parsed(["run", "a.tif", "--too", "out"])
    with pytest.raises(click.UsageError, match="No such command"):
        parsed(["runs", "a.tif"])


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({}, "ingest {ingest} GiB, predict {predict} GiB, refine {refine} GiB per worker"),
        ({"crf": {"window_px": 1024}}, "refine {refine} GiB | {filtered} px filtered per px"),
        ({"tiling": {"patch_px": 1024}}, "predict {predict} GiB | {forwarded} px forwarded"),
    ],
)
def test_the_figures_of_memory_are_the_plan_s(
    tmp_path: Path, settings: dict[str, object], says: str
) -> None:
    shape = {"driver": "GTiff", "width": 40000, "height": 40000, "count": 3, "dtype": "uint8"}
    with rasterio.open(tmp_path / "big.tif", "w", tiled=True, sparse_ok=True, **shape):
        pass  # all of it nodata: a header is all that a plan reads
    names = {"source": str(tmp_path / "big.tif"), "to": str(tmp_path / "out")}
    found = figures(make_plan(make_job(names | settings)))
    stages = {stage: f"{need / 2**30:.1f}" for stage, need in found["worker_bytes"].items()}
    filtered, forwarded = found["crf_px_per_px"], found["forward_px_per_px"]
    text = says.format(filtered=f"{filtered:.2f}", forwarded=f"{forwarded:.1f}", **stages)
    assert text in (ROOT / "docs/memory.md").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("worry", ["first-run", "my-own-model", "memory", "restart"])
def test_the_page_s_commands_run_as_written(worry: str, tmp_path: Path) -> None:
    segtasks(tmp_path, "scene", "--to", "ortho.tif", "--size", "300", "--seed", "62")
    (tmp_path / "ortho_label.tif").rename(tmp_path / "labels.tif")
    shutil.copy(pretrained.resolve("demo"), tmp_path / "model.safetensors")
    for words in commands(ROOT / "docs" / f"{worry}.md"):
        segtasks(tmp_path, *words)


@pytest.mark.parametrize("name", ["README.md", "docs/api.md"])
def test_the_first_python_example_runs_as_written(name: str, tmp_path: Path) -> None:
    segtasks(tmp_path, "scene", "--to", "ortho.tif", "--size", "300", "--seed", "62")
    found = PYTHON.search((ROOT / name).read_text())
    assert found is not None
    (tmp_path / "example.py").write_text(found["code"])
    run_python(tmp_path, "example.py")
    assert (tmp_path / "out" / "mask.tif").exists()


def segtasks(folder: Path, *words: str) -> None:
    run_python(folder, "-m", "segtasks", *words)


def run_python(folder: Path, *words: str) -> None:
    command = [sys.executable, *words]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{words}: {done.stderr}"
