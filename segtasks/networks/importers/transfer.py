"""Whatever of somebody's weights fits a network of ours, by key and shape: to begin training from.

    model file of ours ── keys as they are ─────────────┐
    VGG16, ResNet of torchvision or Caffe ── renames ───┼─▶ equal shapes ─▶ taken
                                                        └─▶ first convolution, other bands ─▶ spread

`convert_backbone` asks for a whole backbone and refuses anything else; this takes what there is, so
a ResNet fills PSPNet's trunk but for its stem, and VGG16 the encoder of SegNet.
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
from segtasks.networks.importers.tensor_transforms import COLOURS, translate
from segtasks.networks.importers.unwrap import unwrap
from segtasks.networks.network_spec import InputConvention, Option
from segtasks.networks.registry import spec
from segtasks.networks.weights import shapes_of

_BACKBONES = ("fcn8s_lean", "segnet", "refinenet50", "refinenet101", "refinenet152")
"""One network for each way in which the layouts spell a backbone."""
_OWN = KeyMapping(inputs=InputConvention("RGB", 1.0, (0.0,), (1.0,)))
_IMAGENET_STD = (58.395, 57.12, 57.375)
"""Of red, green, blue in 0 ... 255."""


@dataclass(frozen=True)
class Transfer:
    """What was found.

    Attributes:
        weights: by our keys, in our shapes.
        left_over: their keys that nothing was made of.
        new: our keys that they do not fill.
        spread: our kernels that were made for another number of bands, and that number.
    """

    weights: Weights
    left_over: tuple[str, ...]
    new: tuple[str, ...]
    spread: Mapping[str, int]

    @property
    def parameters(self) -> int:
        """Numbers taken."""
        return sum(tensor.numel() for tensor in self.weights.values())


def transfer(
    theirs: Mapping[str, Tensor],
    where: str,
    *,
    network: str,
    width: float,
    variant: Mapping[str, Option],
    classes: int,
    bands: int,
) -> Transfer:
    """The part of ``theirs`` that fits, under the spelling that makes most of it fit.

    Frozen kernels are left to the network. Kernels on the image for another number of bands are
    spread, see `spread_bands`. Caffe's, which saw raw - mean, are multiplied by ImageNet's standard
    deviations: like the others they then expect normalised bands.

    Raises:
        ModelError: there are no tensors, one is not finite, or nothing fits.
    """
    tensors = unwrap(where, theirs)
    cases = [
        Conversion(where, network, width, variant, spelling, prepared)
        for spelling, prepared in _readings(tensors)
    ]
    module = cases[0].ours(classes=classes, bands=bands)
    found = max((_matched(case, module) for case in cases), key=lambda part: part.parameters)
    if not found.weights:
        key = next(iter(tensors))
        raise ModelError(
            f"{where}: none of its {len(tensors)} tensors fits {network} of width {width:g} (the "
            f"first is {key!r}, {tuple(tensors[key].shape)}); give another network or width"
        )
    return found


def spread_bands(kernel: Tensor, bands: int) -> Tensor:
    """A kernel (D, C, k, k) for another number of bands, (D, bands, k, k).

    The filters of the bands both have are kept, in order (of three bands red, green, blue); each
    further band gets the mean of all filters, and so does every band of one or two, whose order
    says nothing. All are multiplied by C / bands, so that activations keep their size.
    """
    count = kernel.shape[1]
    kept = min(count, bands) if bands >= COLOURS else 0
    mean = kernel.mean(1, keepdim=True).expand(-1, bands - kept, -1, -1)
    return torch.cat([kernel[:, :kept], mean], dim=1) * (count / bands)


def _readings(tensors: Mapping[str, Tensor]) -> Iterator[tuple[KeyMapping, Mapping[str, Tensor]]]:
    """The ways in which the tensors may be spelt."""
    yield _OWN, tensors
    for layout in ("torchvision", "caffe"):
        for network in _BACKBONES:
            spelling = backbone_of(layout, network)
            try:
                yield spelling, spelling.prepare(tensors) if spelling.prepare else tensors
            except ModelError:  # its keys are not Caffe's blobs
                continue


def _matched(case: Conversion, module: nn.Module) -> Transfer:
    shapes = shapes_of(module)
    taken = {key: case.tensor(key) for key in filter(case.offers, shapes)}
    spread = {
        key: taken[key].shape[1]
        for key in filter(taken.__contains__, case.firsts)
        if _other_bands(tuple(taken[key].shape), shapes[key])
    }
    fitting = spread.keys() | {key for key in taken if fits(taken[key].shape, shapes[key])}
    weights = {key: tensor for key, tensor in taken.items() if key in fitting - case.frozen}
    _translate(case, module, weights)
    for key in spread:
        weights[key] = spread_bands(weights[key], shapes[key][1])
    weights = {key: tensor.reshape(shapes[key]) for key, tensor in weights.items()}
    used = {case.key_mapping.theirs(key) for key in weights}
    new = tuple(key for key in shapes if key not in weights and key not in case.frozen)
    return Transfer(weights, tuple(sorted(case.theirs.keys() - used)), new, spread)


def _other_bands(theirs: tuple[int, ...], ours: tuple[int, ...]) -> bool:
    return len(theirs) == len(ours) and theirs[1] != ours[1] and _without(theirs) == _without(ours)


def _without(shape: tuple[int, ...]) -> tuple[int, ...]:
    return shape[:1] + shape[2:]


def _translate(case: Conversion, module: nn.Module, weights: Weights) -> None:
    """As the importers; kernels that saw raw - mean to normalised bands."""
    translate(case, module, weights)
    inputs = case.key_mapping.inputs or spec(case.network).inputs
    for key in filter(weights.__contains__, case.firsts):
        if inputs.std == (1.0,) * COLOURS and weights[key].shape[1] == COLOURS:
            weights[key] = weights[key] * torch.tensor(_IMAGENET_STD)[:, None, None]
