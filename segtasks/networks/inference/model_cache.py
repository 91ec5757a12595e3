"""Cache the network of a worker process, by the hash of its weights."""

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
from segtasks.networks.inference.tta import TestTimeAugmentation, spec_of
from segtasks.networks.inference.tta_network import with_tta
from segtasks.networks.model_file import load


@dataclass(frozen=True, slots=True)
class RunOptions:
    """Options of a network at run time; see `runtime.prepare`."""

    precision: Precision = "float32"
    form: Form = "packed"
    batch: int = 1


@lru_cache(maxsize=2)
def network(
    path: str,
    weights_sha256: str,
    options: RunOptions,
    modes: TestTimeAugmentation = TestTimeAugmentation(),  # noqa: B008 - frozen
) -> Runtime:
    """Return the network of a local model file on this process's device, with its TTA.

    On a CPU each process uses one thread: two processes of one thread are as fast as one process
    of two, and the thread count changes the last bits of a convolution.

    Raises:
        ModelError: the weights in the file are not those that the job was planned with.
    """
    torch.set_num_threads(1)
    module, card = load(path)
    _require_same(path, card.weights_sha256, weights_sha256)
    net = prepare(
        module,
        device=_device(),
        precision=options.precision,
        batch=options.batch,
        form=options.form,
    )
    network_spec = spec_of(card)
    remainder = network_spec.mirror_remainder_px if network_spec else 0
    return with_tta(net, modes, card.lattice_px, remainder)


@lru_cache(maxsize=2)
def graph_net(path: str, sha256: str, graph: Graph, batch: int) -> Net:
    """Return a local foreign graph on this process's device.

    Raises:
        ModelError: the file is not the one that the job was planned with.
    """
    torch.set_num_threads(1)
    _require_same(path, file_sha256(path), sha256)
    session = open_graph(path, graph.form, torch.device(_device()))
    return GraphNet(session, graph, 1 if graph.one_by_one else batch)


def _device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"


def _require_same(path: str, found: str, planned: str) -> None:
    if found != planned:
        raise ModelError(
            f"{path}: weights {found[:12]} are not those of the plan ({planned[:12]}); run the job "
            "again, so that every worker uses the same file"
        )
