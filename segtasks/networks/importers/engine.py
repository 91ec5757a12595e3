"""Give a network of ours the tensors of somebody else's, or say in one line why that cannot be.

checkpoint -> unwrap -> prepare -> names -> counts -> shapes -> bands, joins, eps -> complete
refused by name    refused by name
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from segtasks.errors import ModelError
from segtasks.networks.entry import Option
from segtasks.networks.importers.layouts import backbone_of, spelling_of
from segtasks.networks.importers.spelling import Concat, Spelling, reorder
from segtasks.networks.importers.wrapping import unwrapped
from segtasks.networks.registry import build, entry
from segtasks.networks.weights import listed, shapes_of, skeleton

_NARROW = 1 / 64
"""Frozen kernels do not depend on channel counts."""
_COLOURS = 3
"""Only of three bands the order is known: BGR is reversed, anything else is left alone."""

_MATRIX, _KERNEL = 2, 4
"""Axes of a fully connected layer's weight and of a convolution's."""
_MEND = "is it a checkpoint of this layout and network?"

Weights = dict[str, Tensor]


@dataclass(frozen=True)
class Backbone:
    """What a classifier gives to a network.

    Attributes:
        weights: by our keys; the rest of the network keeps what it has.
        left_over: the classifier's keys that nothing was made of.
    """

    weights: Weights
    left_over: tuple[str, ...]


@dataclass(frozen=True)
class _Case:
    """One conversion.

    Attributes:
        where: how messages begin.
        theirs: their tensors by their keys, prepared.
    """

    where: str
    network: str
    width: float
    variant: Mapping[str, Option]
    spelling: Spelling
    theirs: Mapping[str, Tensor]

    def ours(self, *, classes: int, bands: int) -> nn.Module:
        """Our network without memory for its weights."""
        return skeleton(
            self.network, classes=classes, bands=bands, width=self.width, variant=self.variant
        )

    def offers(self, key: str) -> bool:
        """Whether they have a tensor for our key."""
        return self.spelling.theirs(key) in self.theirs

    def tensor(self, key: str) -> Tensor:
        """Their tensor for our key."""
        return self.theirs[self.spelling.theirs(key)]


def convert(
    state_dict: Mapping[str, Any],
    layout: str,
    network: str,
    width: float,
    variant: Mapping[str, Option],
) -> Weights:
    """See `segtasks.networks.importers.convert`."""
    spelling = spelling_of(layout, network)
    options = {**spelling.variant, **variant}
    case = _case(state_dict, f"{layout} {network}", network, width, options, spelling)
    probe = case.ours(classes=2, bands=2)
    frozen = {key for key, value in probe.named_parameters() if not value.requires_grad}
    _check_names(case, set(shapes_of(probe)), frozen)
    classes, bands = _count(case, "classes", axis=0), _count(case, "bands", axis=1)
    module = case.ours(classes=classes, bands=bands)
    weights = _shaped(case, shapes_of(module))
    _translate(case, module, weights)
    lacking = frozen - weights.keys()
    weights |= _kernels(case, lacking, classes=classes, bands=bands)
    return _in_order(module, weights)


def convert_backbone(
    state_dict: Mapping[str, Any],
    layout: str,
    network: str,
    width: float,
    variant: Mapping[str, Option],
) -> Backbone:
    """See `segtasks.networks.importers.convert_backbone`."""
    spelling = backbone_of(layout, network)
    case = _case(state_dict, f"{layout} for {network}", network, width, variant, spelling)
    module = case.ours(classes=2, bands=_count(case, "bands", axis=1))
    shapes = {
        key: shape
        for key, shape in shapes_of(module).items()
        if re.match(spelling.backbone or "", key)
    }
    _check_missing(case, set(shapes))
    weights = _shaped(case, shapes)
    _translate(case, module, weights)
    used = {spelling.theirs(key) for key in shapes}
    return Backbone(weights, tuple(sorted(case.theirs.keys() - used)))


def _case(
    state_dict: Mapping[str, Any],
    where: str,
    network: str,
    width: float,
    variant: Mapping[str, Option],
    spelling: Spelling,
) -> _Case:
    """Their tensors, brought into torch's shapes, and all that is known of them."""
    theirs: Mapping[str, Tensor] = unwrapped(where, state_dict)
    if spelling.prepare:
        theirs = spelling.prepare(theirs)
    return _Case(where, network, width, variant, spelling, theirs)


