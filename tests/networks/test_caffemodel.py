"""Test Caffe's models: the meaning of numbered blobs, and the .caffemodel file."""

import re
import struct
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from segtasks.errors import ModelError
from segtasks.networks import build, convert
from segtasks.networks.importers.caffemodel import read_caffemodel
from tests.helpers import foreign

WIDTH = 1 / 16
Weights = dict[str, Tensor]
NUMBERS = {"weight": 0, "bias": 1}


def numbered(state: Mapping[str, Tensor]) -> Weights:
    """Return kernels and biases as Caffe saves them."""
    return {
        re.sub(r"\.(weight|bias)$", lambda found: f".{NUMBERS[found[1]]}", key): value
        for key, value in state.items()
    }


@pytest.mark.parametrize("network", ["fcn8s", "fcn16s", "fcn32s", "fcn8s_lean"])
def test_fcn_is_the_one_of_wkentaro(network: str) -> None:
    shapes = getattr(foreign, network.removesuffix("_lean"))(5, WIDTH)
    state = foreign.random_state(shapes)
    mine = convert(numbered(state), layout="caffe", network=network, width=WIDTH)
    assert foreign.same(mine, convert(state, layout="wkentaro", network=network, width=WIDTH))


def test_blobs_of_old_files_have_four_axes() -> None:
    state = foreign.random_state(foreign.fcn8s(5, WIDTH))
    old = {
        key: value.reshape(1, 1, 1, -1) if value.dim() == 1 else value
        for key, value in numbered(state).items()
    }
    mine = convert(old, layout="caffe", network="fcn8s", width=WIDTH)
    assert foreign.same(mine, convert(state, layout="wkentaro", network="fcn8s", width=WIDTH))


def test_the_scales_of_fcn8s_at_once_go_into_the_convolutions_behind_them() -> None:
    state = numbered(foreign.random_state(foreign.fcn8s(2, WIDTH)))
    scales = {"scale_pool4.0": torch.tensor([0.01]), "scale_pool3.0": torch.tensor([0.0001])}
    mine = build("fcn8s", classes=2, width=WIDTH).double().eval()
    mine.load_state_dict(convert(state | scales, layout="caffe", network="fcn8s", width=WIDTH))
    theirs = build("fcn8s", classes=2, width=WIDTH, at_once=True).double().eval()
    theirs.load_state_dict(convert(state, layout="caffe", network="fcn8s", width=WIDTH))
    x = torch.randn(1, 3, 20, 30, dtype=torch.float64)
    with torch.inference_mode():
        # the weights were multiplied in float32
        assert torch.allclose(mine(x), theirs(x), rtol=1e-5)


def with_factor(state: Weights, factor: float) -> Weights:
    """Return statistics as the three blobs of BatchNorm: sums, and the factor that divides them."""
    blobs: Weights = {}
    for key, value in state.items():
        layer, leaf = key.rsplit(".", 1)
        if leaf.startswith("running"):
            blobs[f"{layer}.{int(leaf == 'running_var')}"] = value * factor
            blobs[f"{layer}.2"] = torch.tensor([factor])
        else:
            blobs[f"{layer}.{NUMBERS[leaf]}"] = value
    return blobs


def test_deeplab_v2_is_the_one_of_isht7() -> None:
    state = foreign.random_state(foreign.isht7(5, WIDTH))
    caffe = with_factor({foreign.caffe_resnet(key): value for key, value in state.items()}, 999.98)
    network = "deeplabv2_resnet101"
    mine = convert(caffe, layout="caffe", network=network, width=WIDTH)
    assert foreign.same(
        mine, convert(state, layout="isht7", network=network, width=WIDTH), rtol=1e-6
    )


