"""Transfer all weights that fit a network by key and shape, to initialise training.

    model file of segtasks ── same keys ────────────────┐
    VGG16, ResNet of torchvision or Caffe ── renames ───┼─▶ equal shapes ─▶ copied
                                                        └─▶ first convolution, other bands ─▶ spread

`convert_backbone` needs a complete backbone; this takes any part that fits. A ResNet fills the
trunk of PSPNet except its stem, and VGG16 fills the encoder of SegNet.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from segtasks.errors import ModelError
from segtasks.networks.importers.conversion import Conversion, Weights
from segtasks.networks.importers.key_mapping import KeyMapping
from segtasks.networks.importers.layouts import backbone_of
from segtasks.networks.importers.matching import fits
from segtasks.networks.importers.tensor_transforms import COLOURS, transform_tensors
from segtasks.networks.importers.unwrap import unwrap
from segtasks.networks.network_spec import InputConvention, Option
from segtasks.networks.registry import spec
from segtasks.networks.weights import shapes_of

_BACKBONES = ("fcn8s_lean", "segnet", "refinenet50", "refinenet101", "refinenet152")
"""One network for each key mapping of a backbone in the layouts."""
_NATIVE = KeyMapping(inputs=InputConvention("RGB", 1.0, (0.0,), (1.0,)))
_IMAGENET_STD = (58.395, 57.12, 57.375)
"""Standard deviations of red, green, blue in 0 ... 255."""


@dataclass(frozen=True)
class Transfer:
    """The weights that fit.

    Attributes:
        weights: tensors by native keys, in native shapes.
        left_over: foreign keys that were not used.
        new: native keys that got no tensor.
        spread: native keys of kernels made for another number of bands, and that number.
    """

    weights: Weights
    left_over: tuple[str, ...]
    new: tuple[str, ...]
    spread: Mapping[str, int]

    @property
    def parameters(self) -> int:
        """Number of parameters that were copied."""
        return sum(tensor.numel() for tensor in self.weights.values())


def transfer(
    state_dict: Mapping[str, Tensor],
    where: str,
    *,
    network: str,
    width: float,
    variant: Mapping[str, Option],
    classes: int,
    bands: int,
) -> Transfer:
    """Return the tensors that fit, with the key mapping under which most parameters fit.

    Frozen kernels are not transferred. Input kernels for another number of bands are spread, see
    `spread_bands`. Input kernels of Caffe, whose input was raw - mean, are multiplied by the
    standard deviations of ImageNet, so that they expect normalised bands like the others.

    Args:
        state_dict: the checkpoint as loaded.
        where: path of the checkpoint, the start of error messages.
        network: name of the network in the registry.
        width: multiplier of its channel counts.
        variant: its options.
        classes: its number of classes.
        bands: its number of bands.

    Raises:
        ModelError: there are no tensors, a tensor is not finite, or no tensor fits.
    """
    tensors = unwrap(where, state_dict)
    conversions = [
        Conversion(where, network, width, variant, key_mapping, prepared)
        for key_mapping, prepared in _possible_mappings(tensors)
    ]
    module = conversions[0].native_network(classes=classes, bands=bands)
    found = max(
        (_matched(conversion, module) for conversion in conversions),
        key=lambda part: part.parameters,
    )
    if not found.weights:
        key = next(iter(tensors))
        raise ModelError(
            f"{where}: none of its {len(tensors)} tensors fits {network} of width {width:g} (the "
            f"first is {key!r}, {tuple(tensors[key].shape)}); give another network or width"
        )
    return found


def spread_bands(kernel: Tensor, bands: int) -> Tensor:
    """Adapt a kernel (D, C, k, k) to another number of bands: (D, bands, k, k).

    With three bands or more, the first bands keep their filters (red, green, blue) and each further
    band gets the mean of all filters. With one or two bands, whose meaning is unknown, every band
    gets the mean. All filters are multiplied by C / bands, so that activations keep their scale.
    """
    count = kernel.shape[1]
    kept = min(count, bands) if bands >= COLOURS else 0
    mean = kernel.mean(1, keepdim=True).expand(-1, bands - kept, -1, -1)
    return torch.cat([kernel[:, :kept], mean], dim=1) * (count / bands)


def _possible_mappings(
    tensors: Mapping[str, Tensor],
) -> Iterator[tuple[KeyMapping, Mapping[str, Tensor]]]:
    """Yield the key mappings that may apply, with the tensors prepared for each."""
    yield _NATIVE, tensors
    for layout in ("torchvision", "caffe"):
        for network in _BACKBONES:
            key_mapping = backbone_of(layout, network)
            try:
                yield key_mapping, key_mapping.prepare(tensors) if key_mapping.prepare else tensors
            except ModelError:  # its keys are not Caffe's blobs
                continue


def _matched(conversion: Conversion, module: nn.Module) -> Transfer:
    """Return the tensors that fit under one key mapping."""
    shapes = shapes_of(module)
    taken = {key: conversion.tensor(key) for key in filter(conversion.has, shapes)}
    spread = {
        key: taken[key].shape[1]
        for key in filter(taken.__contains__, conversion.band_kernels)
        if _differs_in_bands(tuple(taken[key].shape), shapes[key])
    }
    fitting = spread.keys() | {key for key in taken if fits(taken[key].shape, shapes[key])}
    weights = {
        key: tensor for key, tensor in taken.items() if key in fitting - conversion.frozen_kernels
    }
    _transform_tensors(conversion, module, weights)
    for key in spread:
        weights[key] = spread_bands(weights[key], shapes[key][1])
    weights = {key: tensor.reshape(shapes[key]) for key, tensor in weights.items()}
    used = {conversion.key_mapping.foreign_key(key) for key in weights}
    new = tuple(
        key for key in shapes if key not in weights and key not in conversion.frozen_kernels
    )
    return Transfer(weights, tuple(sorted(conversion.foreign.keys() - used)), new, spread)


def _differs_in_bands(foreign: tuple[int, ...], native: tuple[int, ...]) -> bool:
    """Whether the number of bands, axis 1, is all that differs."""
    return (
        len(foreign) == len(native)
        and foreign != native
        and (foreign[0], *foreign[2:]) == (native[0], *native[2:])
    )


def _transform_tensors(conversion: Conversion, module: nn.Module, weights: Weights) -> None:
    """Transform the tensors, and adapt input kernels for raw - mean to normalised bands."""
    transform_tensors(conversion, module, weights)
    inputs = conversion.key_mapping.inputs or spec(conversion.network).inputs
    for key in filter(weights.__contains__, conversion.band_kernels):
        if inputs.std == (1.0,) * COLOURS and weights[key].shape[1] == COLOURS:
            weights[key] = weights[key] * torch.tensor(_IMAGENET_STD)[:, None, None]
