"""Networks for the scripts beside this one: narrow ones, whose form alone counts, and variants."""

from copy import deepcopy

import torch
from torch import Tensor, nn

from segtasks.networks import build, spec
from segtasks.networks.analysis.receptive_field import ReceptiveField, receptive_field
from segtasks.networks.architectures.doubling import Doubling

NARROWEST = 1 / 1024


def field_of(name: str) -> ReceptiveField | None:
    """The field in theory; none of networks that see the whole image."""
    probe = build(name, classes=1, bands=1, width=NARROWEST)
    return receptive_field(probe, bands=1, lattice_px=spec(name).lattice_px)


def untrained(name: str, x: Tensor, *, classes: int, width: float) -> nn.Module:
    """A network of random weights; the statistics of its BatchNorms are those of ``x``."""
    torch.manual_seed(0)
    return with_statistics(build(name, classes=classes, width=width), x)


def with_statistics(network: nn.Module, x: Tensor) -> nn.Module:
    """The network in eval mode, its BatchNorms set on ``x`` (N, C, H, W)."""
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = 1.0
    with torch.no_grad():
        network.train()(x)
    return network.eval()


def doublings(network: nn.Module) -> dict[str, nn.Module]:
    """A RefineNet with each of the ways to double a map before it is added to a finer one."""
    forms = {method: deepcopy(network) for method in ("bicubic", "bilinear", "align_corners")}
    for method, form in forms.items():
        for layer in form.modules():
            if isinstance(layer, Doubling):
                layer.method = method
    return forms
