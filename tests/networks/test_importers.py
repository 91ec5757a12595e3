"""Test imported weights against golden vectors and each other, and the refusal of wrong weights."""

import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from segtasks.errors import ModelError
from segtasks.networks import build, convert, layouts, names, variant_of
from segtasks.networks.importers import normalisation_of
from segtasks.networks.importers.key_mapping import reorder
from segtasks.networks.importers.layouts import key_mapping_of, networks_of
from segtasks.networks.importers.unwrap import unwrap
from segtasks.networks.weights import shapes_of, skeleton
from tests.helpers import foreign
from tests.helpers.formula import check_golden, formula_input, formula_state

WIDTH = 1 / 16
Weights = dict[str, Tensor]


def loaded(weights: Weights, layout: str, network: str, width: float = 1.0) -> nn.Module:
    """Return the network with imported weights, float64."""
    classes = [weight for weight in weights.values() if weight.dim() == 4][-1].shape[0]
    options = variant_of(layout=layout, network=network)
    module = skeleton(network, classes=classes, bands=3, width=width, variant=options)
    module.load_state_dict(weights, strict=True, assign=True)
    return module.double().eval()


def usual_gain(_: str) -> float:
    return 24


def refinenet_gain(key: str) -> float:
    return 24 if key.startswith(("layer", "conv1")) else 3


@dataclass(frozen=True)
class Golden:
    """One row of facts/networks.md A.1.3; BGR: what the repository fed, our network gets turned."""

    layout: str
    network: str
    shapes: foreign.Shapes
    size: tuple[int, int]
    figures: list[float]
    histogram: dict[int, int]
    bgr: bool = False
    coarse: bool = False
    gain: Callable[[str], float] = usual_gain


GOLDEN = [
    Golden(
        "wkentaro",
        "fcn8s",
        foreign.fcn8s(),
        (50, 77),
        [1.030240651, 3.126875016, 5.017261964, 0.4536811196, 0.4072746181],
        {0: 3850},
        bgr=True,
    ),
    Golden(
        "wkentaro",
        "fcn32s",
        foreign.fcn32s(),
        (50, 77),
        [0.1009999606, 0.6631251489, -0.191805532, -0.7795149313, 0.1060378762],
        {9: 720, 14: 20, 17: 510, 19: 2600},
        bgr=True,
    ),
    Golden(
        "kazuto",
        "deeplabv2_resnet101",
        foreign.kazuto(),
        (65, 81),
        [107401.9507, 1114181.446, -1574131.538, 3049309.399, 1966779.581],
        {10: 59, 15: 26, 18: 14},
        bgr=True,
        coarse=True,
    ),
    Golden(
        "semseg",
        "pspnet50",
        foreign.semseg(50),
        (65, 81),
        [77.75290346, 564.9033032, 612.3090423, 424.6458482, 37.25476149],
        {4: 4153, 5: 110, 7: 30, 10: 50, 11: 912, 18: 10},
    ),
    Golden(
        "torchvision",
        "fcn_resnet50",
        foreign.torchvision_fcn(50),
        (64, 96),
        [-246.654488, 736.1892121, -134.9701441, -293.428944, 643.7675324],
        {1: 2793, 2: 2835, 4: 13, 11: 61, 12: 268, 19: 174},
    ),
    Golden(
        "smp",
        "smp_pspnet50",
        foreign.smp_pspnet(),
        (64, 96),
        [5.642564646, 38.66853446, 34.01135444, 40.04492442, 5.99784601],
        {0: 423, 9: 286, 10: 5346, 14: 44, 19: 45},
    ),
    Golden(
        "drsleep",
        "refinenet101",
        foreign.drsleep(101),
        (64, 96),
        [-314.4013419, 5971.903678, 1126.174213, 825.4763142, -1318.829398],
        {0: 227, 1: 24, 6: 55, 9: 56, 13: 1, 14: 4, 16: 8, 18: 9},
        coarse=True,
        gain=refinenet_gain,
    ),
]


# FCN-32s says little that FCN-8s does not, and 136 million weights take their time.
ROWS = [
    pytest.param(
        case,
        id=f"{case.layout}-{case.network}",
        marks=[pytest.mark.slow] if case.network == "fcn32s" else [],
    )
    for case in GOLDEN
]


@pytest.mark.parametrize("case", ROWS)
def test_converted_weights_give_the_logits_of_the_independent_implementation(case: Golden) -> None:
    # FCN's deconvolutions stay as the network makes them: bilinear, though the layout has keys.
    given = {key: shape for key, shape in case.shapes.items() if not key.startswith("upscore")}
    weights = convert(formula_state(given, case.gain), layout=case.layout, network=case.network)
    module = loaded(weights, case.layout, case.network)
    image = formula_input(*case.size)
    with torch.inference_mode():
        run: Callable[[Tensor], Tensor] = getattr(
            module, "coarse_logits" if case.coarse else "forward"
        )
        y = run(image.flip(1) if case.bgr else image)
    check_golden(y, case.figures, case.histogram)


