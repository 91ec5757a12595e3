"""The page of a run: everything is in it, nothing is fetched, no secret is told."""

import base64
import dataclasses
import io
import re
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import rasterio
from PIL import Image

from segtasks.config.job import make_job
from segtasks.errors import DestinationError
from segtasks.outputs.publication import class_band
from segtasks.outputs.report.page import page
from segtasks.outputs.report.rendering import area, area_unit, options, percent, scale_bar, seconds
from segtasks.pipeline.run import segment
from segtasks.pipeline.workspace_setup import recall_tuning
from segtasks.planning.plan import Plan
from segtasks.planning.planner import make_plan
from segtasks.planning.products import result_urls
from tests.helpers import job_runs
from tests.helpers.report_run import Run


def plan_of(run: Run) -> Plan:
    return recall_tuning(make_plan(run.job))


def text(html: str) -> str:
    """What is read on the page, on one line."""
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", html.split("</style>")[1])))


def made(run: Run, plan: Plan, **files: Path) -> str:
    files = {"mask": run.page.parent / "mask.tif", **files}
    return page(plan, files, result_urls(plan), class_band(plan).colormap, 0).decode()


def pictures(html: str) -> list[Image.Image]:
    found = re.findall(r'<img[^>]* src="data:image/\w+;base64,([^"]+)"', html)
    return [Image.open(io.BytesIO(base64.b64decode(each))) for each in found]


def test_the_page_stands_alone(run: Run) -> None:
    assert run.result.urls["report"] == str(run.page)
    html = run.page.read_text()
    HTMLParser().feed(html)
    refs = re.findall(r'(?:src|href)="([^"]*)"', html)
    assert {ref for ref in refs if not ref.startswith("data:")} == {
        path.name for path in run.page.parent.iterdir()
    } - {"report.html", ".workspace"}
    assert not re.search(r"url\(|@import|https?://", html)
    assert html.count("prefers-color-scheme: dark") == 2
    assert len(html) < 1_000_000


def test_every_part_is_there(run: Run) -> None:
    shown = text(run.page.read_text())
    for name, px in run.result.class_px.items():
        share = 100 * px / sum(run.result.class_px.values())
        assert f"{name} {share:.1f} %" in shown
    assert f"nodata {100 * 100 / 700:.1f} %" in shown
    for heading in ("Classes", "Seams", "Time", "Settings", "Model", "Source", "Files"):
        assert f" {heading} " in shown
    assert "patches 192 px" in shown
    assert "tiles 320 px" in shown
    assert "CRF windows 512 px" in shown
    assert re.search(r"(Read|Network|CRF|Write)-bound: [\d.]+ s of each worker's [\d.]+ s", shown)
    assert "crf.backend native (auto)" in shown
    assert "tiling.patch_px 320 tiling.overlap_px 128" in shown
    assert "CC0-1.0" in shown


def test_areas_are_those_of_the_utm_grid(run: Run) -> None:
    shown = text(run.page.read_text())
    total = sum(run.result.class_px.values())
    for name, px in run.result.class_px.items():
        found = re.search(rf"{name} [\d.]+ % ([\d,]+) ", shown)
        assert found
        # The scale on the central meridian of UTM is 0.9996.
        assert int(found[1].replace(",", "")) == pytest.approx(px * 0.09 / 0.9996**2, abs=1)
    assert total == 600 * 900


def test_pictures_show_what_the_files_hold(run: Run) -> None:
    html = run.page.read_text()
    image, mask, confidence, _, crop = pictures(html)
    assert (image.format, image.size, image.mode) == ("WEBP", (900, 700), "RGBA")
    assert np.asarray(image)[:100, :, 3].max() == 0
    assert np.asarray(image)[100:, :, 3].min() == 255
    assert (mask.format, mask.mode) == ("PNG", "P")
    assert (np.asarray(mask) == job_runs.read_mask(run.page.parent)).all()
    assert mask.convert("RGBA").getpixel((0, 0))[3] == 0  # type: ignore[index]
    assert confidence.size == image.size
    assert crop.size == (256, 256)
    with rasterio.open(run.job.source) as source:
        rgb = np.moveaxis(source.read()[:, 100:], 0, -1)
    assert np.abs(np.asarray(image)[100:, :, :3].astype(int) - rgb).mean() < 12  # WebP at 80


