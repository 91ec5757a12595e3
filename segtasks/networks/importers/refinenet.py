"""Layouts of RefineNet: guosheng/refinenet in MATLAB, DrSleep/refinenet-pytorch with similar names.

Stage and group 1 are the deepest block, ``refine4`` here. MatConvNet's parameters are
``<layer>_filter`` (H, W, in, out) and ``_bias``; those of BatchNorm are ``_mult``, ``_bias`` and
``_moments`` (C, 2), means and standard deviations that include epsilon. The released .mat files
hold MATLAB objects: in MATLAB, collect the ``params`` of their DagNNs in one struct array, add the
class convolution as ``clf_conv_filter`` and ``clf_conv_bias``, and save it with -v7.
"""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from segtasks.networks.importers import resnet_names
from segtasks.networks.importers.key_mapping import KeyMapping, Rename
from segtasks.networks.network_spec import InputConvention

if TYPE_CHECKING:
    from torch import Tensor

_DEPTHS = {"refinenet50": 50, "refinenet101": 101, "refinenet152": 152}
_AXES = 4


def _stage(found: re.Match[str]) -> str:
    """refine4 ... refine1 -> 1 ... 4."""
    return f"{5 - int(found[1])}."


def _joint(found: re.Match[str]) -> str:
    """Name the convolution between two blocks after the deeper one."""
    return f"mflow_conv_g{int(found[1]) - 1}_b3_joint_varout_dimred."


def _from_1(found: re.Match[str]) -> str:
    """Count members from 1."""
    return f"{found[1]}{int(found[2]) + 1}."


_DRSLEEP: tuple[Rename, ...] = (
    (r"^refine(\d)\.", _stage),
    (r"^(\d)\.reduce\.", r"p_ims1d2_outl\1_dimred."),
    (r"^(\d)\.fusion\.own\.", r"adapt_stage\1_b2_joint_varout_dimred."),
    (r"^(\d)\.fusion\.deeper\.", _joint),
    (r"^(\d)\.adapt\.", r"adapt_stage\1_b.0."),
    (r"^(\d)\.output\.", r"mflow_conv_g\1_b.0."),
    (r"^(\d)\.pooling\.convs\.", r"mflow_conv_g\1_pool.0."),
    (r"^((?:adapt|mflow)_.*\.0\.)(\d)\.", _from_1),
    (r"^(mflow_conv_g\d_pool\.0\.\d)\.", r"\1_outvar_dimred."),
    (r"(_b\.0\.\d)\.conv1\.", r"\1_conv."),
    (r"(_b\.0\.\d)\.conv2\.", r"\1_conv_relu_varout_dimred."),
    (r"^classifier\.", "clf_conv."),
)
_MATLAB: tuple[Rename, ...] = (*_DRSLEEP, (r"_(b|pool)\.0\.(\d)_", r"_\1\2_"))
"""No containers of PyTorch: ``adapt_stage1_b.0.2_conv`` becomes ``adapt_stage1_b2_conv``."""
_IMPROVED: tuple[Rename, ...] = (
    *_MATLAB,
    (r"_pool1_outvar_dimred\.", "_poolprev_relu_varout_pb1."),
    (r"_pool(\d)_outvar_dimred\.", lambda found: f"_pool{int(found[1]) - 1}_outvar_pb{found[1]}."),
)
"""The "improved" blocks convolve before they pool; layers are named after their input."""


def _parameters(found: Mapping[str, "Tensor"]) -> dict[str, "Tensor"]:
    """Convert MatConvNet's parameters to the axes and last names of torch."""
    tensors = {}
    for key, value in found.items():
        layer, _, leaf = key.rpartition("_")
        if leaf == "moments":
            tensors[f"{layer}.running_mean"] = value[:, 0]
            tensors[f"{layer}.running_var"] = value[:, 1].square()
        elif leaf == "filter":
            tensors[f"{layer}.weight"] = _kernel(value)
        else:
            tensors[f"{layer}.{'weight' if leaf == 'mult' else leaf}"] = value
    return tensors


def _kernel(value: "Tensor") -> "Tensor":
    """(H, W, in, out) -> (out, in, H, W); MATLAB drops trailing axes of length 1."""
    whole = value.reshape(*value.shape, *(1,) * (_AXES - value.dim()))
    return whole.permute(3, 2, 0, 1)


def _drsleep() -> dict[str, KeyMapping]:
    """Return the layout with bilinear upsampling between blocks, corners aligned."""
    key_mapping = KeyMapping(
        renames=(*resnet_names.TORCHVISION, *_DRSLEEP),
        variant={"upsampling": "align_corners"},
        # As in the same author's light-weight and multi-task programs; not documented for this one.
        inputs=InputConvention("RGB", 1.0, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    )
    return dict.fromkeys(_DEPTHS, key_mapping)


def _matconvnet(heads: tuple[Rename, ...], *, pool_first: bool) -> dict[str, KeyMapping]:
    """Return the published layout, with bicubic upsampling between blocks."""
    return {
        name: KeyMapping(
            renames=(*resnet_names.caffe(depth, affine="bn"), *heads),
            variant={"pool_first": pool_first, "upsampling": "bicubic"},
            # The standard deviations include epsilon.
            batch_norm_eps=0.0,
            prepare=_parameters,
        )
        for name, depth in _DEPTHS.items()
    }


LAYOUTS: Mapping[str, Mapping[str, KeyMapping]] = {
    "drsleep": _drsleep(),
    "matconvnet": _matconvnet(_MATLAB, pool_first=True),
    "matconvnet_improved": _matconvnet(_IMPROVED, pool_first=False),
}