def test_the_other_scales_of_deeplab_v2_are_copies() -> None:
    state = foreign.random_state(foreign.isht7(5, WIDTH))
    caffe = with_factor({foreign.caffe_resnet(key): value for key, value in state.items()}, 1.0)
    copies = {
        re.sub(r"\.(\d)$", rf"_{scale}.\1", key): value
        for key, value in caffe.items()
        for scale in ("res075", "res05")
    }
    one, other = (
        convert(blobs, layout="caffe", network="deeplabv2_resnet101", width=WIDTH)
        for blobs in (caffe, caffe | copies)
    )
    assert foreign.same(one, other)


def test_sums_without_a_factor_are_zero_as_in_caffe() -> None:
    state = foreign.random_state(foreign.isht7(5, WIDTH))
    caffe = with_factor({foreign.caffe_resnet(key): value for key, value in state.items()}, 1.0)
    caffe["bn_conv1.2"] = torch.zeros(1)
    weights = convert(caffe, layout="caffe", network="deeplabv2_resnet101", width=WIDTH)
    assert weights["conv1.bn.running_mean"].abs().max() == 0


def caffe_pspnet(key: str) -> str:
    """Rename semseg keys to the prototxt's, e.g. layer3.0.downsample.1 -> conv4_1_1x1_proj/bn."""
    stem = {"0": "conv1_1_3x3_s2", "3": "conv1_2_3x3", "6": "conv1_3_3x3"}
    heads = {"cls.0": "conv5_4", "cls.1": "conv5_4/bn", "cls.4": "conv6"}
    home, leaf = key.rsplit(".", 1)
    if found := re.fullmatch(r"layer0\.(\d)", home):
        at = int(found[1])
        return f"{stem[str(3 * (at // 3))]}{'/bn' if at % 3 else ''}.{leaf}"
    if found := re.fullmatch(r"layer(\d)\.(\d+)\.(conv|bn|downsample\.)(\d)", home):
        stage, block, kind, number = found.groups()
        is_bn = kind == "bn" or (kind == "downsample." and number == "1")
        parts = {"1": "1x1_reduce", "2": "3x3", "3": "1x1_increase"}
        part = "1x1_proj" if kind == "downsample." else parts[number]
        return f"conv{int(stage) + 1}_{int(block) + 1}_{part}{'/bn' if is_bn else ''}.{leaf}"
    if found := re.fullmatch(r"ppm\.features\.(\d)\.([12])", home):
        suffix = "/bn" if found[2] == "2" else ""
        return f"conv5_3_pool{(1, 2, 3, 6)[int(found[1])]}_conv{suffix}.{leaf}"
    return f"{heads[home]}.{leaf}"


@pytest.mark.parametrize(
    ("network", "of_semseg", "depth"),
    [("pspnet101", "pspnet101", 101), ("caffe_pspnet50", "pspnet50", 50)],
)
def test_pspnet_is_the_one_of_semseg_but_for_bands_and_the_order_of_grids(
    network: str, of_semseg: str, depth: int
) -> None:
    state = foreign.random_state(foreign.semseg(depth, 5, WIDTH))
    state = {key: value for key, value in state.items() if not key.startswith("aux")}
    order = {"weight": 0, "bias": 1, "running_mean": 2, "running_var": 3}
    caffe = {}
    for key, value in state.items():
        layer, leaf = caffe_pspnet(key).rsplit(".", 1)
        caffe[f"{layer}.{order[leaf]}"] = value
    caffe["conv1_1_3x3_s2.0"] = caffe["conv1_1_3x3_s2.0"].flip(1)
    # theirs: the map, 6, 3, 2, 1; 128 and 32 channels at this width
    joined = caffe["conv5_4.0"]
    x, grids = joined[:, :128], [joined[:, at : at + 32] for at in (224, 192, 160, 128)]
    caffe["conv5_4.0"] = torch.cat([x, *grids], dim=1)
    mine = convert(caffe, layout="caffe", network=network, width=WIDTH)
    assert foreign.same(mine, convert(state, layout="semseg", network=of_semseg, width=WIDTH))