def test_confidence_has_a_layer_of_its_own(run: Run, tmp_path: Path) -> None:
    with rasterio.open(run.page.parent / "mask.tif") as mask:
        profile, ids = mask.profile, mask.read(1)
    sure = np.where(ids == 255, 255, 254 * (np.arange(900) > 450)[None]).astype(np.uint8)
    profile.pop("photometric", None)
    with rasterio.open(tmp_path / "confidence.tif", "w", **profile) as file:
        file.write(sure, 1)
    html = made(run, plan_of(run), confidence=tmp_path / "confidence.tif")
    shown = pictures(html)[2].convert("RGBA")
    assert np.abs(np.array(shown.getpixel((100, 400))) - (68, 1, 84, 255)).max() < 12
    assert np.abs(np.array(shown.getpixel((800, 400))) - (253, 231, 37, 255)).max() < 12
    assert shown.getpixel((100, 10))[3] == 0  # type: ignore[index]
    assert 'for="show-confidence"' in html
    assert 'for="show-confidence"' not in made(run, plan_of(run))


def test_no_secret_and_no_markup_gets_in(run: Run) -> None:
    plan = plan_of(run)
    url = "https://me:hunter2@host.example/b/<b>o.tif?X-Amz-Signature=f00d"
    job = plan.job.model_copy(
        update={
            "source": url,
            "workspace": plan.job.workspace_url,
            "compute": plan.job.compute.model_copy(
                update={"cluster_kwargs": {"env": {"KEY": "hunter2"}}}
            ),
        }
    )
    raster = dataclasses.replace(plan.raster, url=url)
    warned = dataclasses.replace(
        plan, job=job, raster=raster, warnings=(f"{url}: has no alpha; see --bands",)
    )
    html = made(run, warned)
    assert "hunter2" not in html
    assert "f00d" not in html
    assert "<b>o.tif" not in html
    assert "https://host.example/b/&lt;b&gt;o.tif" in html
    assert "has no alpha; see <code>--bands</code>" in html


def test_it_can_be_left_out_and_never_replaces_the_source(run: Run, tmp_path: Path) -> None:
    values = run.job.model_dump() | {"to": str(tmp_path), "workspace": run.job.workspace_url}
    segment(make_job(values | {"outputs": {"report": False}}))
    assert not (tmp_path / "report.html").exists()
    source = tmp_path / "report.html"
    source.write_bytes(Path(run.job.source).read_bytes())
    with pytest.raises(DestinationError, match=r"report\.html: is the source itself"):
        segment(make_job(values | {"source": str(source)}))


@pytest.mark.parametrize(
    ("share", "shown"),
    [
        (0.1234, "12.3 %"),
        (0.0, "0.0 %"),
        (1e-5, "< 0.1 %"),
        (-0.0123, "\N{MINUS SIGN}1.2 %"),
        (None, "-"),
    ],
)
def test_shares(share: float | None, shown: str) -> None:
    assert percent(share) == shown


@pytest.mark.parametrize(
    ("m2", "shown"),
    [
        (99_000.0, None),
        (123_456.0, "ha 12.3"),
        (9.9e6, "ha 990"),
        (123_456_789.0, "km² 123"),
        (None, None),
    ],
)
def test_areas_get_the_unit_that_fits(m2: float | None, shown: str | None) -> None:
    unit = area_unit(m2)
    assert (unit and f"{unit[0]} {area(m2, unit)}") == shown


def test_times_and_options() -> None:
    shown = [seconds(each) for each in (0.04, 99.94, 125.4, 620, 7260)]
    assert shown == ["0.0 s", "99.9 s", "125 s", "10 min", "2 h 01 min"]
    assert options("a < b: use --crf-halo-px 9") == ("a &lt; b: use <code>--crf-halo-px</code> 9")


@pytest.mark.parametrize(
    ("width_px", "side_m", "share", "shown"),
    [(1000, 0.3, 50 / 300, "50 m"), (8192, 1.0, 2000 / 8192, "2 km"), (50, 0.01, 0.2, "0.1 m")],
)
def test_the_scale_bar_is_round(width_px: int, side_m: float, share: float, shown: str) -> None:
    bar = scale_bar(width_px, side_m)
    assert bar
    assert bar[0] == pytest.approx(share)
    assert bar[1] == shown
    assert scale_bar(width_px, None) is None
