"""Test FCN-32s, 16s and 8s: the padding of 100, the positions of units, and tiling."""

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from segtasks.networks import build
from segtasks.networks.analysis.forward_cost import gmac
from segtasks.networks.analysis.receptive_field import receptive_field
from segtasks.networks.architectures.fcn import FCN8s, FCN16s, FCN32s
from tests.helpers.tiling import image, network, tiled, worst

NEW = ["fcn32s", "fcn16s"]


# name: receptive field, pixels the worst phase sees to each side
@pytest.mark.parametrize(("name", "size", "side"), [("fcn32s", 436, 233), ("fcn16s", 468, 241)])
def test_receptive_fields_are_the_known_ones(name: str, size: int, side: int) -> None:
    probe = build(name, classes=2, width=1 / 64)
    found = receptive_field(probe, bands=3, lattice_px=32)
    assert found is not None
    assert (found.size_px, found.need_px, found.halo_px) == (size, (221, 215), 224)
    assert (max(found.left), max(found.right)) == (side, side)


@pytest.mark.parametrize(("name", "expected"), [("fcn32s", 190.2), ("fcn16s", 190.3)])
def test_multiply_adds_are_those_of_the_tables(name: str, expected: float) -> None:
    with torch.device("meta"):
        module = build(name, classes=21)
    assert gmac(module, bands=3, height=512, width=512) == pytest.approx(expected, abs=0.05)


@pytest.mark.parametrize("name", NEW)
def test_tiled_equals_whole_at_the_exact_halo_and_only_there(name: str) -> None:
    net, x = network(name).double(), image(96, 1024).double()
    with torch.inference_mode():
        whole = net(x)
        assert worst(tiled(net, x, core=256, halo=224), whole) <= 1e-12
        assert worst(tiled(net, x, core=256, halo=192), whole) > 1e-4


@pytest.mark.parametrize("shift", [4, 16])
@pytest.mark.parametrize("name", NEW)
def test_off_the_lattice_no_halo_helps(name: str, shift: int) -> None:
    net, x = network(name).double(), image(96, 1024).double()
    with torch.inference_mode():
        off = worst(tiled(net, x, core=256, halo=256, shift=256 + shift), net(x))
    assert off > 0.1


@pytest.mark.parametrize("name", NEW)
def test_tiled_equals_whole_at_borders_of_any_size(name: str) -> None:
    net, x = network(name).double(), image(300, 517).double()
    with torch.inference_mode():
        assert worst(tiled(net, x, core=256, halo=224), net(x)) <= 1e-12


def units(height: int, padding: int) -> int:
    """Count the units of fc6 along one axis: two 3x3 convolutions, five ceil pools, a valid 7x7."""
    rows = height + 2 * padding - 2
    for _ in range(5):
        rows = math.ceil(rows / 2)
    return rows - 6


def fits(height: int, padding: int) -> bool:
    """Whether the deconvolution, 32 (n + 1) px, covers the image from the crop's offset on."""
    found, offset = units(height, padding), padding - 81
    return found >= 1 and offset >= 0 and offset + height <= 32 * (found + 1)


HEIGHTS = range(1, 2049)


def test_97_is_the_least_padding_for_every_size() -> None:
    assert not any(all(fits(height, p) for height in HEIGHTS) for p in range(97))
    assert all(fits(height, p) for p in (97, 100) for height in HEIGHTS)


def test_81_is_the_least_padding_whose_crop_begins_inside_the_map() -> None:
    assert not any(fits(height, 80) for height in HEIGHTS)
    assert [height for height in HEIGHTS if not fits(height, 81)] == list(range(1, 33))


def test_padding_1_leaves_the_map_160_px_short() -> None:
    for height in HEIGHTS:
        assert 32 * (units(height, 1) + 1) == 32 * math.ceil(height / 32) - 160


@pytest.mark.parametrize(("kind", "factor", "more"), [(FCN32s, 1, 0), (FCN16s, 2, 2)])
def test_every_size_has_the_units_of_the_recursion(
    kind: type[FCN32s] | type[FCN16s], factor: int, more: int
) -> None:
    with torch.device("meta"):
        net = kind(classes=2, width=1 / 64).eval()
    for height in [*range(1, 70), *range(70, 2049, 97)]:
        x = torch.empty(1, 3, height, 2049 - height, device="meta")
        expected = [factor * units(side, 100) + more for side in x.shape[2:]]
        assert list(net.coarse_logits(x).shape[2:]) == expected
        assert net(x).shape[2:] == x.shape[2:]


# where the stream's unit 0 is centred, its stride, and the field of a unit
STREAMS = {"pool3": (-95.5, 8, 44), "pool4": (-91.5, 16, 100), "score": (12.5, 32, 404)}