def test_the_pspnet_of_50_layers_halves_its_map_in_a_1x1() -> None:
    """Prototxts: conv3_1_1x1_reduce in pspnet50_ADE20K_473, conv3_1_3x3 in pspnet101_*."""
    strides = {}
    for name in ("caffe_pspnet50", "pspnet50", "pspnet101"):
        first = build(name, classes=2, width=1 / 64).get_submodule("layer2.0")
        convs = [first.get_submodule(f"conv{i}") for i in (1, 2)]
        strides[name] = [conv.stride[0] for conv in convs if isinstance(conv, nn.Conv2d)]
    assert strides == {"caffe_pspnet50": [2, 1], "pspnet50": [1, 2], "pspnet101": [1, 2]}


def test_segnet_scales_and_shifts_what_its_convolutions_give() -> None:
    state = foreign.random_state(foreign.segnet(5, WIDTH))
    weights = convert(numbered(state), layout="caffe", network="segnet", width=WIDTH)
    module = build("segnet", classes=5, width=WIDTH).double().eval()
    module.load_state_dict(weights, strict=True)
    doubled = {key: value.double() for key, value in state.items()}
    x = torch.randn(1, 32, 5, 6, dtype=torch.float64)
    for name in ("conv5_1", "conv4_2_D"):
        y = (
            functional.conv2d(x, doubled[f"{name}.weight"], doubled[f"{name}.bias"], padding=1)
            * doubled[f"{name}_bn.weight"]
            + doubled[f"{name}_bn.bias"]
        )
        with torch.inference_mode():
            assert torch.allclose(module.get_submodule(name)(x), y.relu(), rtol=1e-6)
    assert torch.equal(weights["conv1_1.weight"], state["conv1_1.weight"].flip(1))
    assert torch.equal(weights["conv1_1_D.bias"], state["conv1_1_D.bias"])


def test_segnet_basic_has_no_other_names() -> None:
    shapes: foreign.Shapes = {}
    names = [f"conv{i}" for i in (1, 2, 3, 4)] + [f"conv_decode{i}" for i in (4, 3, 2, 1)]
    for name in names:
        shapes |= foreign.conv(name, 4, 3 if name == "conv1" else 4, 7, bias=True)
        shapes |= {f"{name}_bn.weight": (4,), f"{name}_bn.bias": (4,)}
    shapes |= foreign.conv("conv_classifier", 5, 4, 1, bias=True)
    state = numbered(foreign.random_state(shapes))
    weights = convert(state, layout="caffe", network="segnet_basic", width=WIDTH)
    build("segnet_basic", classes=5, width=WIDTH).load_state_dict(weights, strict=True)
    assert torch.equal(weights["conv_decode2.bn.bias"], state["conv_decode2_bn.1"])


CONTEXTS = {
    "dilation_frontend": {},
    "dilation7": foreign.basic_context("conv1_1 conv1_2 conv2_1 conv3_1 conv4_1"),
    "dilation8": foreign.basic_context("conv1_1 conv1_2 conv2_1 conv3_1 conv4_1 conv5_1"),
    "dilation10": foreign.basic_context(
        "conv1_1 conv1_2 conv2_1 conv3_1 conv4_1 conv5_1 conv6_1 conv7_1"
    ),
    "dilation8_large": foreign.large_context(),
}


@pytest.mark.parametrize("network", CONTEXTS)
@pytest.mark.parametrize("voc", [True, False])
def test_dilation_goes_by_two_sets_of_names(network: str, *, voc: bool) -> None:
    state = numbered(
        foreign.random_state(foreign.dilation(CONTEXTS[network], voc=voc, width=WIDTH))
    )
    weights = convert(state, layout="caffe", network=network, width=WIDTH)
    build(network, classes=5, width=WIDTH).load_state_dict(weights, strict=True)
    assert torch.equal(weights["final.bias"], state["fc-final.1" if voc else "final.1"])
    if network == "dilation10":
        assert torch.equal(
            weights["ctx_conv7_1.weight"], state[f"{'ct' if voc else 'ctx'}_conv7_1.0"]
        )


