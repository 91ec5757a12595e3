"""The seam check, against a slow count of every pair, planted seams, and masks without any."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from segtasks.outputs.report import border_samples, seams
from segtasks.outputs.report.seams import Seams, check_seams
from segtasks.raster.grid import Window

Mask = npt.NDArray[np.uint8]


def blobs(rng: np.random.Generator, height: int, width: int) -> Mask:
    """Three classes in blobs of some 30 px."""
    field = gaussian_filter(rng.standard_normal((height, width)), 8)
    return np.asarray(np.digitize(field, np.quantile(field, (0.5, 0.8))), np.uint8)


def checked(mask: Mask, phase: int = 1, **steps: int) -> Seams:
    raster = Window(0, 0, *mask.shape)
    return check_seams(raster, steps, phase, lambda window: mask[window.slices])


def shares(mask: Mask, step: int, phase: int, others: set[int]) -> tuple[float, float, int]:
    """Pair by pair: rate across, rate beside, pairs across; slow and obvious."""
    far = max(24, 2 * phase)
    across, beside = [], []
    for turned in (mask, mask.T):
        height, width = turned.shape
        for at in range(step, height, step):
            for line in range(max(at - far, 1), min(at + far, height - 1) + 1):
                near = abs(line - at) >= 8 and all(line % other for other in others)
                near = near and (line - at) % phase == 0
                for col in range(width):
                    pair = int(turned[line - 1, col]), int(turned[line, col])
                    if 255 not in pair and line == at:
                        across.append(pair[0] != pair[1])
                    elif 255 not in pair and near:
                        beside.append(pair[0] != pair[1])
    return float(np.mean(across)), float(np.mean(beside)), len(across)


@pytest.mark.parametrize(
    ("shape", "phase"), [((200, 150), 1), ((129, 257), 4), ((65, 300), 16), ((200, 210), 20)]
)
def test_small_masks_are_counted_pair_by_pair(shape: tuple[int, int], phase: int) -> None:
    rng = np.random.default_rng(1)
    mask = blobs(rng, *shape)
    mask[20:90, 40:70] = 255
    found = checked(mask, phase, patches=64, tiles=100)
    assert [border.kind for border in found.borders] == ["patches", "tiles"]
    for border in found.borders:
        expected = shares(mask, border.step_px, phase, {64, 100})
        assert (border.rate, border.beside, border.pairs) == pytest.approx(expected, rel=1e-12)


def test_a_seam_is_seen_where_it_is_and_shown() -> None:
    mask = blobs(np.random.default_rng(2), 700, 640)
    before = checked(mask, patches=128, tiles=300)
    for at in range(128, 700, 128):
        mask[at:] = np.roll(mask[at:], 9, axis=1)
    patches, tiles = checked(mask, patches=128, tiles=300).borders
    assert not any(border.is_seen for border in before.borders)
    assert patches.is_seen
    assert not tiles.is_seen
    worst = checked(mask, patches=128, tiles=300).worst
    assert worst is not None
    assert (worst.kind, worst.counts.stretch.axis) == ("patches", 0)
    assert worst.crop.row + worst.place * worst.crop.height == worst.counts.stretch.at


def test_masks_without_seams_seldom_show_one() -> None:
    rng, held, seen = np.random.default_rng(3), 0, 0
    for _ in range(100):
        border = checked(blobs(rng, 400, 400), patches=96).borders[0]
        assert border.interval is not None
        held += border.interval[0] <= 0 <= border.interval[1]
        seen += border.is_seen
    # Of 300 such masks 92 % and 4 %; here within two standard deviations.
    assert held >= 87
    assert seen <= 8


def test_the_raster_of_a_strided_network_is_no_seam() -> None:
    """Outlines of maps that were made eight times as large end at every eighth line."""
    rng = np.random.default_rng(5)
    mask = np.kron(blobs(rng, 128, 128), np.ones((8, 8), np.uint8))
    assert checked(mask, 1, patches=128).borders[0].is_seen  # were it compared with any line
    assert not checked(mask, 8, patches=128).borders[0].is_seen


def test_few_borders_have_no_interval_and_none_has_no_figures() -> None:
    mask = blobs(np.random.default_rng(4), 130, 130)
    border = checked(mask, patches=64).borders[0]
    assert border.stretches == 8
    assert (border.interval, border.is_seen) == (None, False)
    assert checked(mask, patches=130) == Seams(borders=(), worst=None)
    assert checked(np.full((300, 300), 255, np.uint8), patches=64).borders == ()
    assert checked(np.zeros((300, 300), np.uint8), patches=64).worst is None


def test_a_large_raster_is_sampled_and_the_sample_is_always_the_same() -> None:
    raster = Window(0, 0, 10**6, 3 * 10**5)
    asked: list[Window] = []

    def read(window: Window) -> Mask:
        assert window.intersect(raster) == window
        asked.append(window)
        rows, cols = np.ogrid[window.slices]
        return np.asarray((rows // 37 + cols // 53) % 3, np.uint8)

    first = check_seams(raster, {"patches": 64}, 1, read)
    assert len(asked) == border_samples.MOST_STRETCHES
    assert max(window.pixels for window in asked) <= 128 * 50
    assert first.borders[0].stretches == len(asked) == len(set(asked))
    rows = sum(window.width == 128 for window in asked)
    assert 400 < rows < 600  # both directions in proportion to their length
    assert check_seams(raster, {"patches": 64}, 1, read) == first


@given(st.integers(2, 700), st.integers(2, 700), st.integers(1, 200), st.data())
def test_every_stretch_and_its_crop_lie_inside(
    height: int, width: int, step: int, data: st.DataObject
) -> None:
    raster = Window(0, 0, height, width)
    total = sum(
        border_samples._lines(raster, a, step) * border_samples._pieces(raster, a)  # noqa: SLF001
        for a in (0, 1)
    )
    if not total:
        return
    stretch = border_samples._stretch(raster, step, data.draw(st.integers(0, total - 1)))  # noqa: SLF001
    assert stretch.at % step == 0
    assert 0 < stretch.at < raster.shape[stretch.axis]
    assert 0 < stretch.length <= 128
    assert stretch.start + stretch.length <= raster.shape[1 - stretch.axis]
    crop = seams._crop(stretch, raster)  # noqa: SLF001
    assert crop.intersect(raster) == crop
    assert crop.overlaps(stretch.window(1, raster))
