"""What shapes do not show: the order of bands, of joined maps, and what BatchNorm adds."""

from torch import Tensor, nn

from segtasks.networks.importers.conversion import Conversion, Weights
from segtasks.networks.importers.key_mapping import Concat, reorder
from segtasks.networks.registry import spec

COLOURS = 3
"""Only of three bands the order is known: BGR is reversed, anything else is left alone."""


def translate(case: Conversion, module: nn.Module, weights: Weights) -> None:
    """Bands to RGB, joined maps into our order, variances to our epsilon; in place."""
    inputs = case.key_mapping.inputs or spec(case.network).inputs
    for key in filter(weights.__contains__, case.firsts):
        if inputs.channels == "BGR" and weights[key].shape[1] == COLOURS:
            weights[key] = weights[key].flip(1)
    for concat in case.key_mapping.concats:
        weights[concat.key] = _rejoined(concat, weights)
    for name, layer in module.named_modules():
        key = f"{name}.running_var"
        if isinstance(layer, nn.BatchNorm2d) and key in weights:
            weights[key] = weights[key] + (case.key_mapping.batch_norm_eps - layer.eps)


def _rejoined(concat: Concat, weights: Weights) -> Tensor:
    """The kernel that reads a joined map, its input channels in our order."""
    sizes = {part: weights[part].shape[0] for part in concat.theirs}
    order = reorder(sizes, theirs=concat.theirs, ours=concat.ours)
    return weights[concat.key][:, list(order)]
