"""Test that docs/networks.md has a row for every network, with correct figures."""

from segtasks.networks import names, spec
from segtasks.networks.analysis.forward_cost import parameters
from segtasks.networks.weights import skeleton
from tests.helpers.paths import ROOT

PAGE = ROOT / "docs" / "networks.md"
REMEDY = "print the table again with benchmarks/questions/every_network.py"


def rows() -> dict[str, dict[str, str]]:
    """Return the cells of the page's first table by network and column."""
    lines = [line.strip("| ").split(" | ") for line in PAGE.read_text().splitlines() if "|" in line]
    width = len(lines[0])
    table = [cells for cells in lines if len(cells) == width and cells[0].startswith("`")]
    return {cells[0].strip("`"): dict(zip(lines[0], cells, strict=True)) for cells in table}


def test_every_network_has_its_row() -> None:
    assert tuple(rows()) == names(), REMEDY


def test_strides_lattices_and_options_are_the_registry_s() -> None:
    for name, cells in rows().items():
        found = spec(name)
        variant = ", ".join(f"{key} {value}" for key, value in found.options.items()) or "none"
        stated = (cells["stride"], cells["lattice"], cells["variant"])
        assert stated == (str(found.output_stride), str(found.lattice_px), variant), REMEDY


def test_parameters_are_those_of_21_classes() -> None:
    for name, cells in rows().items():
        module = skeleton(name, classes=21, bands=3, width=1.0, variant={})
        assert cells["parameters"] == f"{parameters(module):,}", REMEDY
