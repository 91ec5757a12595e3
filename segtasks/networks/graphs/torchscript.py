"""Run a TorchScript file. Loading it runs no Python: it can call only torch's own operators."""

import warnings
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.jit import optimized_execution  # type: ignore[attr-defined]  # stub gap

from segtasks.networks.graphs.file_format import damaged
from segtasks.networks.graphs.first_output import first_output


@dataclass
class TorchScriptGraph:
    """A TorchScript module in memory; see `session.GraphSession`."""

    module: Any
    device: torch.device
    shape: tuple[int | None, int | None, int | None, int | None] = (None, None, None, None)
    has_gradients: bool = True

    def __call__(self, x: Tensor) -> Tensor:
        """Run it unoptimised: code that torch.jit generates after a few runs rounds differently."""
        with optimized_execution(False):  # noqa: FBT003 torch's signature
            return first_output(self.module(x.to(self.device)))


def open_torchscript(path: str, device: torch.device) -> TorchScriptGraph:
    """Open a local TorchScript file.

    Raises:
        ModelError: the file cannot be read.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore", DeprecationWarning
            )  # TorchScript files will still be in use
            module = torch.jit.load(path, map_location=device)  # type: ignore[no-untyped-call]
    except (RuntimeError, ValueError) as error:
        raise damaged(path, str(error).strip().splitlines()[0]) from None
    module.eval()
    return TorchScriptGraph(module, device)
