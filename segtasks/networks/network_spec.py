"""What an entry of the registry declares: all that a state dict cannot show. Needs no torch."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Option = bool | int | float | str


@dataclass(frozen=True)
class InputConvention:
    """What the published weights were fed with; `Normalisation` of a card is what counts here."""

    channels: Literal["RGB", "BGR"]
    range_max: float
    """raw values lie in 0...range_max before the mean is taken away"""
    mean: tuple[float, ...]
    """in the order of ``channels``"""
    std: tuple[float, ...]


@dataclass(frozen=True)
class Recipe:
    """How the paper trained: SGD with momentum."""

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
    """of the image, each with a loss of its own; more than one: another for their maximum"""


@dataclass(frozen=True)
class NetworkSpec:
    """One architecture: where it is built and how it must be run.

    Attributes:
        builder: ``module:callable``; a string, so that reading the registry imports no torch.
        fixed: arguments of the builder that make this network out of its family.
        options: variant options with their defaults; the default is the published network.
        lattice_px: patches start on multiples of this.
        border: what lies beyond the image.
        size_rule: sizes the bare network takes; the module pads to the next one by itself.
        stitch: the way to join patches that suits it (exact halo affordable: crop).
        mirrored_px: a mirror image has its units on the same pixels at sizes of ``lattice_px`` k
            + this; ``None``: as the size rule says.
        pooled_halo_px: exact halo with averages taken over the whole raster (`networks.pooling`);
            ``None``: it cannot be run so.
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
        """Mirror images are taken at sizes of ``lattice_px`` k + this."""
        if self.mirrored_px is not None:
            return self.mirrored_px
        return int(self.size_rule.partition("+")[2] or 0)