def _check_names(case: _Case, keys: set[str], frozen: set[str]) -> None:
    """Every key of ours has one of theirs, unless it is frozen, and none of theirs is left over."""
    _check_missing(case, keys - frozen)
    used = {case.spelling.theirs(key) for key in keys}
    extra = [k for k in case.theirs if k not in used and not case.spelling.ignores(k)]
    if extra:
        raise ModelError(f"{case.where}: {listed(sorted(extra))} left over; {_MEND}")


def _check_missing(case: _Case, keys: set[str]) -> None:
    """They have a tensor for each of our keys."""
    if missing := sorted(case.spelling.theirs(key) for key in keys if not case.offers(key)):
        raise ModelError(f"{case.where}: {listed(missing)} missing; {_MEND}")


def _count(case: _Case, what: str, *, axis: int) -> int:
    """Their number of classes or bands, read off the first tensor that has it."""
    key = next(key for key in _following(case, what, axis) if case.offers(key))
    return case.tensor(key).shape[axis]


def _following(case: _Case, what: str, axis: int) -> list[str]:
    """Our kernels with as many channels along ``axis`` as there are classes (or bands)."""
    two, three = (
        shapes_of(case.ours(**{"classes": 2, "bands": 2, what: count})) for count in (2, 3)
    )
    kernels = [key for key, shape in two.items() if len(shape) == _KERNEL]
    return [key for key in kernels if (two[key][axis], three[key][axis]) == (2, 3)]


def _shaped(case: _Case, shapes: Mapping[str, tuple[int, ...]]) -> Weights:
    """Their tensors by our keys, in our shapes; those they lack (frozen ones) are left out."""
    weights = {}
    for key, shape in shapes.items():
        if not case.offers(key):
            continue
        tensor = case.tensor(key)
        if not _fits(tensor.shape, shape):
            raise ModelError(
                f"{case.where}: key {case.spelling.theirs(key)!r} is {tuple(tensor.shape)}, the "
                f"network needs {shape}; are network, width {case.width:g} and options right?"
            )
        weights[key] = tensor.reshape(shape)
    return weights


def _fits(theirs: Sequence[int], ours: Sequence[int]) -> bool:
    """The same but for axes of length 1, or a matrix that is a kernel over the whole map.

    VGG16's fc6 is (4096, 25088) where the network is fully convolutional: (4096, 512, 7, 7).
    """
    if len(theirs) == _MATRIX and len(ours) == _KERNEL:
        return theirs[0] == ours[0] and theirs[1] == math.prod(ours[1:])
    return [n for n in theirs if n > 1] == [n for n in ours if n > 1]


def _translate(case: _Case, module: nn.Module, weights: Weights) -> None:
    """Bands to RGB, joined maps into our order, variances to our epsilon; in place."""
    inputs = case.spelling.inputs or entry(case.network).inputs
    for key in _following(case, "bands", axis=1):
        if inputs.channels == "BGR" and weights[key].shape[1] == _COLOURS:
            weights[key] = weights[key].flip(1)
    for concat in case.spelling.concats:
        weights[concat.key] = _rejoined(concat, weights)
    for name, layer in module.named_modules():
        if isinstance(layer, nn.BatchNorm2d) and layer.eps != case.spelling.batch_norm_eps:
            weights[f"{name}.running_var"] = (
                weights[f"{name}.running_var"] + case.spelling.batch_norm_eps - layer.eps
            )


def _rejoined(concat: Concat, weights: Weights) -> Tensor:
    """The kernel that reads a joined map, its input channels in our order."""
    sizes = {part: weights[part].shape[0] for part in concat.theirs}
    order = reorder(sizes, theirs=concat.theirs, ours=concat.ours)
    return weights[concat.key][:, list(order)]


def _kernels(case: _Case, keys: set[str], *, classes: int, bands: int) -> Weights:
    """Frozen kernels as the network makes them; they do not depend on channel counts."""
    if not keys:
        return {}
    small = build(case.network, classes=classes, bands=bands, width=_NARROW, **case.variant)
    return {key: small.get_parameter(key).detach() for key in keys}


def _in_order(module: nn.Module, weights: Weights) -> Weights:
    """As the network lists them, with training's counters at zero."""
    return {
        key: weights[key].contiguous() if key in weights else torch.zeros((), dtype=value.dtype)
        for key, value in module.state_dict().items()
    }
