"""Prefect's own pages in a real browser: the form is filled in, the run and its results appear."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.helpers import job_runs
from tests.helpers.prefect_server import Server, wait_until

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here"),
]


@pytest.fixture(scope="module")
def page() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        # Chromium has no sandbox for root, and root is who runs tests in containers.
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser.new_page(viewport={"width": 1200, "height": 900})
        browser.close()


def open_form(page: Any, server: Server) -> None:  # noqa: ANN401 - playwright may be missing
    page.goto(f"{server.page}/v2/deployments/deployment/{server.deployment('on-demand')['id']}/run")
    page.get_by_label("Source", exact=True).wait_for(timeout=60_000)


def test_the_form_shows_units_choices_and_advanced_parts_last(server: Server, page: Any) -> None:  # noqa: ANN401 - see open_form
    open_form(page, server)
    text = page.locator("main, body").first.inner_text()
    order = ("Source", "Results go to", "Model", "Outputs", "Overwrite", "Advanced: tiling")
    places = [text.index(f"\n{title}") for title in order]
    assert places == sorted(places)
    for shown in (
        "Tile (px)",
        "Worker memory (GiB)",
        "number",
        "auto / exact",
        "s3://bucket/ortho",
    ):
        assert shown in text, shown
    assert page.get_by_label("Tile (px) (Optional)").input_value() == "2048"


def test_a_run_from_the_form_finishes_with_its_artifacts(
    server: Server,
    page: Any,  # noqa: ANN401 - see open_form
    inputs: dict[str, Any],
    tmp_path: Path,
) -> None:
    source = job_runs.write_photo(tmp_path / "small.tif", 90, 100)
    open_form(page, server)
    page.get_by_label("Source", exact=True).fill(str(source))
    page.get_by_label("Results go to", exact=True).fill(str(tmp_path / "out"))
    page.get_by_label("Model (Optional)").fill(inputs["model"])
    choose(page, "Preset (Optional)", "deeplab")
    page.get_by_role("button", name="Submit").click()
    run = started(server, str(source))
    # What the form left empty, a preset gives: sent with it, the defaults would win over it.
    assert run["parameters"]["job"]["crf"]["preset"] == "deeplab"
    assert "iterations" not in run["parameters"]["job"]["crf"]
    assert server.end_of(run["id"])["state_type"] == "COMPLETED", server.log(run["id"])
    assert job_runs.read_mask(tmp_path / "out").shape == (90, 100)
    page.goto(f"{server.page}/v2/runs/flow-run/{run['id']}?tab=Artifacts")
    for key in ("result", "classes", "timings", "quicklook"):
        page.get_by_text(key, exact=True).first.wait_for(timeout=60_000)


def choose(page: Any, label: str, word: str) -> None:  # noqa: ANN401 - see open_form
    """Take a word from a list, whose label Prefect does not tie to it."""
    group = "xpath=ancestor::div[contains(@class, 'group')][1]"
    field = page.get_by_text(label, exact=True).locator(group)
    field.get_by_role("button").filter(has_not_text="Open menu").first.click()
    page.get_by_role("option", name=word).click()


def started(server: Server, source: str) -> dict[str, Any]:
    """The run of this source, once it is there."""
    found: list[dict[str, Any]] = []

    def is_there() -> bool:
        runs = server.call("/flow_runs/filter", {"limit": 20, "sort": "EXPECTED_START_TIME_DESC"})
        found[:] = [run for run in runs if run["parameters"].get("job", {}).get("source") == source]
        return bool(found)

    wait_until(is_there, 60)
    return found[0]
