"""Run an ONNX file with onnxruntime; inputs and outputs are torch tensors."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from segtasks.errors import ModelError
from segtasks.networks.graphs.onnx_file import on_cuda, open_session

_AXES = 4
_DTYPES: dict[str, type[np.generic]] = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(uint8)": np.uint8,
    "tensor(uint16)": np.uint16,
    "tensor(int32)": np.int32,
}


@dataclass
class OnnxGraph:
    """An ONNX file in memory; see `session.GraphSession`.

    Attributes:
        session: the InferenceSession of onnxruntime.
        dtype: numpy dtype of the input; values are truncated to integer dtypes, which is exact for
            raw pixels.
    """

    session: Any
    dtype: type[np.generic]
    device: torch.device
    shape: tuple[int | None, int | None, int | None, int | None]
    has_gradients: bool = False

    def __call__(self, x: Tensor) -> Tensor:
        """Run the graph: (N, C, H, W) -> its first output, on the CPU."""
        inputs = {self.session.get_inputs()[0].name: x.cpu().numpy().astype(self.dtype)}
        outputs = [self.session.get_outputs()[0].name]
        try:
            (y,) = self.session.run(outputs, inputs)
        except Exception as error:
            # onnxruntime's errors have no common base class.
            raise RuntimeError(" ".join(str(error).split())) from error
        return torch.from_numpy(y)


def open_onnx(path: str, device: torch.device) -> OnnxGraph:
    """Open a local ONNX file.

    Raises:
        ModelError: onnxruntime is not installed, or the file cannot be read or does not take a
            single tensor (N, C, H, W).
    """
    session = open_session(path, cuda=device.type == "cuda")
    inputs = session.get_inputs()
    if len(inputs) != 1 or len(inputs[0].shape) != _AXES or inputs[0].type not in _DTYPES:
        shown = ", ".join(f"{each.type} {each.shape}" for each in inputs)
        raise ModelError(f"{path}: takes {shown}; it must take one tensor (N, bands, H, W)")
    shape = [size if isinstance(size, int) else None for size in inputs[0].shape]
    used = torch.device("cuda" if on_cuda(session) else "cpu")
    batch, bands, height, width = shape
    return OnnxGraph(session, _DTYPES[inputs[0].type], used, (batch, bands, height, width))