NARROW = [
    ("wkentaro", "fcn8s", foreign.fcn8s(5, WIDTH)),
    ("wkentaro", "fcn8s_lean", foreign.fcn8s(5, WIDTH)),
    ("wkentaro", "fcn16s", foreign.fcn16s(5, WIDTH)),
    ("wkentaro", "fcn32s", foreign.fcn32s(5, WIDTH)),
    ("semseg", "pspnet50", foreign.semseg(50, 5, WIDTH)),
    ("semseg", "pspnet101", foreign.semseg(101, 5, WIDTH)),
    ("mmseg", "mmseg_pspnet50", foreign.mmseg(50, 5, WIDTH)),
    ("mmseg", "mmseg_pspnet101", foreign.mmseg(101, 5, WIDTH)),
    ("mmseg", "mmseg_fcn_resnet50", foreign.mmseg_fcn(50, 5, WIDTH)),
    ("mmseg", "mmseg_fcn_resnet101", foreign.mmseg_fcn(101, 5, WIDTH)),
    ("mmseg", "mmseg_deeplabv3_resnet50", foreign.mmseg_deeplab(50, 5, WIDTH)),
    ("mmseg", "mmseg_deeplabv3_resnet101", foreign.mmseg_deeplab(101, 5, WIDTH)),
    ("smp", "smp_deeplabv3_resnet50", foreign.smp_deeplab(50, 5, WIDTH)),
    ("smp", "smp_deeplabv3_resnet101", foreign.smp_deeplab(101, 5, WIDTH)),
    ("torchvision", "fcn_resnet50", foreign.torchvision_fcn(50, 5, WIDTH)),
    ("torchvision", "fcn_resnet101", foreign.torchvision_fcn(101, 5, WIDTH)),
    ("torchvision", "deeplabv3_resnet50", foreign.torchvision_deeplab(50, 5, WIDTH)),
    ("torchvision", "deeplabv3_resnet101", foreign.torchvision_deeplab(101, 5, WIDTH)),
    ("kazuto", "deeplabv2_resnet101", foreign.kazuto(5, WIDTH)),
    ("isht7", "deeplabv2_resnet101", foreign.isht7(5, WIDTH)),
    ("drsleep", "refinenet50", foreign.drsleep(50, 5, WIDTH)),
    ("drsleep", "refinenet101", foreign.drsleep(101, 5, WIDTH)),
    ("drsleep", "refinenet152", foreign.drsleep(152, 5, WIDTH)),
]


@pytest.mark.parametrize(("layout", "network", "shapes"), NARROW)
def test_every_key_of_a_layout_finds_its_place(
    layout: str, network: str, shapes: foreign.Shapes
) -> None:
    state = foreign.random_state(shapes)
    weights = convert(state, layout=layout, network=network, width=WIDTH)
    module = loaded(weights, layout, network, WIDTH)
    with torch.inference_mode():
        assert module(torch.zeros(1, 3, 33, 33, dtype=torch.float64)).shape == (1, 5, 33, 33)


@pytest.mark.parametrize(
    ("layout", "network"), [(layout, name) for layout in layouts() for name in networks_of(layout)]
)
def test_no_two_keys_of_ours_have_one_name_in_a_layout(layout: str, network: str) -> None:
    assert network in names()
    key_mapping = key_mapping_of(layout, network)
    module = skeleton(network, classes=2, bands=3, width=1.0, variant=key_mapping.variant)
    ours = shapes_of(module).keys()
    assert len({key_mapping.foreign_key(key) for key in ours}) == len(ours)


def test_isht7_and_kazuto_are_the_same_network_under_other_names() -> None:
    state = foreign.random_state(foreign.kazuto(5, WIDTH))
    renamed = dict(zip(foreign.isht7(5, WIDTH), state.values(), strict=True))
    one = convert(state, layout="kazuto", network="deeplabv2_resnet101", width=WIDTH)
    other = convert(renamed, layout="isht7", network="deeplabv2_resnet101", width=WIDTH)
    assert foreign.same(one, other)


