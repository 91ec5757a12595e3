"""The network of a worker process: loaded once, by the hash of its weights, and kept."""

from dataclasses import dataclass
from functools import lru_cache

import torch

from segtasks.errors import ModelError
from segtasks.inference import Form, Precision
from segtasks.networks.fusion import fused
from segtasks.networks.model_file import load
from segtasks.networks.modes import Modes, declared
from segtasks.networks.runtime import Runtime, prepare


@dataclass(frozen=True, slots=True)
class How:
    """How a network is run: see `runtime.prepare`."""

    precision: Precision = "float32"
    form: Form = "packed"
    batch: int = 1


@lru_cache(maxsize=2)
def network(path: str, weights_sha256: str, how: How, modes: Modes = Modes()) -> Runtime:  # noqa: B008 frozen
    """The network of a local model file, ready on this process's device, with its modes.

    One thread per process on a CPU: two processes of one thread are as fast as one of two, and
    the thread count changes the last bits of a convolution.

    Raises:
        ModelError: when the file's weights are not those the job was planned with.
    """
    torch.set_num_threads(1)
    module, card = load(path)
    if card.weights_sha256 != weights_sha256:
        raise ModelError(
            f"{path}: weights {card.weights_sha256[:12]} are not those of the plan "
            f"({weights_sha256[:12]}); rerun, so that every worker uses one file"
        )
    device = "cuda" if torch.cuda.is_available() else "cpu"
    net = prepare(module, device=device, precision=how.precision, batch=how.batch, form=how.form)
    found = declared(card)
    return fused(net, modes, card.lattice_px, found.mirror_remainder_px if found else 0)
