"""Write small foreign graphs with the libraries that define their formats."""

import json
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import torch
from onnx import helper, numpy_helper
from torch import Tensor, nn

CLASSES = 6
STATED: dict[str, Any] = {
    "classes": [f"value {i}" for i in range(CLASSES)],
    "bands": ["band 1"],
    "normalisation": {"mean": [0], "std": [1], "dtype": "uint8"},
}
"""The required card fields of a graph with the weights of `identity`."""
Floats = npt.NDArray[np.float32]


def identity(classes: int = CLASSES, bands: int = 1) -> tuple[Floats, Floats]:
    """Return a 1x1 convolution's weight and bias: logit k of x is 2kx - k², largest at k = x."""
    ids = np.arange(classes, dtype=np.float32)
    weight = np.zeros((classes, bands, 1, 1), np.float32)
    weight[:, -1, 0, 0] = 2 * ids
    return weight, -ids * ids


def state(path: Path, **fields: object) -> Path:
    """Write the sidecar of ``path``; a field of None is left out."""
    chosen = {key: value for key, value in (STATED | fields).items() if value is not None}
    Path(f"{path}.card.json").write_text(json.dumps(chosen))
    return path


def write_onnx(
    path: Path,
    weight: Floats,
    bias: Floats,
    *,
    size: Sequence[int | str] = ("n", "h", "w"),
    stride: int = 1,
    then: Sequence[str] = (),
    metadata: dict[str, Any] | None = None,
) -> Path:
    """Write an ONNX file of a zero-padded convolution and more operators behind it.

    Args:
        path: path of the file.
        weight: [K, C, k, k].
        bias: [K].
        size: N, H, W; a name means any size.
        stride: stride of the convolution.
        then: names of operators without attributes, over the classes where they have an axis.
        metadata: metadata, stored as JSON.
    """
    pad, bands = weight.shape[2] // 2, weight.shape[1]
    conv = helper.make_node("Conv", ["x", "w", "b"], ["y0"], strides=[stride] * 2, pads=[pad] * 4)
    nodes = [conv]
    for i, name in enumerate(then):
        nodes.append(helper.make_node(name, [f"y{i}"], [f"y{i + 1}"]))
        if name == "Softmax":
            nodes[-1].attribute.append(helper.make_attribute("axis", 1))
    shape = [size[0], bands, *size[1:]]
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(f"y{len(then)}", onnx.TensorProto.FLOAT, None)],
        [numpy_helper.from_array(weight, "w"), numpy_helper.from_array(bias, "b")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, {key: json.dumps(v) for key, v in (metadata or {}).items()})
    onnx.save(model, path)
    return path


class Conv(nn.Module):
    """A convolution in torch with the same weights."""

    def __init__(self, weight: Floats, bias: Floats, *, stride: int = 1) -> None:
        super().__init__()
        classes, bands, kernel, _ = weight.shape
        self.conv = nn.Conv2d(bands, classes, kernel, stride=stride, padding=kernel // 2)
        self.conv.load_state_dict(
            {"weight": torch.from_numpy(weight), "bias": torch.from_numpy(bias)}
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> logits."""
        y: Tensor = self.conv(x)
        return y


def write_torchscript(path: Path, module: nn.Module) -> Path:
    """Write a TorchScript file of a module."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.save(torch.jit.script(module.eval()), path)
    return path


def write_exported(
    path: Path, module: nn.Module, *, bands: int = 1, side: int | None = None
) -> Path:
    """Write a torch.export program for any size, or for one size."""
    free = {0: torch.export.Dim.DYNAMIC, 2: torch.export.Dim.DYNAMIC, 3: torch.export.Dim.DYNAMIC}
    example = torch.rand(2, bands, 40, 72) if side is None else torch.rand(1, bands, side, side)
    program = torch.export.export(
        module.eval(), (example,), dynamic_shapes=(free,) if side is None else None
    )
    torch.export.save(program, path)
    return path


WRITERS = {".pt": write_torchscript, ".pt2": write_exported}


def write_identity(path: Path) -> Path:
    """Write the identity in the format of the suffix of ``path``, with its sidecar."""
    if path.suffix == ".onnx":
        write_onnx(path, *identity())
    else:
        WRITERS[path.suffix](path, Conv(*identity()))
    return state(path)
