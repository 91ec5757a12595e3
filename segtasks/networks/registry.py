"""The registry of networks by name. Needs no torch until `build` is called."""

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, cast

from segtasks.errors import ModelError
from segtasks.networks.network_spec import NetworkSpec, Option
from segtasks.networks.specs import (
    deeplab_v1,
    deeplab_v2,
    dilation,
    fcn,
    linear,
    mmseg,
    pspnet,
    refinenet,
    segnet,
    smp,
    torchvision,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn

_FAMILIES = (
    *(fcn, segnet, dilation, deeplab_v1, deeplab_v2, refinenet, pspnet),
    *(torchvision, mmseg, smp, linear),
)
_SPECS: Mapping[str, NetworkSpec] = {
    name: found for family in _FAMILIES for name, found in family.SPECS.items()
}


def names() -> tuple[str, ...]:
    """Return the names of all networks, sorted."""
    return tuple(sorted(_SPECS))


def spec(name: str) -> NetworkSpec:
    """Return the entry of one network.

    Raises:
        ModelError: the name is unknown.
    """
    if name not in _SPECS:
        raise ModelError(f"network {name!r} is unknown; choose one of {', '.join(names())}")
    return _SPECS[name]


def build(
    name: str, *, classes: int, bands: int = 3, width: float = 1.0, **variant: Option
) -> "nn.Module":
    """Build an untrained network: (N, bands, H, W) -> logits (N, classes, H, W), any H, W >= 1.

    Args:
        name: one of `names`.
        classes: number of classes.
        bands: number of input bands.
        width: multiplier of all channel counts except bands and classes, in (0, 4].
        variant: options of this network; see `NetworkSpec.options`.

    Raises:
        ModelError: the name or an option is unknown, or a value is out of range.
    """
    found = spec(name)
    _check_options(name, found.options, variant)
    _check_numbers(classes=classes, bands=bands, width=width)
    module, builder = found.builder.split(":")
    make = cast("Callable[..., nn.Module]", getattr(import_module(module), builder))
    return make(classes=classes, bands=bands, width=width, **found.fixed, **variant)


def _check_options(name: str, known: Mapping[str, Option], given: Mapping[str, Option]) -> None:
    """Refuse options that do not exist or are not of their default's type."""
    for option, value in given.items():
        if option not in known:
            valid = ", ".join(known) or "none"
            raise ModelError(f"{name} has no option {option!r}; its options: {valid}")
        kind = type(known[option])
        if type(value) is not kind:
            raise ModelError(f"{name}: option {option} is {value!r}; give a {kind.__name__}")


def _check_numbers(*, classes: int, bands: int, width: float) -> None:
    """Refuse counts below 1 and a width outside of (0, 4]."""
    if classes < 1 or bands < 1:
        raise ModelError(f"classes is {classes}, bands is {bands}; both must be at least 1")
    if not 0 < width <= 4:  # noqa: PLR2004 four times VGG16 is 2 billion parameters
        raise ModelError(f"width is {width}; it must be in (0, 4], the published network is 1")
