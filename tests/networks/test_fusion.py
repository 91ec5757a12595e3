"""Test networks with TTA: resizing, symmetries, fusion by its definition, tiled = whole."""

from fractions import Fraction
from math import ceil
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from segtasks.config.inference import Angles, Fusion
from segtasks.networks import Card, spec
from segtasks.networks.analysis.forward_cost import forward_bytes_per_px
from segtasks.networks.architectures.layers import fold_batch_norm
from segtasks.networks.inference.runtime import (
    Patches,
    forward_patches,
    forward_probabilities,
    prepare,
)
from segtasks.networks.inference.tta import TestTimeAugmentation, card_with_tta
from segtasks.networks.inference.tta_network import SYMMETRIES, TtaNetwork, resize, with_tta
from tests.helpers.tiling import image, network, tiled, worst

HALF, THIRD_OFF, FIVE = Fraction(1, 2), Fraction(3, 4), Fraction(5, 4)
SCALES = [HALF, THIRD_OFF, FIVE, Fraction(7, 4), Fraction(2), Fraction(1, 4), Fraction(6, 5)]


def with_modes(name: str, modes: TestTimeAugmentation, net: nn.Module | None = None) -> TtaNetwork:
    found = spec(name)
    plain = network(name).double() if net is None else net
    return TtaNetwork(plain, modes, found.lattice_px, found.mirror_remainder_px)


def slow_resize(x: Tensor, scale: Fraction, size: tuple[int, int]) -> Tensor:
    """Resize pixel by pixel, with positions as exact fractions."""
    out = torch.empty(*x.shape[:2], *size, dtype=x.dtype)
    for row in range(size[0]):
        for col in range(size[1]):
            out[:, :, row, col] = between(x, position(row, scale, x, 2), position(col, scale, x, 3))
    return out


def position(index: int, scale: Fraction, x: Tensor, axis: int) -> Fraction:
    exact = (index + Fraction(1, 2)) / scale - Fraction(1, 2)
    return min(max(exact, Fraction(0)), Fraction(x.shape[axis] - 1))


def between(x: Tensor, row: Fraction, col: Fraction) -> Tensor:
    top, left = int(row), int(col)
    down, right = float(row - top), float(col - left)
    rows = [x[:, :, top], x[:, :, min(top + 1, x.shape[2] - 1)]]
    ends = [
        (1 - right) * r[..., left] + right * r[..., min(left + 1, x.shape[3] - 1)] for r in rows
    ]
    return (1 - down) * ends[0] + down * ends[1]