def test_the_deconvolution_of_dilation10_may_be_there() -> None:
    state = numbered(
        foreign.random_state(foreign.dilation(CONTEXTS["dilation10"], voc=False, width=WIDTH))
    )
    kernel = torch.rand(5, 1, 16, 16)
    with_it = state | {"ctx_upsample.0": kernel}
    taken = convert(with_it, layout="caffe", network="dilation10", width=WIDTH)
    made = convert(state, layout="caffe", network="dilation10", width=WIDTH)
    assert torch.equal(taken["ctx_upsample.weight"], kernel)
    # half-pixel bilinear by 8: the taps nearest to the centre are 15/16 of the peak, squared
    assert made["ctx_upsample.weight"].amax() == pytest.approx((15 / 16) ** 2)


@pytest.mark.parametrize("fc8", ["fc8", "fc8_voc12", "fc8_pascal", "fc8_my_own2"])
def test_largefov_goes_by_the_name_of_its_data_set(fc8: str) -> None:
    state = numbered(foreign.random_state(foreign.largefov(fc8, 5, WIDTH)))
    weights = convert(state, layout="caffe", network="largefov", width=WIDTH)
    build("largefov", classes=5, width=WIDTH).load_state_dict(weights, strict=True)
    assert torch.equal(weights["fc8.weight"], state[f"{fc8}.0"])


def test_every_kernel_on_the_image_is_turned() -> None:
    shapes = foreign.largefov("fc8_voc12", 5, WIDTH, msc=True)
    state = numbered(foreign.random_state(shapes))
    weights = convert(state, layout="caffe", network="msc_largefov", width=WIDTH)
    build("msc_largefov", classes=5, width=WIDTH).load_state_dict(weights, strict=True)
    for name in ("conv1_1", "data_conv"):
        assert torch.equal(weights[f"{name}.weight"], state[f"{name}.0"].flip(1))
    assert torch.equal(weights["pool1_conv.weight"], state["pool1_conv.0"])


@pytest.mark.parametrize("network", ["aspp_s", "aspp_l"])
def test_the_branches_of_aspp_keep_their_numbers(network: str) -> None:
    state = numbered(foreign.random_state(foreign.aspp(5, WIDTH)))
    weights = convert(state, layout="caffe", network=network, width=WIDTH)
    build(network, classes=5, width=WIDTH).load_state_dict(weights, strict=True)
    for i in (1, 2, 3, 4):
        assert torch.equal(weights[f"fc6_{i}.weight"], state[f"fc6_{i}.0"])
        assert torch.equal(weights[f"fc8_{i}.bias"], state[f"fc8_voc12_{i}.1"])


def test_a_layer_of_five_blobs_is_refused() -> None:
    with pytest.raises(
        ModelError, match="layer 'conv1_1' has 5 blobs; only layers of 1 to 4 blobs are"
    ):
        convert({f"conv1_1.{i}": torch.ones(1) for i in range(5)}, layout="caffe", network="fcn8s")


def test_a_key_without_a_number_is_refused() -> None:
    with pytest.raises(ModelError, match=r"key 'conv1_1.weight' is not a blob of a Caffe layer"):
        convert({"conv1_1.weight": torch.ones(1)}, layout="caffe", network="fcn8s")


# The file. Encoded here by hand, field by field, from protobuf's documentation of its wire format.


def varint(value: int) -> bytes:
    low = bytes([value & 0x7F])
    return low if value < 0x80 else bytes([low[0] | 0x80]) + varint(value >> 7)


def field(number: int, payload: bytes) -> bytes:
    """Encode a length-delimited field: message, string or packed numbers."""
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def floats(values: Iterable[float]) -> bytes:
    return b"".join(struct.pack("<f", value) for value in values)


