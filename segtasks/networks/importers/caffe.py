"""Layouts of the released Caffe models: FCN, SegNet, Dilation, DeepLab v1 and v2, PSPNet.

The networks of segtasks on VGG16 use Caffe's names. All names are those of the released prototxts.
"""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from segtasks.networks.importers import caffe_blobs, resnet_names
from segtasks.networks.importers.key_mapping import Concat, KeyMapping, Rename
from segtasks.networks.network_spec import InputConvention

if TYPE_CHECKING:
    from torch import Tensor

_DATA_SET = re.compile(r"^(fc[18])_(?!c?\d)[A-Za-z]\w*?(?=(_c?\d)?\.)")
"""Layer names that contain the name of the data set: fc8_voc12, fc8_pascal_1, fc1_voc12_c0."""
_COPY = re.compile(r"_res0\d+\.")
"""Copies of a layer in the net of three scales, such as res2a_branch1_res075."""


def _fcn(numbered: Mapping[str, "Tensor"]) -> dict[str, "Tensor"]:
    """Fold the fixed Scale layers of voc-fcn8s-atonce into the convolutions behind them."""
    tensors = caffe_blobs.named(numbered)
    for pool in ("pool3", "pool4"):
        if (scale := tensors.pop(f"scale_{pool}.weight", None)) is not None:
            tensors[f"score_{pool}.weight"] = tensors[f"score_{pool}.weight"] * scale.reshape(())
    return tensors


def _deeplab(numbered: Mapping[str, "Tensor"]) -> dict[str, "Tensor"]:
    """Remove the name of the data set, and the copies that share their weights with scale 1."""
    return {
        _DATA_SET.sub(r"\1", key): tensor
        for key, tensor in caffe_blobs.named(numbered).items()
        if not _COPY.search(key)
    }


def _dilation(numbered: Mapping[str, "Tensor"]) -> dict[str, "Tensor"]:
    """Rename ``fc-final`` and ``ct_conv1_1`` of the VOC net to ``final`` and ``ctx_conv1_1``."""
    return {
        re.sub("^ct_", "ctx_", re.sub("^fc-final", "final", key)): tensor
        for key, tensor in caffe_blobs.named(numbered).items()
    }


_FCN = KeyMapping(prepare=_fcn)
_SEGNET = KeyMapping(prepare=caffe_blobs.segnet, renames=((r"\.bn\.", "_bn."),), batch_norm_eps=0.0)
_DEEPLAB = KeyMapping(prepare=_deeplab)
_DILATION = KeyMapping(prepare=_dilation)
_DEEPLAB_RESNET = KeyMapping(
    prepare=_deeplab,
    renames=(*resnet_names.caffe(101), (r"^aspp\.", "fc1_c")),
)

_PARTS = {"conv1": "1x1_reduce", "conv2": "3x3", "conv3": "1x1_increase", "shortcut": "1x1_proj"}
_BINS = (1, 2, 3, 6)


def _pspnet_block(found: re.Match[str]) -> str:
    """layer3.22.conv2 -> conv4_23_3x3."""
    return f"conv{int(found[1]) + 1}_{int(found[2]) + 1}_{_PARTS[found[3]]}"


_PSPNET_NAMES: tuple[Rename, ...] = (
    (r"\.bn\.", "/bn."),
    (r"^conv1_(\d)", r"conv1_\1_3x3"),
    (r"^conv1_1_3x3", "conv1_1_3x3_s2"),
    (r"^layer(\d)\.(\d+)\.(conv\d|shortcut)", _pspnet_block),
    (r"^ppm\.convs\.(\d)", lambda found: f"conv5_3_pool{_BINS[int(found[1])]}_conv"),
    (r"^main\.conv", "conv5_4"),
    (r"^main\.classifier", "conv6"),
)
_MAP = "layer4.2.conv3.weight"
_GRIDS = tuple(f"ppm.convs.{i}.weight" for i in range(4))
_PSPNET = KeyMapping(
    prepare=caffe_blobs.named,
    renames=_PSPNET_NAMES,
    concats=(Concat("main.conv.weight", foreign=(_MAP, *_GRIDS[::-1]), native=(_MAP, *_GRIDS)),),
    inputs=InputConvention("BGR", 255.0, (103.939, 116.779, 123.68), (1.0, 1.0, 1.0)),
)

LAYOUTS: Mapping[str, Mapping[str, KeyMapping]] = {
    "caffe": {
        **dict.fromkeys(("fcn32s", "fcn16s", "fcn8s"), _FCN),
        "fcn8s_lean": KeyMapping(prepare=_fcn, unused=(r"upscore.*",)),
        **dict.fromkeys(("segnet", "segnet_basic"), _SEGNET),
        **dict.fromkeys(
            ("dilation_frontend", "dilation7", "dilation8", "dilation8_large", "dilation10"),
            _DILATION,
        ),
        **dict.fromkeys(("deeplab_v1", "largefov", "msc_largefov", "aspp_s", "aspp_l"), _DEEPLAB),
        "deeplabv2_resnet101": _DEEPLAB_RESNET,
        **dict.fromkeys(("caffe_pspnet50", "pspnet101"), _PSPNET),
    }
}
