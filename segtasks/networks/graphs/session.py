"""Run a graph of any format: one tensor in, the first output out."""

from typing import Protocol

import torch
from torch import Tensor

from segtasks.errors import ModelError
from segtasks.networks.card import Form
from segtasks.networks.graphs.exported import open_exported
from segtasks.networks.graphs.onnx_graph import open_onnx
from segtasks.networks.graphs.torchscript import open_torchscript

Shape = tuple[int | None, int | None, int | None, int | None]


class GraphSession(Protocol):
    """A graph in memory.

    Attributes:
        device: the device on which it computes.
        shape: input shape (N, C, H, W) that the file states; None where dynamic or not stated.
        has_gradients: whether torch can compute gradients through it.
    """

    device: torch.device
    shape: Shape
    has_gradients: bool

    def __call__(self, x: Tensor) -> Tensor:
        """Run the graph: (N, C, H, W), float32, on any device -> its first output, as it comes.

        Raises:
            RuntimeError: the graph does not take this input.
        """


def open_graph(path: str, form: Form, device: torch.device) -> GraphSession:
    """Open a local graph.

    Raises:
        ModelError: the graph cannot be read or does not take a single tensor (N, C, H, W), or the
            library that runs it is not installed.
    """
    opened: GraphSession
    if form == "torchscript":
        opened = open_torchscript(path, device)
    elif form == "exported":
        opened = open_exported(path, device)
    else:
        opened = open_onnx(path, device)
    if opened.shape[0] not in (None, 1):
        raise ModelError(
            f"{path}: takes {opened.shape[0]} images at a time; export it for 1 or any number"
        )
    return opened
