"""The network of a worker process: loaded once, by the hash of its weights, and kept."""

from functools import lru_cache

import torch

from segtasks.errors import ModelError
from segtasks.networks.card import Graph
from segtasks.networks.graphs.engine import open_graph
from segtasks.networks.graphs.graph_card import file_sha256
from segtasks.networks.graphs.net import GraphNet
from segtasks.networks.model_file import load
from segtasks.networks.runtime import Net, prepare


@lru_cache(maxsize=2)
def network(path: str, weights_sha256: str, batch: int, graph: Graph | None = None) -> Net:
    """The network of a local model file, or a graph, ready on this process's device.

    One thread per process on a CPU: two processes of one thread are as fast as one of two, and
    the thread count changes the last bits of a convolution.

    Raises:
        ModelError: when the file's weights are not those the job was planned with.
    """
    torch.set_num_threads(1)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if graph is not None:
        _require_same(path, file_sha256(path), weights_sha256)
        opened = open_graph(path, graph.form, torch.device(device))
        return GraphNet(opened, graph, 1 if graph.one_by_one else batch)
    module, card = load(path)
    _require_same(path, card.weights_sha256, weights_sha256)
    return prepare(module, device=device, batch=batch)


def _require_same(path: str, found: str, planned: str) -> None:
    if found != planned:
        raise ModelError(
            f"{path}: weights {found[:12]} are not those of the plan ({planned[:12]}); rerun, so "
            "that every worker uses one file"
        )
