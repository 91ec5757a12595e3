"""Name the numbered blobs of Caffe: kernels and biases, or the numbers of a normalisation layer.

| layer | blobs |
|---|---|
| Convolution, InnerProduct, Scale | weight, bias |
| BatchNorm | sum of means, sum of variances, factor that both are divided by |
| BN (hszhao/PSPNet) | slope, bias, mean, variance |
| BN (caffe-segnet) | scale, shift; the statistics are folded into them |
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from segtasks.errors import ModelError

if TYPE_CHECKING:
    from torch import Tensor

_NAMES: Mapping[int, tuple[str, ...]] = {
    1: ("weight",),
    2: ("weight", "bias"),
    3: ("running_mean", "running_var", "factor"),
    4: ("weight", "bias", "running_mean", "running_var"),
}


def named(blobs: Mapping[str, "Tensor"]) -> dict[str, "Tensor"]:
    """Rename ``conv1_1.0`` to ``conv1_1.weight`` and so on; divide the sums of BatchNorm layers.

    Raises:
        ModelError: a key has no number, or a layer has an unknown number of blobs.
    """
    tensors: dict[str, Tensor] = {}
    for layer, found in _layers(blobs).items():
        if len(found) not in _NAMES:
            raise ModelError(
                f"layer {layer!r} has {len(found)} blobs; only layers of 1 to 4 blobs are known"
            )
        numbers = dict(zip(_NAMES[len(found)], found, strict=True))
        factor = numbers.pop("factor", None)
        for name, blob in numbers.items():
            tensors[f"{layer}.{name}"] = blob if factor is None else _scaled(blob, factor)
    return tensors


def segnet(blobs: Mapping[str, "Tensor"]) -> dict[str, "Tensor"]:
    """Rename as `named`; y = scale * x + shift becomes BatchNorm of mean 0 and variance 1."""
    tensors = named(blobs)
    for key in [key for key in tensors if key.endswith("_bn.weight")]:
        scale, layer = tensors[key], key.removesuffix(".weight")
        tensors[f"{layer}.running_mean"] = scale * 0
        tensors[f"{layer}.running_var"] = scale * 0 + 1
    return tensors


def _layers(blobs: Mapping[str, "Tensor"]) -> dict[str, list["Tensor"]]:
    """Return the blobs of each layer, in order."""
    layers: dict[str, dict[int, Tensor]] = {}
    for key, blob in blobs.items():
        layer, _, index = key.rpartition(".")
        if not index.isdecimal():
            raise ModelError(
                f"key {key!r} is not a blob of a Caffe layer, such as conv1_1.0; "
                "give another layout"
            )
        layers.setdefault(layer, {})[int(index)] = blob
    return {layer: [found[i] for i in sorted(found)] for layer, found in layers.items()}


def _scaled(blob: "Tensor", factor: "Tensor") -> "Tensor":
    """Divide a sum of Caffe by its factor; a factor of 0 means an empty sum."""
    divisor = factor.reshape(()).item()
    return blob / divisor if divisor else blob * 0
