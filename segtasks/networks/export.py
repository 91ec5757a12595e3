"""Export a network as a graph for other programs: raw pixels in, probabilities out.

    raw -> (raw - mean) / std -> network -> softmax          any size, or one fixed size

The card is stored in the file, where `read_card` finds it; in ONNX also under the keys of Deepness.
"""

import logging
import warnings
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from segtasks.errors import ModelError
from segtasks.networks.analysis import forward_cost
from segtasks.networks.architectures.layers import fold_batch_norm
from segtasks.networks.card import METADATA_KEY, Card, Form, Graph
from segtasks.networks.graphs import deepness
from segtasks.networks.graphs.graph_card import HASH
from segtasks.networks.graphs.session import open_graph
from segtasks.networks.inference.graph_net import GraphNet
from segtasks.raster.stretch import MAX_8BIT

FORMS: dict[str, Form] = {".pt": "torchscript", ".ts": "torchscript", ".pt2": "exported"}
FORMS |= {".onnx": "onnx"}
_EXAMPLE = (2, 96, 160)
"""N, H, W: all different and none 1, so that torch.export specialises on none of them."""
_COMPARED = ((1, 1), (33, 47), (128, 80))
_TOLERANCE = 1e-3


class _FromRaw(nn.Module):
    """A network with normalisation before it and softmax behind it."""

    mean: Tensor
    std: Tensor

    def __init__(self, module: nn.Module, card: Card) -> None:
        super().__init__()
        self.module = module
        self.register_buffer("mean", torch.tensor(card.normalisation.mean)[:, None, None])
        self.register_buffer("std", torch.tensor(card.normalisation.std)[:, None, None])

    def forward(self, raw: Tensor) -> Tensor:
        """Raw pixels (N, C, H, W) of any dtype -> probabilities (N, K, H, W), float32."""
        logits: Tensor = self.module((raw.float() - self.mean) / self.std)
        return logits.softmax(dim=1)


def export(module: nn.Module, card: Card, path: str, *, patch_px: int | None = None) -> Card:
    """Write a graph atomically and return its card, which keeps the hash of the model file.

    Args:
        module: the network; it is not changed.
        card: the card of the network.
        path: local path that ends in .onnx, .pt2 (torch.export), .pt or .ts (TorchScript).
        patch_px: the only side that the graph takes, px; ``None`` for any side.

    Raises:
        ModelError: the suffix is unknown, the network cannot be exported to this format, or the
            output of the graph differs from that of the network.
    """
    form = FORMS.get(Path(path).suffix)
    if form is None:
        raise ModelError(f"{path}: ends in none of {', '.join(FORMS)}; rename it")
    ready = deepcopy(module).cpu().eval().requires_grad_(requires_grad=False)
    fold_batch_norm(ready)
    written = _card(ready, card, form, patch_px)
    raw = _FromRaw(ready, card).eval()
    unfinished = Path(f"{path}.part{Path(path).suffix}")
    try:
        _write(raw, written, str(unfinished))
        _require_same_output(raw, written, str(unfinished))
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
    return written


def _card(module: nn.Module, card: Card, form: Form, patch_px: int | None) -> Card:
    """Return the card of the graph, which takes raw pixels and the mean colour where no data is."""
    mean = card.normalisation.mean
    raw = {"mean": (0.0,) * len(mean), "std": (1.0,) * len(mean)}
    graph = Graph(
        form=form,
        gives="probabilities",
        patch_px=patch_px,
        multiple_px=1,
        least_px=1,
        one_by_one=patch_px is not None,
        fill=mean,
    )
    changed = {
        "normalisation": card.normalisation.model_copy(update=raw),
        "graph": graph,
        "forward_bytes_per_px": forward_cost.whole_forward_bytes_per_px(module, bands=len(mean)),
        "provenance": {**card.provenance, "exported_from_sha256": card.weights_sha256},
    }
    return card.model_copy(update=changed)


def _write(raw: nn.Module, card: Card, path: str) -> None:
    assert card.graph is not None
    writers: dict[Form, Callable[[nn.Module, Card, str], None]] = {
        "torchscript": _write_torchscript,
        "exported": _write_exported,
        "onnx": _write_onnx,
    }
    with (
        warnings.catch_warnings(),
        torch.enable_grad(),
    ):  # networks run in strips unless gradients are enabled
        warnings.simplefilter("ignore")
        writers[card.graph.form](raw, card, path)