def test_mmseg_and_semseg_differ_in_the_stem_alone() -> None:
    state = foreign.random_state(foreign.mmseg(50, 5, WIDTH))
    theirs = foreign.semseg(50, 5, WIDTH)
    renamed = {
        key: value if value.shape == shape else torch.zeros(shape)
        for (key, shape), value in zip(theirs.items(), state.values(), strict=True)
    }
    one = convert(state, layout="mmseg", network="mmseg_pspnet50", width=WIDTH)
    other = convert(renamed, layout="semseg", network="pspnet50", width=WIDTH)
    assert one.keys() == other.keys()
    differ = {key.split(".bn")[0] for key in one if not torch.equal(one[key], other[key])}
    first = {f"{home}.weight" for home in ("conv1_2", "layer1.0.conv1", "layer1.0.shortcut")}
    assert differ == first | {"conv1_1", "conv1_2", "conv1_3", "conv1_1.weight", "conv1_3.weight"}


def test_deeplabv3_is_the_head_that_torchvision_describes() -> None:
    """Test the head of torchvision: rates in order, the mean last, under its own names."""
    state = foreign.random_state(foreign.torchvision_deeplab(50, 5, WIDTH))
    weights = convert(state, layout="torchvision", network="deeplabv3_resnet50", width=WIDTH)
    module = loaded(weights, "torchvision", "deeplabv3_resnet50", WIDTH)
    doubled = {key: value.double() for key, value in state.items()}
    x = torch.randn(1, 128, 9, 8, dtype=torch.float64)
    with torch.inference_mode():
        decoded = module.get_submodule("main")(module.get_submodule("aspp")(x))
        assert torch.allclose(decoded, aspp_of_torchvision(doubled, x), rtol=1e-12)


def aspp_of_torchvision(w: Weights, x: Tensor) -> Tensor:
    """Run classifier.0 ... classifier.4 of torchvision's DeepLab v3 on the map of layer4."""

    def block(x: Tensor, conv: str, bn: str, padding: int = 0, dilation: int = 1) -> Tensor:
        y = functional.conv2d(x, w[f"{conv}.weight"], padding=padding, dilation=dilation)
        stats = (w[f"{bn}.running_mean"], w[f"{bn}.running_var"])
        return functional.batch_norm(y, *stats, w[f"{bn}.weight"], w[f"{bn}.bias"]).relu()

    home = "classifier.0.convs"
    parts = [block(x, f"{home}.0.0", f"{home}.0.1")]
    for i, d in ((1, 12), (2, 24), (3, 36)):
        parts.append(block(x, f"{home}.{i}.0", f"{home}.{i}.1", padding=d, dilation=d))
    mean = block(x.mean(dim=(2, 3), keepdim=True), f"{home}.4.1", f"{home}.4.2")
    joined = torch.cat([*parts, mean.expand_as(parts[0])], dim=1)
    y = block(joined, "classifier.0.project.0", "classifier.0.project.1")
    y = block(y, "classifier.1", "classifier.2", padding=1)
    return functional.conv2d(y, w["classifier.4.weight"], w["classifier.4.bias"])


def test_an_auxiliary_head_is_kept_when_asked_for() -> None:
    state = foreign.random_state(foreign.semseg(50, 5, WIDTH))
    weights = convert(state, layout="semseg", network="pspnet50", width=WIDTH, auxiliary=True)
    assert torch.equal(weights["auxiliary.classifier.bias"], state["aux.4.bias"])
    module = build("pspnet50", classes=5, width=WIDTH, auxiliary=True)
    module.load_state_dict(weights, strict=True)


def small_state() -> Weights:
    return foreign.random_state(foreign.kazuto(2, 1 / 64))


def small(state: Mapping[str, Any], width: float = 1 / 64) -> Weights:
    return convert(state, layout="kazuto", network="deeplabv2_resnet101", width=width)


def test_bgr_comes_out_as_rgb() -> None:
    state = small_state()
    weights = small(state)
    assert torch.equal(weights["conv1.weight"], state["layer1.conv1.conv.weight"][:, [2, 1, 0]])


def test_the_normalisation_is_turned_with_the_bands() -> None:
    turned = normalisation_of(layout="kazuto", network="deeplabv2_resnet101")
    assert turned.mean == (122.675, 116.669, 104.008)
    unit = normalisation_of(layout="torchvision", network="fcn_resnet50")
    assert unit.mean == pytest.approx((123.675, 116.28, 103.53))
    assert unit.std == pytest.approx((58.395, 57.12, 57.375))


def test_of_four_bands_no_order_is_known_and_none_is_changed() -> None:
    state = small_state()
    state["layer1.conv1.conv.weight"] = torch.rand(1, 4, 7, 7)
    weights = small(state)
    assert torch.equal(weights["conv1.weight"], state["layer1.conv1.conv.weight"])


def test_counters_are_there_and_zero() -> None:
    state = small_state() | {"layer1.conv1.bn.num_batches_tracked": torch.tensor(7)}
    assert small(state)["conv1.bn.num_batches_tracked"].item() == 0