@pytest.mark.parametrize("scale", SCALES)
def test_resizing_is_half_pixel_bilinear_and_rounds_sizes_up(scale: Fraction) -> None:
    x = image(9, 14).double()
    size = (ceil(9 * scale), ceil(14 * scale))
    expected = slow_resize(x, scale, size)
    torch.testing.assert_close(resize(x, scale, list(size)), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("scale", SCALES)
def test_a_window_at_a_whole_place_is_resized_as_the_whole(scale: Fraction) -> None:
    x, begin = image(4, 4000), 40 * scale.denominator
    whole = resize(x, scale, [ceil(4 * scale), ceil(4000 * scale)])
    window = resize(x[..., begin:], scale, [ceil(4 * scale), ceil((4000 - begin) * scale)])
    same = whole[..., int(begin * scale) :]
    assert window.shape == same.shape
    # float32 pixels, but positions without float32's drift; the first pixel is the window's border.
    assert (window - same)[..., 1:].abs().max() < 1e-6


@pytest.mark.parametrize("scale", SCALES)
def test_a_slope_comes_back_from_every_scale(scale: Fraction) -> None:
    slope = torch.arange(40.0).double() * 3 - torch.arange(40.0).double()[:, None]
    x = slope[None, None]
    small = resize(x, scale, [ceil(40 * scale)] * 2)
    back = resize(small, 1 / scale, [40, 40])
    inner = (..., slice(4, -4), slice(4, -4))
    torch.testing.assert_close(back[inner], x[inner], rtol=0, atol=1e-12)


def test_turns_are_the_eight_symmetries_and_are_undone() -> None:
    x = image(5, 7)
    seen = [symmetry.apply(x) for symmetry in SYMMETRIES["d4"]]
    assert all(
        torch.equal(symmetry.undo(y), x) for symmetry, y in zip(SYMMETRIES["d4"], seen, strict=True)
    )
    assert len({(y.shape, tuple(y.flatten().tolist())) for y in seen}) == 8
    assert [len(SYMMETRIES[angles]) for angles in ("none", "mirror", "flips", "d4")] == [1, 2, 4, 8]


def of_each(f: TtaNetwork, x: Tensor) -> Tensor:
    """Logits of all scales and angles (M, K, H, W)."""
    return torch.cat(list(f.view_logits(x)))


def fused_slowly(fusion: Fusion, logits: Tensor) -> Tensor:
    """Return fused probabilities (K, H, W) by the definitions."""
    if fusion == "mean_probabilities":
        return logits.softmax(dim=1).mean(dim=0)
    joined = logits.max(dim=0).values if fusion == "max_logits" else logits.mean(dim=0)
    return joined.softmax(dim=0)


@pytest.mark.parametrize("fusion", ["mean_probabilities", "max_logits", "mean_logits"])
def test_answers_are_fused_as_defined(fusion: Fusion) -> None:
    f = with_modes("fcn8s_lean", TestTimeAugmentation((Fraction(1), HALF), "flips", fusion))
    nn.init.normal_(f.module.get_parameter("score_pool3.weight"), std=3.0)
    x = image(64, 96).double()
    with torch.inference_mode():
        answers, found = of_each(f, x), f(x).softmax(dim=1)[0]
    assert len(answers) == f.modes.forwards == 8
    assert (answers - answers[0]).abs().max() > 0.1
    torch.testing.assert_close(found, fused_slowly(fusion, answers), rtol=0, atol=1e-12)


class Certain(nn.Module):
    """The sign of the first band, far beyond what an exponential can hold."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x[:, :1], -x[:, :1]], dim=1) * 1e4


def test_probabilities_too_small_for_float32_do_no_harm() -> None:
    f = TtaNetwork(Certain(), TestTimeAugmentation(angles="d4"), 1, 0)
    found = f(image(6, 6)).softmax(dim=1)
    assert torch.isfinite(found).all()
    assert torch.equal(found.argmax(dim=1), (image(6, 6)[:, 0] < 0).long())


def test_no_modes_leave_the_network_as_it_is() -> None:
    net = prepare(network("linear"))
    assert with_tta(net, TestTimeAugmentation(), 1, 0) is net
    assert with_tta(net, TestTimeAugmentation(angles="mirror"), 1, 0) is not net


def some_patches(count: int) -> Patches:
    return np.random.default_rng(0).standard_normal((count, 3, 48, 64)).astype(np.float32)


def test_each_patch_gets_the_same_bytes_in_every_company() -> None:
    net = with_tta(
        prepare(network("largefov"), batch=4), TestTimeAugmentation((FIVE, HALF), "d4"), 8, 1
    )
    together = forward_probabilities(net, some_patches(3))
    alone = [forward_probabilities(net, patch[None])[0] for patch in some_patches(3)]
    assert together.tobytes() == np.stack(alone).tobytes()


def test_half_precision_is_added_up_in_float32() -> None:
    modes = TestTimeAugmentation((FIVE, HALF), "mirror")
    exact = forward_probabilities(
        with_tta(prepare(network("largefov")), modes, 8, 1), some_patches(1)
    )
    half = prepare(network("largefov"), precision="bfloat16")
    near = forward_patches(with_tta(half, modes, 8, 1), some_patches(1))
    assert near.dtype == np.float32
    found = torch.from_numpy(near).softmax(dim=1).numpy()
    assert 0 < np.abs(found - exact).max() < 0.05


# name, its exact halo, scales, angles, lattice of the patches, exact halo with the modes
EXACT: list[tuple[str, int, tuple[Fraction, ...], Angles, int, int]] = [
    ("fcn8s_lean", 224, (Fraction(1), THIRD_OFF, HALF), "none", 128, 512),
    ("fcn8s_lean", 224, (Fraction(3, 2), FIVE), "none", 128, 256),
    ("fcn8s_lean", 224, (THIRD_OFF,), "flips", 128, 384),
    ("fcn8s", 224, (Fraction(1),), "flips", 32, 224),
    ("largefov", 224, (Fraction(1), THIRD_OFF, HALF), "none", 32, 480),
    ("largefov", 224, (Fraction(1),), "d4", 8, 224),
    ("segnet", 192, (Fraction(1),), "mirror", 32, 192),
    ("linear", 0, (Fraction(2), HALF), "d4", 2, 2),
]


@pytest.mark.parametrize(("name", "halo", "scales", "angles", "align", "margin"), EXACT)
def test_tiled_equals_whole_at_the_computed_halo_and_only_there(
    name: str,
    halo: int,
    scales: tuple[Fraction, ...],
    angles: Angles,
    align: int,
    margin: int,
) -> None:
    modes, lattice = TestTimeAugmentation(scales, angles), spec(name).lattice_px
    assert (modes.align_px(lattice), modes.margin_px(halo, lattice, lattice)) == (align, margin)
    f, x = with_modes(name, modes), image(70, 1301).double()
    with torch.inference_mode():
        whole = f(x)
        exact = worst(tiled(f, x, core=256, halo=margin), whole)
        short = worst(tiled(f, x, core=256, halo=margin - align), whole)
    assert exact <= 1e-11
    assert short > 1e-8


def test_off_the_common_lattice_no_halo_helps() -> None:
    f, x = with_modes("fcn8s_lean", TestTimeAugmentation((THIRD_OFF,))), image(70, 1301).double()
    with torch.inference_mode():
        off = worst(tiled(f, x, core=512, halo=512, shift=512 + 32), f(x))
    assert off > 0.01


def symmetric(net: nn.Module) -> nn.Module:
    """Replace every kernel by the mean of its eight symmetric images."""
    with torch.no_grad():
        for weight in (p for p in net.parameters() if p.ndim == 4):
            weight.copy_(
                torch.stack([symmetry.apply(weight) for symmetry in SYMMETRIES["d4"]]).mean(dim=0)
            )
    return net


def without_ties(net: nn.Module) -> nn.Module:
    """Make all values positive: SegNet depends on the order of equal maxima, such as zeros."""
    with torch.no_grad():
        for layer in net.modules():
            if isinstance(layer, nn.Conv2d):
                layer.weight.abs_().div_(layer.weight.sum(dim=(1, 2, 3), keepdim=True))
            elif isinstance(layer, nn.BatchNorm2d):
                layer.bias.fill_(1.0)
    return net


# Units of these networks lie symmetrically at some sizes, and those are no multiple of 32 in all.
SYMMETRIC = ["fcn32s", "fcn16s", "fcn8s", "fcn8s_lean", "segnet", "segnet_basic", "dilation10"]
SYMMETRIC += ["largefov", "msc_largefov", "aspp_l", "deeplabv2_resnet101", "pspnet50", "linear"]


@pytest.mark.parametrize("name", SYMMETRIC)
def test_a_symmetric_network_answers_alike_at_every_angle(name: str) -> None:
    net = symmetric(network(name).double())
    if name.startswith("segnet"):
        net = without_ties(net)
    f, x = with_modes(name, TestTimeAugmentation(angles="d4"), net), image(94, 125).double()
    with torch.inference_mode():
        answers = of_each(f, x)
        off = TtaNetwork(net, f.modes, f.frame[0], f.frame[1] + 1)
        displaced = of_each(off, x)
    assert worst(answers, answers[:1]) <= 1e-10
    if name != "linear":
        assert worst(displaced, displaced[:1]) > 0.01


# Their zoom is not centred on their units: no size is symmetric, this one is the nearest.
@pytest.mark.parametrize("name", ["deeplab_v1", "dilation8"])
def test_where_no_size_is_symmetric_the_nearest_is_taken(name: str) -> None:
    net, x = symmetric(network(name).double()), image(94, 125).double()
    found = []
    with torch.inference_mode():
        for remainder in range(8):
            answers = of_each(
                TtaNetwork(net, TestTimeAugmentation(angles="flips"), 8, remainder), x
            )
            found.append(worst(answers, answers[:1]))
    assert min(found) > 0.01
    assert found[spec(name).mirror_remainder_px] == min(found)


ALL_KINDS = ["fcn8s", "fcn8s_lean", "largefov", "pspnet50", "fcn_resnet50"]


@pytest.mark.parametrize("name", ALL_KINDS)
def test_turning_the_image_turns_the_d4_average(name: str) -> None:
    side = 2 * spec(name).lattice_px + spec(name).mirror_remainder_px
    f, x = (
        with_modes(name, TestTimeAugmentation(angles="d4")),
        image(side, 3 * side).double()[..., : side + 32],
    )
    plain = f.module
    with torch.inference_mode():
        whole, alone = f(x), plain(x)
        for symmetry in SYMMETRIES["d4"][1:]:
            turned = symmetry.apply(x)
            assert worst(symmetry.undo(f(turned)), whole) <= 1e-10
            assert worst(symmetry.undo(plain(turned)), alone) > 1e-3


@pytest.mark.parametrize(
    ("scales", "angles"),
    [
        ((Fraction(1),), "d4"),
        ((Fraction(3, 2), Fraction(1), HALF), "none"),
        ((Fraction(2), HALF), "flips"),
    ],
)
@pytest.mark.parametrize("name", ["fcn8s_lean", "largefov", "linear"])
def test_memory_is_bounded_before_anything_runs(
    name: str, scales: tuple[Fraction, ...], angles: Angles, card: Card
) -> None:
    net = network(name, width=1 / 8)
    fold_batch_norm(net)
    plain = forward_bytes_per_px(net, bands=3)
    modes = TestTimeAugmentation(scales, angles)
    own: dict[str, Any] = {"network": name, "lattice_px": spec(name).lattice_px}
    own |= {"forward_bytes_per_px": plain, "classes": card.classes + card.classes[:1]}
    bound = card_with_tta(modes, card.model_copy(update=own)).forward_bytes_per_px
    needed = forward_bytes_per_px(with_modes(name, modes, net), bands=3)
    assert needed <= bound <= 2.5 * needed
