"""Windows equal the whole image as the halo grows: positions count from the raster's corner.

The tests with `period_px=1` take that away, and must see the error it cures: so the bound can fail.
"""

import math

import numpy as np
import pytest

from segtasks.crf import CrfParameters, backends
from segtasks.crf.backends.kernel import Kernel, potts
from segtasks.crf.potentials import bilateral_features, position_features, unary_energy
from segtasks.errors import CrfError
from tests.helpers.crf_scenes import (
    LATTICES,
    REFERENCE,
    Labels,
    Scene,
    drawing,
    percent_different,
    photograph,
    tiled_labels,
)

BOUND_PERCENT = 0.02
CORE_PX = 256
SMALL = CrfParameters(bi_xy_std=24)
"""A short reach keeps the tests small; halos are multiples of it. The slow test has the default."""

SHARED = [
    pytest.param(name, marks=pytest.mark.shared)
    for name in ("zanzibar_strip.tif", "philippines_a.tif")
]


@pytest.fixture(scope="module", params=["drawing", *SHARED])
def scene(request: pytest.FixtureRequest) -> Scene:
    name = str(request.param)
    return drawing(768) if name == "drawing" else photograph(name, 768)


@pytest.fixture(scope="module")
def whole(scene: Scene) -> Labels:
    return scene.labels(SMALL)


def test_windows_with_the_automatic_halo_equal_the_whole(scene: Scene, whole: Labels) -> None:
    tiled = tiled_labels(scene, CORE_PX, SMALL.halo_px(), SMALL)
    assert percent_different(tiled, whole) < BOUND_PERCENT


def test_error_falls_with_the_halo(scene: Scene, whole: Labels) -> None:
    halos_px = (0, 24, 48)
    errors = [percent_different(tiled_labels(scene, CORE_PX, h, SMALL), whole) for h in halos_px]
    assert errors[0] > 0.5
    # The law D0 * exp(-1.4 h / std) predicts a quarter per step of one std.
    assert errors[1] < errors[0] / 2
    assert errors[2] < errors[1] / 2


def test_positions_counted_from_the_window_never_get_there(scene: Scene, whole: Labels) -> None:
    tiled = tiled_labels(scene, CORE_PX, SMALL.halo_px(), SMALL, period_px=1)
    assert percent_different(tiled, whole) > 5 * BOUND_PERCENT


@pytest.mark.slow
@pytest.mark.shared
@pytest.mark.parametrize("name", ["kampala_a.tif", "banepa_rural_a.tif"])
def test_default_reach_on_2048_px(name: str) -> None:
    parameters, scene = CrfParameters(), photograph(name, 2048)
    whole = scene.labels(parameters)
    error = {
        (halo_px, period_px): percent_different(
            tiled_labels(scene, 1024, halo_px, parameters, period_px), whole
        )
        for halo_px, period_px in ((0, None), (320, None), (320, 1))
    }
    assert error[0, None] > 0.5
    assert error[320, None] < BOUND_PERCENT < error[320, 1], error


# Widths whose lattice period along x is a whole number of pixels: 40 and 4.
WHOLE_PERIODS = CrfParameters(bi_xy_std=40 / math.sqrt(3), pos_xy_std=4 / math.sqrt(3))


@pytest.mark.parametrize("col", [40, 40_000, 40 * 10**8])
def test_shift_by_a_lattice_period_changes_nothing(col: int) -> None:
    scene = drawing(256)
    here, there = (scene.refined(0, c, WHOLE_PERIODS) for c in (0, col))
    assert percent_different(here.argmax(0), there.argmax(0)) <= 0.005
    # Not 0: where float32 rounds a feature over a cell's border, the pixel takes that cell.
    assert float(np.abs(here - there).mean()) < 1e-4


@pytest.mark.parametrize("row", [720, 720_000, 720 * 10**8])
def test_shift_along_y_by_a_lattice_period_changes_nothing(row: int) -> None:
    # A multiple of 3 std of both terms: 240 px and 9 px.
    scene = drawing(256)
    here, there = (scene.refined(r, 0, CrfParameters()) for r in (0, row))
    assert percent_different(here.argmax(0), there.argmax(0)) <= 0.005