def centres(stream: str, count: int) -> Tensor:
    first, stride, _ = STREAMS[stream]
    return first + stride * torch.arange(count, dtype=torch.float64)


def positive_network() -> FCN8s:
    """Return a network in which no terms cancel, so that an impulse reaches all its units."""
    net = FCN8s(classes=3, width=1 / 64).double().eval()
    with torch.no_grad():
        for key, value in net.named_parameters():
            value.zero_() if key.endswith("bias") else value.abs_()
    return net


@pytest.mark.parametrize("stream", STREAMS)
def test_units_see_what_lies_around_their_centre(stream: str) -> None:
    net, unit = positive_network(), 320 // STREAMS[stream][1]
    middle, field = centres(stream, unit + 1)[unit].item(), STREAMS[stream][2]
    first, last = int(middle - (field - 1) / 2), int(middle + (field - 1) / 2)
    x = torch.zeros(4, 3, 1, 1024, dtype=torch.float64)
    x[range(4), :, :, [first - 1, first, last, last + 1]] = 1
    with torch.inference_mode():
        pool3 = net.to_pool3(x)
        pool4 = net.to_pool4(pool3)
        found = {"pool3": pool3, "pool4": pool4, "score": net.to_score(pool4)}[stream]
    assert (found[..., unit] > 0).any(dim=2).any(dim=1).tolist() == [False, True, True, False]


# The first and last pixels have no unit beyond them to interpolate from.
INNER = slice(32, -8)


def positions(net: nn.Module, monkeypatch: pytest.MonkeyPatch, height: int) -> Tensor:
    """Return the row of each pixel when every unit of every stream holds its own position."""

    def coded(stream: str, count: int) -> Tensor:
        return centres(stream, count)[:, None].expand(1, 3, count, count)

    fine = math.ceil((height + 198) / 8)
    monkeypatch.setattr(net, "to_pool3", lambda _: coded("pool3", fine))
    monkeypatch.setattr(net, "to_pool4", lambda _: coded("pool4", math.ceil(fine / 2)))
    monkeypatch.setattr(net, "to_score", lambda _: coded("score", units(height, 100)))
    for key in ("score_pool3", "score_pool4"):
        if hasattr(net, key):
            monkeypatch.setattr(net, key, nn.Identity())
    with torch.inference_mode():
        out: Tensor = net(torch.zeros(1, 3, height, height))[0, 0, INNER, height // 2]
    return out


@pytest.mark.parametrize(("name", "streams"), [("fcn32s", 1), ("fcn16s", 2), ("fcn8s", 3)])
@pytest.mark.parametrize("height", [512, 389])
def test_streams_meet_and_end_where_their_units_look(
    name: str, streams: int, height: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = positions(network(name).double(), monkeypatch, height) / streams
    torch.testing.assert_close(found, torch.arange(height, dtype=torch.float64)[INNER])


class Resized(FCN32s):
    """The known mistake: the map of the padded image is squeezed instead of cropped."""

    def forward(self, x: Tensor) -> Tensor:
        return functional.interpolate(self.coarse_logits(x), size=x.shape[2:], mode="bilinear")


def test_squeezing_instead_of_cropping_moves_the_map_by_28_px(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = positions(Resized(classes=3, width=1 / 64).double(), monkeypatch, 512)
    moved = (found - torch.arange(512)[INNER]).abs().max().item()
    assert moved == pytest.approx(28, abs=0.1)


def test_at_once_is_the_same_network_with_weaker_skips() -> None:
    at_once, plain = network("fcn8s", at_once=True).double(), network("fcn8s").double()
    assert at_once.state_dict().keys() == plain.state_dict().keys()
    with torch.no_grad():
        plain.get_parameter("score_pool4.weight").mul_(0.01)
        plain.get_parameter("score_pool3.weight").mul_(0.0001)
    x = image(40, 70).double()
    with torch.inference_mode():
        torch.testing.assert_close(at_once(x), plain(x))


@pytest.mark.parametrize(
    ("name", "kernels"),
    [("fcn32s", {"upscore.weight"}), ("fcn16s", {"upscore2.weight", "upscore16.weight"})],
)
def test_only_the_bilinear_kernels_are_frozen(name: str, kernels: set[str]) -> None:
    assert {k for k, v in network(name).named_parameters() if not v.requires_grad} == kernels


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
@pytest.mark.parametrize("name", NEW)
def test_torchscript_gives_the_same_logits(name: str) -> None:
    net, x = network(name), image(45, 70)
    with torch.inference_mode():
        torch.testing.assert_close(torch.jit.script(net)(x), net(x))
