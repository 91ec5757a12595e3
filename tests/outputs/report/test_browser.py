"""The page in a real browser: light and dark, desk and phone, by keyboard, by touch."""

import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.helpers.report_run import Run

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium installed"),
]
PHONE, DESK = {"width": 390, "height": 844}, {"width": 1280, "height": 900}
CONTRAST = 4.5
"""WCAG 2.2, 1.4.3: of text and what is behind it."""
LOW_CONTRAST = """(least) => {
  const parsed = (color) => color.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255)
    .map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (node) => {
    for (; node; node = node.parentElement) {
      const color = parsed(getComputedStyle(node).backgroundColor);
      if (color.length < 4 || color[3] === 1) return color;
    }
    return [255, 255, 255];
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), found = [];
  while (walker.nextNode()) {
    const node = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !node.checkVisibility()) continue;
    if (node.closest(".stage")) continue; // it lies on pictures
    const pair = [light(parsed(getComputedStyle(node).color)), light(behind(node))];
    const ratio = (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);
    if (ratio < least) found.push(`${ratio.toFixed(2)} ${node.textContent.trim()}`);
  }
  return found;
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as started:
        made = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield made
        made.close()


@pytest.fixture
def page(browser: "Browser", run: Run) -> Iterator["Page"]:
    with browser.new_context(viewport=PHONE, has_touch=True) as context:  # type: ignore[arg-type]
        found = context.new_page()
        found.goto(run.page.as_uri())
        yield found


def style(page: "Page", name: str) -> str:
    return str(page.locator(".stage").evaluate(f"node => node.style.getPropertyValue('{name}')"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [PHONE, DESK])
def test_nothing_is_fetched_overflows_fails_or_is_faint(
    browser: "Browser", run: Run, scheme: str, viewport: dict[str, int]
) -> None:
    with browser.new_context(viewport=viewport, color_scheme=scheme) as context:  # type: ignore[arg-type]
        page, asked, said = context.new_page(), [], []
        page.on("request", lambda each: asked.append(each.url))
        page.on("console", lambda each: said.append(each.text))
        page.on("pageerror", lambda each: said.append(str(each)))
        page.goto(run.page.as_uri())
        page.locator("summary").first.click()
        assert [url for url in asked if not url.startswith("data:")] == [run.page.as_uri()]
        assert said == []
        assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
        assert page.evaluate(LOW_CONTRAST, CONTRAST) == []
        shown = page.locator("img").evaluate_all("all => all.map((each) => each.naturalWidth)")
        assert min(shown) > 0


def test_keys_move_the_divider(page: "Page") -> None:
    assert style(page, "--at") == "50%"
    page.locator("#at").focus()
    page.keyboard.press("ArrowRight")
    assert style(page, "--at") == "50.5%"
    page.keyboard.press("Home")
    assert style(page, "--at") == "0%"


def test_a_touch_moves_the_divider(page: "Page") -> None:
    box = page.locator(".stage").bounding_box()
    assert box
    page.touchscreen.tap(box["x"] + 0.8 * box["width"], box["y"] + 0.5 * box["height"])
    assert float(style(page, "--at").rstrip("%")) == pytest.approx(80, abs=2)


def test_a_mouse_drags_the_divider(page: "Page") -> None:
    box = page.locator(".stage").bounding_box()
    assert box
    y = box["y"] + 0.3 * box["height"]
    page.mouse.move(box["x"] + 0.5 * box["width"], y)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.2 * box["width"], y, steps=5)
    page.mouse.up()
    assert float(style(page, "--at").rstrip("%")) == pytest.approx(20, abs=2)


def test_overlay_and_opacity(page: "Page") -> None:
    page.get_by_text("Overlay", exact=True).click()
    assert style(page, "--opacity") == "0.45"
    assert page.locator("#shown").inner_text() == "overlay"
    page.locator("#opacity").focus()
    page.keyboard.press("End")
    assert style(page, "--opacity") == "1"
    page.locator("#show-overlay").focus()
    page.keyboard.press("ArrowLeft")
    assert page.locator("#show-mask").is_checked()
