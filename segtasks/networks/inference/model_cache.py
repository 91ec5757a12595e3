"""The network of a worker process: loaded once, by the hash of its weights, and kept."""

from dataclasses import dataclass
from functools import lru_cache

import torch

from segtasks.config.inference import Form, Precision
from segtasks.errors import ModelError
from segtasks.networks.card import Graph
from segtasks.networks.graphs.graph_card import file_sha256
from segtasks.networks.graphs.session import open_graph
from segtasks.networks.inference.graph_net import GraphNet
from segtasks.networks.inference.runtime import Net, Runtime, prepare
from segtasks.networks.inference.tta import TestTimeAugmentation, declared
from segtasks.networks.inference.tta_network import with_tta
from segtasks.networks.model_file import load


@dataclass(frozen=True, slots=True)
class RunOptions:
    """How a network is run: see `runtime.prepare`."""

    precision: Precision = "float32"
    form: Form = "packed"
    batch: int = 1


@lru_cache(maxsize=2)
def network(
    path: str,
    weights_sha256: str,
    how: RunOptions,
    modes: TestTimeAugmentation = TestTimeAugmentation(),  # noqa: B008 - frozen
) -> Runtime:
    """The network of a local model file, ready on this process's device, with its modes.

    One thread per process on a CPU: two processes of one thread are as fast as one of two, and
    the thread count changes the last bits of a convolution.

    Raises:
        ModelError: when the file's weights are not those the job was planned with.
    """
    torch.set_num_threads(1)
    module, card = load(path)
    _require_same(path, card.weights_sha256, weights_sha256)
    net = prepare(module, device=_device(), precision=how.precision, batch=how.batch, form=how.form)
    found = declared(card)
    return with_tta(net, modes, card.lattice_px, found.mirror_remainder_px if found else 0)


@lru_cache(maxsize=2)
def graph_net(path: str, sha256: str, graph: Graph, batch: int) -> Net:
    """A foreign graph, ready on this process's device.

    Raises:
        ModelError: when the file is not the one the job was planned with.
    """
    torch.set_num_threads(1)
    _require_same(path, file_sha256(path), sha256)
    opened = open_graph(path, graph.form, torch.device(_device()))
    return GraphNet(opened, graph, 1 if graph.one_by_one else batch)


def _device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"


def _require_same(path: str, found: str, planned: str) -> None:
    if found != planned:
        raise ModelError(
            f"{path}: weights {found[:12]} are not those of the plan ({planned[:12]}); rerun, so "
            "that every worker uses one file"
        )