@given(
    path=st.lists(st.sampled_from(["state_dict", "model", "model_state_dict"]), max_size=3),
    prefixes=st.lists(st.sampled_from(["module.", "Scale.", "base."]), max_size=3),
)
def test_wrappers_are_looked_through(path: list[str], prefixes: list[str]) -> None:
    plain = {"layer1.conv1.bn.weight": torch.ones(2), "aspp.c0.bias": torch.zeros(2)}
    wrapped: dict[str, Any] = {"".join(prefixes) + key: value for key, value in plain.items()}
    for name in path:
        wrapped = {name: wrapped, "epoch": 3}
    assert foreign.same(unwrap("here", wrapped), plain)


@given(sizes=st.lists(st.integers(0, 5), min_size=1, max_size=6), data=st.data())
def test_every_reordering_puts_parts_where_ours_has_them(
    sizes: list[int], data: st.DataObject
) -> None:
    parts = {f"part {i}": [(i, channel) for channel in range(n)] for i, n in enumerate(sizes)}
    theirs = data.draw(st.permutations(list(parts)))
    ours = data.draw(st.permutations(list(parts)))
    lengths = {name: len(part) for name, part in parts.items()}
    joined = [channel for name in theirs for channel in parts[name]]
    wanted = [channel for name in ours for channel in parts[name]]
    assert [joined[i] for i in reorder(lengths, foreign=theirs, native=ours)] == wanted


def broken(change: Callable[[Weights], object]) -> str:
    """Return the error of converting a state dict after ``change``."""
    state = small_state()
    change(state)
    with pytest.raises(ModelError) as caught:
        small(state)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_missing_key_is_named_as_they_name_it() -> None:
    says = broken(lambda state: state.pop("layer4.block2.reduce.bn.running_var"))
    assert "kazuto deeplabv2_resnet101: key 'layer4.block2.reduce.bn.running_var' missing" in says


def test_a_left_over_key_is_named() -> None:
    says = broken(lambda state: state.update({"aspp.c4.bias": torch.zeros(2), "z": torch.ones(1)}))
    assert "key 'aspp.c4.bias' and 1 more keys left over" in says


def test_a_misshapen_key_is_named_with_both_shapes() -> None:
    says = broken(lambda state: state.update({"aspp.c3.weight": torch.zeros(2, 32, 1, 1)}))
    assert "key 'aspp.c3.weight' is (2, 32, 1, 1), the network needs (2, 32, 3, 3)" in says


def test_heads_of_different_class_counts_are_refused() -> None:
    says = broken(lambda state: state.update({"aspp.c3.bias": torch.zeros(3)}))
    assert "key 'aspp.c3.bias' is (3,), the network needs (2,)" in says


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_values_that_are_not_finite_are_refused(value: float) -> None:
    says = broken(lambda state: state["aspp.c1.bias"].fill_(value))
    assert "key 'aspp.c1.bias' holds NaN or infinite values" in says


def test_a_key_that_is_there_twice_is_refused() -> None:
    says = broken(lambda state: state.update({"module.aspp.c1.bias": torch.zeros(2)}))
    assert "key 'aspp.c1.bias' occurs twice, once as 'module.aspp.c1.bias'" in says


def test_another_width_is_refused() -> None:
    with pytest.raises(ModelError, match=r"are network, width 0.5 and options right\?"):
        small(small_state(), width=0.5)


@pytest.mark.parametrize("state", [{}, {"epoch": 3}, {"state_dict": {}}])
def test_a_checkpoint_without_tensors_is_refused(state: Mapping[str, Any]) -> None:
    with pytest.raises(ModelError, match="has no tensors; give a state dict"):
        small(state)


@pytest.mark.parametrize(
    ("layout", "network", "says"),
    [
        ("keras", "fcn8s", r"layout 'keras' is unknown; choose one of caffe, drsleep, isht7"),
        ("kazuto", "unet", r"network 'unet' is unknown; choose one of"),
        ("kazuto", "fcn8s", r"kazuto has no weights of fcn8s; it has deeplabv2_resnet101"),
    ],
)
def test_unknown_names_are_refused_with_the_known_ones(
    layout: str, network: str, says: str
) -> None:
    with pytest.raises(ModelError, match=says):
        convert(small_state(), layout=layout, network=network)
    with pytest.raises(ModelError, match=says):
        variant_of(layout=layout, network=network)


def test_variants_are_those_that_no_tensor_shows() -> None:
    assert variant_of(layout="drsleep", network="refinenet101") == {"upsampling": "align_corners"}
    assert variant_of(layout="matconvnet_improved", network="refinenet50")["pool_first"] is False
    assert variant_of(layout="semseg", network="pspnet50") == {}


def test_layouts_are_listed_without_torch() -> None:
    code = (
        "import sys; from segtasks.networks import layouts, variant_of; layouts();"
        "variant_of(layout='kazuto', network='deeplabv2_resnet101');"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
