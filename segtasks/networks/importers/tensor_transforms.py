"""Transform converted tensors: order of bands, order of concatenations, epsilon of BatchNorm."""

from torch import Tensor, nn

from segtasks.networks.importers.conversion import Conversion, Weights
from segtasks.networks.importers.key_mapping import Concat, reorder
from segtasks.networks.registry import spec

COLOURS = 3
"""The order of bands is known for three bands only; other kernels are not changed."""


def transform_tensors(conversion: Conversion, module: nn.Module, weights: Weights) -> None:
    """Convert BGR to RGB, concatenations to native order, variances to native epsilon; in place."""
    inputs = conversion.key_mapping.inputs or spec(conversion.network).inputs
    for key in filter(weights.__contains__, conversion.band_kernels):
        if inputs.channels == "BGR" and weights[key].shape[1] == COLOURS:
            weights[key] = weights[key].flip(1)
    for concat in conversion.key_mapping.concats:
        weights[concat.key] = _rejoined(concat, weights)
    for name, layer in module.named_modules():
        key = f"{name}.running_var"
        if isinstance(layer, nn.BatchNorm2d) and key in weights:
            weights[key] = weights[key] + (conversion.key_mapping.batch_norm_eps - layer.eps)


def _rejoined(concat: Concat, weights: Weights) -> Tensor:
    """Return the kernel that reads a concatenation, with its input channels in native order."""
    sizes = {part: weights[part].shape[0] for part in concat.foreign}
    order = reorder(sizes, foreign=concat.foreign, native=concat.native)
    return weights[concat.key][:, list(order)]