def test_shift_off_the_lattice_does_change_something() -> None:
    scene = drawing(256)
    here, there = (scene.refined(0, c, WHOLE_PERIODS).argmax(0) for c in (0, 17))
    assert percent_different(here, there) > BOUND_PERCENT


def test_a_pixel_has_one_place_on_the_lattice_in_every_window() -> None:
    """A pixel's features in two windows differ by whole periods: sqrt(3) along x, 3 along y."""
    valid, std_px = np.ones((1, 1), bool), 13.7
    row, col = 1_234_567, 7_654_321
    far = position_features(valid, row, col, std_px).ravel()
    window = np.ones((200, 300), bool)
    near = position_features(window, row - 150, col - 250, std_px)
    near = near.reshape(2, 200, 300)[:, 150, 250]
    periods = (near - far) / (math.sqrt(3), 3)
    np.testing.assert_allclose(periods, np.rint(periods), atol=1e-5)


def test_features_are_x_then_y_then_bands_of_valid_pixels_only() -> None:
    valid = np.array([[True, False, True], [False, True, True]])
    image8 = np.arange(12, dtype=np.float32).reshape(2, 2, 3)
    parameters = CrfParameters(bi_xy_std=2, bi_rgb_std=4)
    features = bilateral_features(valid, image8, 0, 0, parameters)
    wanted = [[0, 2, 1, 2], [0, 0, 1, 1], [0, 2, 4, 5], [6, 8, 10, 11]]
    np.testing.assert_array_equal(features, np.array(wanted) / [[2], [2], [4], [4]])


MILLION = 1_000_000
# Periods of whole pixels that divide a million: along x sqrt(3) std, along y 3 std.
ALONG_X = CrfParameters(bi_xy_std=40 / math.sqrt(3), pos_xy_std=4 / math.sqrt(3))
ALONG_Y = CrfParameters(bi_xy_std=80 / 3, pos_xy_std=10 / 3)


@pytest.mark.parametrize("backend", [REFERENCE, *LATTICES])
@pytest.mark.parametrize(
    ("parameters", "row", "col"), [(ALONG_X, 0, MILLION), (ALONG_Y, MILLION, 0)]
)
def test_a_million_pixels_away_labels_are_those_at_the_origin(
    backend: str, parameters: CrfParameters, row: int, col: int
) -> None:
    scene = drawing(160)
    here, there = (scene.refined(*at, parameters, backend) for at in ((0, 0), (row, col)))
    np.testing.assert_array_equal(here.argmax(axis=0), there.argmax(axis=0))


def test_positions_over_std_in_float32_do_not_get_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the phase it is refused, as int16 keys would wrap; without the check it is wrong."""
    scene = drawing(160)
    near, at_origin = scene.labels(ALONG_X), unphased_labels(scene, 0, ALONG_X)
    assert percent_different(near, at_origin) == 0
    with pytest.raises(CrfError, match="lattice key"):
        unphased_labels(scene, MILLION, ALONG_X)
    monkeypatch.setattr("segtasks.crf.backends.kernel.LARGEST_KEY", math.inf)
    assert percent_different(near, unphased_labels(scene, MILLION, ALONG_X)) > 0.02


def unphased_labels(scene: Scene, col: int, parameters: CrfParameters) -> Labels:
    """Return labels with positions counted from the raster's corner in plain float32."""
    valid = np.ones(scene.image8.shape[1:], bool)
    position = position_features(valid, 0, 0, parameters.pos_xy_std)
    bilateral = bilateral_features(valid, scene.image8, 0, 0, parameters)
    x = np.tile(np.arange(col, col + scene.side, dtype=np.float32), scene.side)
    position[0] = x / np.float32(parameters.pos_xy_std)
    bilateral[0] = x / np.float32(parameters.bi_xy_std)
    classes = len(scene.probabilities)
    unary = unary_energy(scene.probabilities.reshape(classes, -1).copy())
    kernels = [
        Kernel(position, potts(classes, parameters.pos_w)),
        Kernel(bilateral, potts(classes, parameters.bi_w)),
    ]
    found = backends.marginals("auto", unary, kernels, parameters.iterations)
    return np.asarray(found.argmax(axis=0).reshape(valid.shape))
