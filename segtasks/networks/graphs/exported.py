"""Run a graph that is a torch.export program."""

from dataclasses import dataclass
from io import BytesIO
from pathlib import PurePosixPath
from pickle import UnpicklingError
from typing import Any
from zipfile import ZipFile

import torch
from torch import Tensor, fx

from segtasks.errors import ModelError
from segtasks.networks.graphs.file_format import damaged
from segtasks.networks.graphs.first_output import first_output
from segtasks.networks.graphs.safe_archive import require_plain

_AXES = 4


@dataclass
class ExportedGraph:
    """A torch.export program in memory; see `session.GraphSession`.

    Attributes:
        module: the program as a module.
        dtype: dtype of the input.
    """

    module: fx.GraphModule
    dtype: torch.dtype
    device: torch.device
    shape: tuple[int | None, int | None, int | None, int | None]
    has_gradients: bool = True

    def __call__(self, x: Tensor) -> Tensor:
        """Run the program: (N, C, H, W) -> its first output."""
        try:
            return first_output(self.module(x.to(self.device, self.dtype)))
        except AssertionError as error:
            raise RuntimeError(str(error)) from error


def open_exported(path: str, device: torch.device) -> ExportedGraph:
    """Open a local torch.export program.

    Raises:
        ModelError: the file cannot be read, holds more than a graph of torch's own operators, or
            does not take a single tensor (N, C, H, W).
    """
    require_plain(path)
    _require_plain_samples(path)
    try:
        program = torch.export.load(path)
    except Exception as error:  # noqa: BLE001 a damaged archive raises errors of many classes
        raise damaged(path, error) from None
    if device.type != "cpu":
        from torch.export.passes import move_to_device_pass  # noqa: PLC0415 - GPUs only

        program = move_to_device_pass(program, device)
    shape, dtype = _input(path, program)
    return ExportedGraph(program.module(), dtype, device, shape)


def _require_plain_samples(path: str) -> None:
    """Refuse sample inputs that are more than tensors; torch would unpickle any object there."""
    with ZipFile(path) as archive:
        for name in archive.namelist():
            if PurePosixPath(name).parent.name == "sample_inputs":
                try:
                    torch.load(BytesIO(archive.read(name)), weights_only=True)
                except (UnpicklingError, RuntimeError, EOFError) as error:
                    raise damaged(path, error) from None


def _input(
    path: str, program: torch.export.ExportedProgram
) -> tuple[tuple[int | None, int | None, int | None, int | None], torch.dtype]:
    """Return the shape that the program states for its input, and the dtype."""
    names = program.graph_signature.user_inputs
    values = [node.meta.get("val") for node in program.graph.nodes if node.name in names]
    if len(values) != 1 or not isinstance(values[0], Tensor) or values[0].ndim != _AXES:
        shown = ", ".join(str(tuple(getattr(value, "shape", ()))) for value in values)
        raise ModelError(f"{path}: takes {shown}; it must take one tensor (N, bands, H, W)")
    # Dynamic sizes are symbols, although torch's stubs declare int.
    sizes: list[Any] = [size if type(size) is int else None for size in values[0].shape]
    batch, bands, height, width = sizes
    return (batch, bands, height, width), values[0].dtype
