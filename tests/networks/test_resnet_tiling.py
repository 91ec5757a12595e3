"""Test networks on ResNets: receptive fields, tiled = whole, PSPNet in two passes.

facts/networks.md 0.1 and section C. RefineNet's table was made with bilinear enlargement; the
cubic of the published code reaches further.
"""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from segtasks.networks import build, names, spec
from segtasks.networks.analysis.receptive_field import receptive_field
from segtasks.networks.architectures.aspp import Branches
from segtasks.networks.architectures.pspnet import PSPNet
from segtasks.networks.architectures.pyramid import Grids, Place
from tests.helpers.tiling import image, network, piece, spans, tiled, worst

NARROWEST = 1 / 1024
BILINEAR = {"upsampling": "bilinear"}

# name, options, receptive field, halo needed left and right of a core, exact halo
FIELDS: list[tuple[str, dict[str, Any], int, tuple[int, int] | None, int]] = [
    ("deeplabv2_resnet101", {}, 1419, (705, 706), 712),
    ("fcn_resnet50", {}, 451, None, 232),
    ("fcn_resnet101", {}, 995, None, 504),
    # torchvision's, and 36 px: 4 of the stem, 32 of two more 3x3 at 1/8
    ("mmseg_fcn_resnet50", {}, 451 + 36, None, 248),
    ("mmseg_fcn_resnet101", {}, 995 + 36, None, 520),
    ("refinenet50", BILINEAR, 3115, None, 1568),
    ("refinenet101", BILINEAR, 3659, None, 1856),
    ("refinenet152", BILINEAR, 4139, None, 2080),
    # Measured here; the tiles below are the oracle.
    ("refinenet50", {}, 3211, None, 1632),
    ("refinenet101", {}, 3755, None, 1920),
    ("refinenet152", {}, 4235, None, 2144),
    ("refinenet50", {"output_stride": 1}, 3275, None, 1664),
]
GLOBAL = [
    *("pspnet50", "mmseg_pspnet50", "smp_pspnet50"),
    *("deeplabv3_resnet50", "mmseg_deeplabv3_resnet50", "smp_deeplabv3_resnet50"),
]
LOCAL_PATHS = [
    ("pspnet50", 503, 248),
    ("pspnet101", 1047, 520),
    ("deeplabv3_resnet50", 1027, None),
    ("deeplabv3_resnet101", 1571, None),
    # torchvision's, and 4 px of the stem
    ("mmseg_deeplabv3_resnet50", 1027 + 4, None),
]


@pytest.mark.parametrize(("name", "variant", "size", "need", "halo"), FIELDS)
def test_receptive_fields_are_the_known_ones(
    name: str, variant: dict[str, Any], size: int, need: tuple[int, int] | None, halo: int
) -> None:
    probe = build(name, classes=1, width=NARROWEST, **variant)
    found = receptive_field(probe, bands=3, lattice_px=spec(name).lattice_px)
    assert found is not None
    assert (found.size_px, found.halo_px) == (size, halo)
    assert need is None or found.need_px == need


@pytest.mark.parametrize("name", GLOBAL)
def test_a_pyramid_sees_the_whole_image(name: str) -> None:
    probe = build(name, classes=1, width=NARROWEST)
    assert receptive_field(probe, bands=3, lattice_px=8) is None


