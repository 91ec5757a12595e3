"""Run a TorchScript file. Loading it runs no Python: its code has torch's own operators only."""

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
    """See `engine.Engine`."""

    module: Any
    device: torch.device
    shape: tuple[int | None, int | None, int | None, int | None] = (None, None, None, None)
    has_gradients: bool = True

    def __call__(self, x: Tensor) -> Tensor:
        """Run it as it is written: what torch.jit makes of it after a few runs rounds otherwise."""
        with optimized_execution(False):  # noqa: FBT003 torch's own
            return first_output(self.module(x.to(self.device)))


def open_torchscript(path: str, device: torch.device) -> TorchScriptGraph:
    """A local file.

    Raises:
        ModelError: it cannot be read.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # the files will be with us
            module = torch.jit.load(path, map_location=device)  # type: ignore[no-untyped-call]
    except (RuntimeError, ValueError) as error:
        raise damaged(path, str(error).strip().splitlines()[0]) from None
    module.eval()
    return TorchScriptGraph(module, device)
