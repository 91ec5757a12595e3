"""The entry of a network in the registry: what its state dict does not contain. Needs no torch."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Option = bool | int | float | str


@dataclass(frozen=True)
class InputConvention:
    """The input of the published weights; models of segtasks use the `Normalisation` of a card."""

    channels: Literal["RGB", "BGR"]
    range_max: float
    """raw values lie in 0 ... range_max before the mean is subtracted"""
    mean: tuple[float, ...]
    """in the order of ``channels``"""
    std: tuple[float, ...]


@dataclass(frozen=True)
class Recipe:
    """The training of the paper: SGD with momentum."""

    learning_rate: float
    policy: Literal["fixed", "step", "poly"]
    momentum: float
    weight_decay: float
    crop_px: int | None
    """None: whole images"""
    batch: int
    iterations: int | None
    """None: not stated"""
    source: str
    head_factor: float = 1.0
    """learning rate of the new layers, in multiples of ``learning_rate``"""
    auxiliary_weight: float = 0.0
    """weight of the auxiliary head's loss, where the network has one"""
    bias_factor: float = 1.0
    """learning rate of biases, in multiples of their layer's"""
    loss_scales: tuple[float, ...] = (1.0,)
    """scales of the image, each with its own loss; if several, their maximum has a loss too"""


@dataclass(frozen=True)
class NetworkSpec:
    """One architecture: how to build it and how to run it.

    Attributes:
        builder: ``module:callable``; a string, so that reading the registry imports no torch.
        lattice_px: patches must start on multiples of this.
        output_stride: side of the input pixels that share one output unit, px.
        inputs: input of the published weights.
        border: what the network sees beyond the image.
        upsampling: how the logits are upsampled to the size of the image.
        size_rule: sizes that the published network takes; the module pads to the next such size.
        stitch: recommended way to join patches ("crop" if the exact halo is affordable).
        recipe: training of the paper.
        options: variant options with their defaults; the default is the published network.
        fixed: arguments of the builder that select this network of its family.
        mirrored_px: a mirror image has its units on the same pixels at sizes of ``lattice_px`` k
            + this; ``None`` means as in the size rule.
        pooled_halo_px: exact halo if the pyramid pools over the whole raster
            (`inference.raster_pooling`); ``None`` if the network has no such pyramid.
    """

    builder: str
    lattice_px: int
    output_stride: int
    inputs: InputConvention
    border: Literal["zero after normalisation", "reflect", "none"]
    upsampling: str
    size_rule: Literal["any", "8k", "8k+1", "8k+2", "16k", "32k", "64k"]
    stitch: Literal["crop", "blend"]
    recipe: Recipe
    options: Mapping[str, Option] = field(default_factory=dict)
    fixed: Mapping[str, Option | tuple[int, ...]] = field(default_factory=dict)
    mirrored_px: int | None = None
    pooled_halo_px: int | None = None

    @property
    def mirror_remainder_px(self) -> int:
        """Mirror images are padded to sizes of ``lattice_px`` k + this."""
        if self.mirrored_px is not None:
            return self.mirrored_px
        return int(self.size_rule.partition("+")[2] or 0)
