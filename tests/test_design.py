"""docs/design.md and CONTRIBUTING.md list the rooms, stages, products and classes that exist."""

import re
import tomllib
from pathlib import Path

import pytest
from rasterio.transform import from_origin

from segtasks.planning.stages import STAGES
from tests.helpers.paths import ROOT

DESIGN, CONTRIBUTING = ROOT / "docs" / "design.md", ROOT / "CONTRIBUTING.md"
GRID = from_origin(500000, 5000000, 0.3, 0.3)


def rows(page: Path, heading: str) -> list[list[str]]:
    """Cells of the table in a section, without its head."""
    section = page.read_text().partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    table = [line for line in section.splitlines() if line.startswith("|")]
    return [re.split(r"\s*\|\s*", line)[1:-1] for line in table[2:]]


def layers() -> list[list[str]]:
    """The rooms of each layer of the import contract, from above."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    (found,) = (each["layers"] for each in contracts["contracts"] if each["type"] == "layers")
    rooms = [re.findall(r"segtasks\.(\w+)", layer) for layer in found]
    return [layer for layer in rooms if layer and (ROOT / "segtasks" / layer[0]).is_dir()]


def test_both_pages_have_the_rooms_in_the_order_of_their_layers() -> None:
    design = [cells[0].strip("`") for cells in rows(DESIGN, "The rooms")]
    numbered = {
        cells[1].strip("`").removeprefix("segtasks/").rstrip("/"): int(cells[0])
        for cells in rows(CONTRIBUTING, "Where things are")
    }
    assert sorted(design) == sorted(numbered)
    remaining = list(design)
    for number, layer in zip(range(len(layers()), 0, -1), layers(), strict=True):
        assert sorted(remaining[: len(layer)]) == sorted(layer)
        assert {numbered[room] for room in layer} == {number}
        del remaining[: len(layer)]
    folders = {path.parent.name for path in (ROOT / "segtasks").glob("*/__init__.py")}
    assert folders == set(design)


def test_the_page_has_the_stages_in_their_order() -> None:
    assert [cells[0].strip("`") for cells in rows(DESIGN, "The table of stages")] == list(STAGES)


CODE = "".join(cells[2] for cells in rows(DESIGN, "Words"))
CLASSES = re.findall(r"`([A-Z]\w+)(?:\.\w+)?`", CODE)


@pytest.mark.parametrize("name", CLASSES)
def test_a_class_named_in_the_glossary_exists(name: str) -> None:
    sources = (ROOT / "segtasks").rglob("*.py")
    assert any(re.search(rf"^class {name}\b", path.read_text(), re.MULTILINE) for path in sources)


def test_the_glossary_names_classes() -> None:
    assert {"RasterHeader", "PatchGrid", "TtaNetwork", "NetworkSpec"} <= set(CLASSES)