def blob(shape: tuple[int, ...], values: Iterable[float]) -> bytes:
    return field(7, field(1, b"".join(varint(n) for n in shape))) + field(5, floats(values))


def old_blob(shape: tuple[int, ...], values: Iterable[float]) -> bytes:
    axes = b"".join(varint(i << 3) + varint(n) for i, n in enumerate(shape, start=1))
    return axes + field(5, floats(values))


def layer(name: str, *blobs: bytes) -> bytes:
    kind = field(2, b"Convolution")
    return field(100, field(1, name.encode()) + kind + b"".join(field(7, b) for b in blobs))


def old_layer(name: str, *blobs: bytes) -> bytes:
    kind = varint(5 << 3) + varint(4)
    return field(2, field(4, name.encode()) + kind + b"".join(field(6, b) for b in blobs))


@pytest.fixture
def write(tmp_path: Path) -> Callable[[bytes], Path]:
    pytest.importorskip("google.protobuf")

    def written(content: bytes) -> Path:
        path = tmp_path / "net.caffemodel"
        path.write_bytes(content)
        return path

    return written


def test_layers_of_both_ages_are_read(write: Callable[[bytes], Path]) -> None:
    kernel = [0.5 * i for i in range(24)]
    net = (
        field(1, b"name of the net")
        + old_layer("old", old_blob((2, 3, 2, 2), kernel), old_blob((1, 1, 1, 2), [1, 2]))
        + layer("relu")
        + layer("new", blob((2, 3, 2, 2), kernel), blob((2,), [3, 4]))
    )
    found = read_caffemodel(write(net))
    assert list(found) == ["old.0", "old.1", "new.0", "new.1"]
    for name in ("old.0", "new.0"):
        assert torch.equal(found[name], torch.tensor(kernel).reshape(2, 3, 2, 2))
    assert torch.equal(found["new.1"], torch.tensor([3.0, 4.0]))


def test_numbers_in_two_pieces_are_one_blob(write: Callable[[bytes], Path]) -> None:
    pieces = field(7, field(1, varint(3))) + field(5, floats([1])) + field(5, floats([2, 3]))
    found = read_caffemodel(write(layer("a", pieces)))
    assert torch.equal(found["a.0"], torch.tensor([1.0, 2.0, 3.0]))


def test_a_truncated_caffemodel_is_refused(write: Callable[[bytes], Path]) -> None:
    net = layer("a", blob((2,), [1, 2]))
    with pytest.raises(ModelError, match=r"not a whole \.caffemodel"):
        read_caffemodel(write(net[:-3]))


def test_a_blob_of_too_few_numbers_is_refused(write: Callable[[bytes], Path]) -> None:
    with pytest.raises(ModelError, match=r"blob a\.0 of shape \(3,\) holds 8 bytes, not 12"):
        read_caffemodel(write(layer("a", blob((3,), [1, 2]))))


def test_a_file_without_weights_is_refused(write: Callable[[bytes], Path]) -> None:
    with pytest.raises(ModelError, match="no layer with weights in it"):
        read_caffemodel(write(layer("a")))


def test_a_caffemodel_becomes_a_network(write: Callable[[bytes], Path]) -> None:
    state = numbered(foreign.random_state(foreign.fcn32s(2, 1 / 64)))
    names = list(dict.fromkeys(key.rsplit(".", 1)[0] for key in state))
    net = b"".join(
        layer(
            name,
            *(
                blob(tuple(state[f"{name}.{i}"].shape), state[f"{name}.{i}"].flatten().tolist())
                for i in (0, 1)
                if f"{name}.{i}" in state
            ),
        )
        for name in names
    )
    found = read_caffemodel(write(net))
    mine = convert(found, layout="caffe", network="fcn32s", width=1 / 64)
    assert foreign.same(mine, convert(state, layout="caffe", network="fcn32s", width=1 / 64))
