import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segtasks.crf import CrfParameters, bytes_per_px, largest_window_px, preset
from segtasks.crf.parameters import INT32_MAX, check_window
from segtasks.errors import CrfError


@pytest.mark.parametrize(
    ("iterations", "std_px", "halo_px", "strict_px"),
    [
        (5, 80, 320, 480),  # the defaults: 4 and 6 std
        (10, 80, 400, 640),  # 5 and 8 std
        (10, 67, 335, 536),  # deeplab-pytorch
        (5, 20.1, 81, 121),  # rounded up
    ],
)
def test_halo_grows_with_reach_and_iterations(
    iterations: int, std_px: float, halo_px: int, strict_px: int
) -> None:
    parameters = CrfParameters(iterations=iterations, bi_xy_std=std_px)
    assert (parameters.halo_px(), parameters.strict_halo_px()) == (halo_px, strict_px)


def test_a_term_without_weight_needs_no_halo() -> None:
    assert CrfParameters(bi_w=0).halo_px() == 12
    assert CrfParameters(bi_w=0, pos_w=0).halo_px() == 0
    assert CrfParameters(pos_xy_std=100).halo_px() == 400


@pytest.mark.parametrize("name", ["pos_xy_std", "bi_xy_std", "bi_rgb_std"])
@pytest.mark.parametrize("value", [0, -1, math.nan, math.inf, "3", None, True, [3.0]])
def test_std_that_would_kill_the_process_is_refused(name: str, value: Any) -> None:  # noqa: ANN401
    with pytest.raises(CrfError, match=rf"{name} is .*must be one finite number > 0"):
        CrfParameters(**{name: value})


@pytest.mark.parametrize("name", ["pos_w", "bi_w"])
@pytest.mark.parametrize("value", [-1, math.nan, math.inf, "3", None, [3.0, 3.0]])
def test_weight_that_would_give_nan_is_refused(name: str, value: Any) -> None:  # noqa: ANN401
    with pytest.raises(CrfError, match=rf"{name} is .*must be one finite number >= 0"):
        CrfParameters(**{name: value})


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (((0, 1), (2, 0)), "classes 0, 1 is 1 and of 1, 0 2, must be equal"),
        (((0, 1, 1), (1, 0, 1)), r"float32 \(2, 3\), must be float32 \(K, K\)"),
        (((0, math.nan), (math.nan, 0)), "compatibility holds NaN"),
    ],
)
def test_compatibility_that_is_no_matrix_of_pairs_is_refused(matrix: Any, message: str) -> None:  # noqa: ANN401
    with pytest.raises(CrfError, match=message):
        CrfParameters(compatibility=matrix)


def test_compatibility_of_another_number_of_classes_is_refused() -> None:
    # pydensecrf takes it without a word, and answers garbage.
    parameters = CrfParameters(compatibility=((0, 1), (1, 0)))
    assert parameters.pair_costs(2).tolist() == [[0, 1], [1, 0]]
    with pytest.raises(CrfError, match="compatibility is 2 x 2, there are 3 classes"):
        parameters.pair_costs(3)


def test_presets_are_those_of_their_sources() -> None:
    assert preset("kraehenbuehl") == CrfParameters()
    deeplab = preset("deeplab")
    assert (deeplab.iterations, deeplab.pos_xy_std, deeplab.bi_rgb_std) == (10, 1, 3)
    with pytest.raises(CrfError, match="CRF preset 'voc': use one of kraehenbuehl, deeplab"):
        preset("voc")


@pytest.mark.parametrize("value", [0, -1, 101, 5.0, True, "5"])
def test_iterations_out_of_range_are_refused(value: Any) -> None:  # noqa: ANN401
    with pytest.raises(CrfError, match=r"iterations is .*must be a whole number 1\.\.100"):
        CrfParameters(iterations=value)


def test_memory_rule_covers_what_was_measured() -> None:
    # Peak bytes per pixel above the inputs, pos_xy_std 1 and bi_rgb_std 3; native: tile_7.
    measured = {
        "pydensecrf": {2: 334, 6: 449, 21: 877},
        "torch": {2: 861, 6: 999, 21: 1090},
        "native": {2: 163, 6: 282, 21: 601},
    }
    for backend, sizes in measured.items():
        assert all(bytes_per_px(classes, backend) >= size for classes, size in sizes.items())


@given(st.integers(2, 300), st.integers(1, 13))
def test_largest_window_is_exactly_what_int32_holds(classes: int, bands: int) -> None:
    pixels = largest_window_px(classes, bands)
    per_pixel = max(2 + bands + 1, (classes + 3) // 4 * 4)
    assert pixels * per_pixel <= INT32_MAX < (pixels + 1) * per_pixel


def test_too_large_a_window_is_refused_with_the_side_that_fits() -> None:
    largest = largest_window_px(21, 3)
    assert largest == 89_478_485
    check_window(largest, 21, 3)
    with pytest.raises(CrfError, match="windows of at most 9459 px a side"):
        check_window(largest + 1, 21, 3)
