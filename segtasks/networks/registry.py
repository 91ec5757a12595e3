"""The networks by name, with what their state dicts cannot show. Needs no torch until `build`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Literal, cast

from segtasks.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn

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
    policy: Literal["fixed", "step"]
    momentum: float
    weight_decay: float
    crop_px: int | None
    """None: whole images"""
    batch: int
    iterations: int | None
    """None: not stated"""
    source: str


@dataclass(frozen=True)
class NetworkEntry:
    """One architecture: where it is built and how it must be run.

    Attributes:
        builder: ``module:class``; a string, so that reading the registry imports no torch.
        options: variant options with their defaults; the default is the published network.
        lattice_px: patches start on multiples of this.
        border: what lies beyond the image.
        size_rule: sizes the bare network takes; the module pads to the next one by itself.
        stitch: the way to join patches that suits it (exact halo affordable: crop).
    """

    builder: str
    lattice_px: int
    output_stride: int
    inputs: InputConvention
    border: Literal["zero after normalisation", "none"]
    upsampling: str
    size_rule: str
    stitch: Literal["crop", "blend"]
    recipe: Recipe
    options: Mapping[str, Option] = field(default_factory=dict)


_CAFFE = InputConvention("BGR", 255.0, (104.00699, 116.66877, 122.67892), (1.0, 1.0, 1.0))
_VGG_OPTIONS: Mapping[str, Option] = {"batch_norm": False, "dropout": 0.5}
_FCN_RECIPE = Recipe(
    learning_rate=1e-4,
    policy="fixed",
    momentum=0.9,
    weight_decay=5e-4,
    crop_px=None,
    batch=20,
    iterations=None,
    source="Long et al. 2015, sec. 4.3",
)

_ENTRIES: Mapping[str, NetworkEntry] = {
    "fcn8s": NetworkEntry(
        builder="segtasks.networks.fcn:FCN8s",
        lattice_px=32,
        output_stride=8,
        inputs=_CAFFE,
        border="zero after normalisation",
        upsampling="frozen bilinear deconvolution, crops 5, 9, 31",
        size_rule="any",
        stitch="crop",
        recipe=_FCN_RECIPE,
        options=_VGG_OPTIONS,
    ),
    "fcn8s_lean": NetworkEntry(
        builder="segtasks.networks.fcn:FCN8sLean",
        lattice_px=32,
        output_stride=8,
        inputs=_CAFFE,
        border="zero after normalisation",
        upsampling="bilinear, half-pixel",
        size_rule="32k",
        stitch="crop",
        recipe=_FCN_RECIPE,
        options=_VGG_OPTIONS,
    ),
    "largefov": NetworkEntry(
        builder="segtasks.networks.deeplab:LargeFOV",
        lattice_px=8,
        output_stride=8,
        inputs=InputConvention("BGR", 255.0, (104.008, 116.669, 122.675), (1.0, 1.0, 1.0)),
        border="zero after normalisation",
        upsampling="bilinear, align_corners",
        size_rule="8k+1",
        stitch="crop",
        recipe=Recipe(
            learning_rate=1e-3,
            policy="step",
            momentum=0.9,
            weight_decay=5e-4,
            crop_px=321,
            batch=30,
            iterations=6000,
            source="Chen et al. 2015, sec. 4.1; solver.prototxt: x0.1 every 2000, fc8 x10",
        ),
        options=_VGG_OPTIONS,
    ),
    "linear": NetworkEntry(
        builder="segtasks.networks.linear:Linear",
        lattice_px=1,
        output_stride=1,
        inputs=InputConvention("RGB", 255.0, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
        border="none",
        upsampling="none",
        size_rule="any",
        stitch="crop",
        recipe=Recipe(
            learning_rate=1e-1,
            policy="fixed",
            momentum=0.9,
            weight_decay=0.0,
            crop_px=256,
            batch=4,
            iterations=None,
            source="ours",
        ),
    ),
}


def names() -> tuple[str, ...]:
    """Names of all networks, sorted."""
    return tuple(sorted(_ENTRIES))


def entry(name: str) -> NetworkEntry:
    """The declaration of one network.

    Raises:
        ModelError: no such network.
    """
    if name not in _ENTRIES:
        raise ModelError(f"network {name!r} is unknown; choose one of {', '.join(names())}")
    return _ENTRIES[name]


def build(
    name: str, *, classes: int, bands: int = 3, width: float = 1.0, **variant: Option
) -> "nn.Module":
    """An untrained network: (N, bands, H, W) -> logits (N, classes, H, W), any H, W >= 1.

    Args:
        name: one of `names`.
        classes: K.
        bands: C.
        width: multiplier of all channel counts except bands and classes.
        variant: options of this network; see `NetworkEntry.options`.

    Raises:
        ModelError: unknown name or option, or a value out of range.
    """
    found = entry(name)
    _check_options(name, found.options, variant)
    _check_numbers(classes=classes, bands=bands, width=width)
    module, builder = found.builder.split(":")
    make = cast("Callable[..., nn.Module]", getattr(import_module(module), builder))
    return make(classes=classes, bands=bands, width=width, **variant)


def _check_options(name: str, known: Mapping[str, Option], given: Mapping[str, Option]) -> None:
    """Every option given must exist and be of its default's type."""
    for option, value in given.items():
        if option not in known:
            valid = ", ".join(known) or "none"
            raise ModelError(f"{name} has no option {option!r}; its options: {valid}")
        kind = type(known[option])
        if type(value) is not kind:
            raise ModelError(f"{name}: option {option} is {value!r}; give a {kind.__name__}")


def _check_numbers(*, classes: int, bands: int, width: float) -> None:
    """Counts of at least 1, width in (0, 4]."""
    if classes < 1 or bands < 1:
        raise ModelError(f"classes is {classes}, bands is {bands}; both must be at least 1")
    if not 0 < width <= 4:  # noqa: PLR2004 four times VGG16 is 2 billion parameters
        raise ModelError(f"width is {width}; it must be in (0, 4], the published network is 1")