class Silent(nn.Module):
    """In place of a convolution behind a global average: the average says nothing."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.zeros_like(x[:, :1])


@pytest.mark.parametrize(("name", "size", "halo"), LOCAL_PATHS)
def test_local_paths_have_the_known_fields(name: str, size: int, halo: int | None) -> None:
    probe = build(name, classes=1, width=NARROWEST)
    silence(probe)
    found = receptive_field(probe, bands=3, lattice_px=8)
    assert found is not None
    assert found.size_px == size
    assert halo is None or found.halo_px == halo


POOLED = [name for name in names() if spec(name).pooled_halo_px is not None]


@pytest.mark.parametrize("name", POOLED)
def test_the_declared_halo_beside_the_pyramid_is_the_measured_one(name: str) -> None:
    probe = build(name, classes=1, width=NARROWEST)
    silence(probe)
    found = receptive_field(probe, bands=3, lattice_px=spec(name).lattice_px)
    assert found is not None
    assert found.halo_px == spec(name).pooled_halo_px


def silence(net: nn.Module) -> None:
    """Leave of the pyramid what is local."""
    if isinstance(net, PSPNet):
        net.ppm.convs = nn.ModuleList(Silent() for _ in range(4))
    else:
        branches = next(part for part in net.modules() if isinstance(part, Branches))
        branches.register_module("mean", Silent())


def strong(net: nn.Module) -> nn.Module:
    """Return a float64 network with He-normal weights, so that far pixels have a large effect."""
    torch.manual_seed(0)
    for layer in net.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight)
    return net.double()


# name, options, exact halo, a shorter one that shows, half the lattice
DEEP: list[tuple[str, dict[str, Any], int, int, int]] = [
    ("deeplabv2_resnet101", {}, 712, 512, 4),
    ("fcn_resnet50", {}, 232, 192, 4),
    ("mmseg_fcn_resnet50", {}, 248, 208, 4),
    ("refinenet50", {}, 1632, 768, 16),
    ("refinenet50", BILINEAR, 1568, 768, 16),
    ("refinenet50", {"output_stride": 1}, 1664, 768, 16),
]


@pytest.mark.parametrize(("name", "variant", "halo", "short", "off"), DEEP)
def test_tiled_equals_whole_at_the_exact_halo_and_only_there(
    name: str, variant: dict[str, Any], halo: int, short: int, off: int
) -> None:
    net, x = strong(network(name, **variant)), image(32, 4096).double()

    def error(core: tuple[int, int], margin: int) -> float:
        return worst(piece(net, x, (0, 32), core, margin), whole[:, :, :, core[0] : core[1]])

    with torch.inference_mode():
        whole = net(x)
        assert error((2048, 2112), halo) <= 1e-12
        assert error((3968, 4096), halo) <= 1e-12
        assert error((0, 32), halo) <= 1e-12
        assert error((2048, 2112), short) > 1e-6
        assert error((2048, 2112), halo + off) > 0.05


class Strip:
    """A long image of one row or column of tiles, each with its halo."""

    def __init__(self, net: PSPNet, x: Tensor, axis: int, *, core: int, halo: int) -> None:
        self.net, self.x, self.axis, self.halo = net, x, axis, halo
        self.size = x.shape[axis]
        self.cores = spans(self.size, core, 0)
        self.height, self.width = net.features(x).shape[2:]

    def window(self, core: tuple[int, int]) -> tuple[Tensor, int]:
        """Return the pixels of a tile, and where its core starts in it."""
        begin, end = max(0, core[0] - self.halo), min(self.size, core[1] + self.halo)
        return self.x.narrow(self.axis, begin, end - begin), core[0] - begin

    def place(self, pixel: int) -> Place:
        row, col = (pixel // 8, 0) if self.axis == 2 else (0, pixel // 8)
        return Place(row, col, self.height, self.width)

    def share(self, core: tuple[int, int]) -> Grids:
        """Run the first pass: pool the units of a core; the last core includes the padding."""
        crop, before = self.window(core)
        features = self.net.features(crop)
        rest = features.shape[self.axis] - before // 8
        count = rest if core[1] == self.size else (core[1] - core[0]) // 8
        return self.net.pool(features.narrow(self.axis, before // 8, count), self.place(core[0]))

    def logits(self, core: tuple[int, int], grids: Grids) -> Tensor:
        """Run the second pass: return the logits of a core."""
        crop, before = self.window(core)
        coarse = self.net.head(self.net.features(crop), grids, self.place(core[0] - before))
        return self.net.enlarge(coarse, crop).narrow(self.axis, before, core[1] - core[0])

    def two_passes(self) -> Tensor:
        shares = [self.share(core) for core in self.cores]
        a, b, c, d = (torch.stack(found).sum(dim=0) for found in zip(*shares, strict=True))
        return torch.cat([self.logits(core, (a, b, c, d)) for core in self.cores], dim=self.axis)


@pytest.mark.parametrize("axis", [2, 3])
@pytest.mark.parametrize("name", ["pspnet50", "mmseg_pspnet50"])
def test_pspnet_in_two_passes_is_the_whole(name: str, axis: int) -> None:
    net = strong(network(name))
    assert isinstance(net, PSPNet)
    x = image(1203, 27).double() if axis == 2 else image(27, 1203).double()
    with torch.inference_mode():
        whole = net(x)
        exact = Strip(net, x, axis, core=256, halo=248).two_passes()
        short = Strip(net, x, axis, core=256, halo=192).two_passes()
        one_pass = tiled(net, x, core=256, halo=248)
    assert worst(exact, whole) <= 1e-12
    assert worst(short, whole) > 1e-6
    assert worst(one_pass, whole) > 0.1