def _metadata(card: Card) -> dict[str, str]:
    """Return the metadata of the file: its card, without the hash of the file."""
    return {METADATA_KEY: card.model_dump_json(exclude={HASH})}


def _write_torchscript(raw: nn.Module, card: Card, path: str) -> None:
    try:
        script = torch.jit.script(raw)
    except Exception as error:
        # The errors of the compiler have no common base class.
        raise _impossible(card, "TorchScript", ".pt2 or .onnx", error) from error
    torch.jit.save(script, path, _extra_files=_metadata(card))


def _write_exported(raw: nn.Module, card: Card, path: str) -> None:
    torch.export.save(_program(raw, card), path, extra_files=_metadata(card))


def _write_onnx(raw: nn.Module, card: Card, path: str) -> None:
    try:
        import onnxscript  # noqa: F401, PLC0415 - torch's exporter needs it, and onnx below it
    except ImportError:
        raise ModelError("writing ONNX needs onnxscript; pip install 'segtasks[export]'") from None
    program = _program(raw, card)
    # The exporter logs every optional library that is missing.
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    try:
        exported = torch.onnx.export(program, (), dynamo=True, verbose=False)
    except Exception as error:
        # The errors of the exporter have no common base class.
        raise _impossible(card, "ONNX", ".pt2 or .pt", error) from error
    assert exported is not None
    exported.model.metadata_props.update(_metadata(card) | deepness.metadata_of(card))
    exported.save(path, external_data=False)


def _program(raw: nn.Module, card: Card) -> ExportedProgram:
    """Trace the network with torch.export, for any size or for one."""
    assert card.graph is not None
    side, (count, height, width) = card.graph.patch_px, _EXAMPLE
    shape = (1, side, side) if side else (count, height, width)
    example = MAX_8BIT * torch.rand(shape[0], len(card.bands), *shape[1:])
    dynamic = ({0: Dim.DYNAMIC, 2: Dim.DYNAMIC, 3: Dim.DYNAMIC},)
    try:
        program = torch.export.export(
            raw,
            (example,),
            dynamic_shapes=None if side else dynamic,
            prefer_deferred_runtime_asserts_over_guards=True,
        )
    except Exception as error:
        # The errors of torch.export have no common base class.
        raise _impossible(card, "torch.export", ".pt", error) from error
    return _without_asserts(program)


def _without_asserts(program: ExportedProgram) -> ExportedProgram:
    """Remove asserts that exclude maps of a single unit; the operators are correct for them too."""
    for node in list(program.graph.nodes):
        if node.target is torch.ops.aten._assert_scalar.default:  # noqa: SLF001 no public name
            program.graph.erase_node(node)
    program.graph.eliminate_dead_code()
    program.graph_module.recompile()
    return program


def _impossible(card: Card, form: str, others: str, error: Exception) -> ModelError:
    """Return the error for a failed conversion, with its root cause: the other texts are advice."""
    cause: BaseException = error
    while cause.__cause__ is not None:
        cause = cause.__cause__
    reason = (str(cause).strip().splitlines() or [type(cause).__name__])[0]
    assert card.graph is not None
    traced_for_any = card.graph.form != "torchscript" and card.graph.patch_px is None
    return ModelError(
        f"{card.network} cannot be written as {form} ({reason:.120}); "
        f"{'give --patch-px, or ' if traced_for_any else ''}export it to {others}"
    )


def _require_same_output(raw: nn.Module, card: Card, path: str) -> None:
    """Run file and network on noise and compare the outputs; converters make mistakes."""
    assert card.graph is not None
    net = GraphNet(open_graph(path, card.graph.form, torch.device("cpu")), card.graph, 1)
    side = card.graph.patch_px
    for height, width in [(side, side)] if side else _COMPARED:
        generator = torch.Generator().manual_seed(0)
        x = (MAX_8BIT * torch.rand(1, len(card.bands), height, width, generator=generator)).round()
        with torch.inference_mode():
            expected: Any = raw(x)
        try:
            difference = float((net(x) - expected).abs().mean())
        except RuntimeError as error:
            raise _impossible(card, card.graph.form, "another form", error) from error
        if not difference <= _TOLERANCE:
            raise ModelError(
                f"{card.network} as {card.graph.form} gives another output: probabilities of "
                f"{height} x {width} px differ by {difference:.2g} on average; export it to "
                "another form"
            )
