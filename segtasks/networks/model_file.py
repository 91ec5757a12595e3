"""One file that says everything needed to run a model: safetensors with a card in its metadata.

    header {"__metadata__": {"segtasks": <card JSON>}, "conv1_1.weight": {...}, ...}, raw bytes

No pickle, so opening a file runs no code; the weights are hashed and the hash is in the card.
"""

import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Required, TypedDict, Unpack

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file
from torch import Tensor, nn

from segtasks.errors import ModelError
from segtasks.networks import cost
from segtasks.networks.card import Card, ClassEntry, Normalisation
from segtasks.networks.card_file import METADATA_KEY, read_card, unreadable
from segtasks.networks.receptive_field import effective_halo_px, receptive_field
from segtasks.networks.registry import Option, build, entry

Weights = dict[str, NDArray[Any]]

_COUNTER = "num_batches_tracked"
"""Training's own counter; not part of the function, so neither kept nor asked for."""
_GLOBAL_SAMPLE_PX = 512
_PROBE_WIDTH = 1 / 64
"""Receptive fields do not depend on channel counts: measured on the narrowest form."""


class Declared(TypedDict, total=False):
    """The fields of a card that nobody can measure; see `Card`."""

    network: Required[str]
    width: float
    variant: Mapping[str, Option]
    classes: Required[Sequence[ClassEntry]]
    bands: Required[Sequence[str]]
    normalisation: Required[Normalisation]
    licence: Required[str]
    ground_resolution_m: float | None
    provenance: Mapping[str, str | int | float | bool | None]


def make_card(
    module: nn.Module, *, samples: Tensor | None = None, **declared: Unpack[Declared]
) -> Card:
    """The card of a network in memory: what can be measured is, the rest is declared.

    Args:
        module: the network, as `build` made it from network, width and variant.
        samples: normalised tiles (N, C, H, W), larger than the receptive field, for the effective
            halo; one tile of noise without them.
        declared: network, classes, bands, normalisation, licence; where they differ from the
            default width, variant, ground_resolution_m, provenance.

    Raises:
        ModelError: unknown network or option.
    """
    variant, bands = declared.get("variant", {}), len(declared["bands"])
    return Card.model_validate(
        {
            **declared,
            **_measured(module, declared["network"], bands, variant, samples),
            "weights_sha256": weights_sha256(_to_numpy(module, "float32")),
        }
    )


def _measured(
    module: nn.Module,
    network: str,
    bands: int,
    variant: Mapping[str, Option],
    samples: Tensor | None,
) -> dict[str, Any]:
    """The fields of a card that come from the network itself."""
    found = entry(network)
    probe = build(network, classes=2, bands=bands, width=_PROBE_WIDTH, **variant)
    field = receptive_field(probe, bands=bands, lattice_px=found.lattice_px)
    if samples is None:
        samples = _noise(bands, field.size_px if field else _GLOBAL_SAMPLE_PX)
    return {
        "lattice_px": found.lattice_px,
        "output_stride": found.output_stride,
        "receptive_field_px": field.size_px if field else None,
        "halo_px": field.halo_px if field else None,
        "effective_halo_px": effective_halo_px(module, samples),
        "forward_bytes_per_px": cost.forward_bytes_per_px(module, bands=bands),
        "gmac_per_mpx": cost.gmac_per_mpx(module, bands=bands),
        "parameters": cost.parameters(module),
    }


def _noise(bands: int, field_px: int) -> Tensor:
    """One tile of white noise a little larger than the receptive field."""
    side = -(-(field_px + 1) // 32) * 32
    return torch.randn(1, bands, side, side, generator=torch.Generator().manual_seed(0))


def save(
    path: str | Path,
    module: nn.Module,
    card: Card,
    *,
    dtype: Literal["float32", "float16"] = "float32",
) -> Card:
    """Write a model file, whole or not at all; returns the card as written (with its hash).

    Args:
        path: local path; replaced only by a finished file.
        module: the network.
        card: from `make_card`.
        dtype: how the weights rest; float16 halves the file and is float32 again after loading.

    Raises:
        ModelError: a weight is not finite in ``dtype``.
    """
    weights = _to_numpy(module, dtype)
    written = card.model_copy(update={"weights_sha256": weights_sha256(weights)})
    unfinished = f"{path}.part"
    save_file(weights, unfinished, metadata={METADATA_KEY: written.model_dump_json()})
    os.replace(unfinished, path)  # noqa: PTH105 Path.replace is the same call with more words
    return written


def load(path: str | Path) -> tuple[nn.Module, Card]:
    """The network of a local model file, float32, in eval mode, and its card.

    Raises:
        ModelError: the file cannot be read (see `read_card`), its weights are not those the card
            was written for, or do not fit the network the card names.
    """
    card = read_card(path)
    weights = _read_weights(path)
    if weights_sha256(weights) != card.weights_sha256:
        raise ModelError(f"{path}: weights differ from the card's sha256; copy the file again")
    module = _skeleton(card)
    _fit(path, module, weights)
    return module.eval(), card


def weights_sha256(weights: Mapping[str, NDArray[Any]]) -> str:
    """Hash of all tensors' bytes, little-endian, in the order of their sorted keys."""
    digest = hashlib.sha256()
    for key in sorted(weights):
        digest.update(np.ascontiguousarray(weights[key]).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def _to_numpy(module: nn.Module, dtype: str) -> Weights:
    """State dict as numpy arrays of one dtype, training's counters left out.

    Raises:
        ModelError: a value is NaN, infinite or beyond the range of ``dtype``.
    """
    weights: Weights = {}
    for key, tensor in module.state_dict().items():
        if key.endswith(_COUNTER):
            continue
        with np.errstate(over="ignore"):  # an overflow becomes inf and is refused by name
            weights[key] = tensor.detach().cpu().numpy().astype(dtype)
        if not np.isfinite(weights[key]).all():
            raise ModelError(f"weights {key!r} hold values that are not finite in {dtype}")
    return weights


def _read_weights(path: str | Path) -> Weights:
    """All tensors of the file as they rest."""
    try:
        with safe_open(path, framework="numpy") as file:
            return {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 not a mapping
    except (OSError, SafetensorError) as error:
        raise unreadable(path, error) from error


def _skeleton(card: Card) -> nn.Module:
    """The network the card names, without memory for weights (nothing is initialised twice)."""
    with torch.device("meta"):
        return build(
            card.network,
            classes=len(card.classes),
            bands=len(card.bands),
            width=card.width,
            **card.variant,
        )


def _fit(path: str | Path, module: nn.Module, weights: Weights) -> None:
    """Give every parameter of ``module`` its tensor: none missing, left over or misshapen."""
    expected = module.state_dict()
    wanted = {key for key in expected if not key.endswith(_COUNTER)}
    if missing := sorted(wanted - weights.keys()):
        raise ModelError(f"{path}: {_listed(missing)} missing; is the card's network right?")
    if extra := sorted(weights.keys() - wanted):
        raise ModelError(f"{path}: {_listed(extra)} left over; is the card's network right?")
    for key in wanted:
        found, shape = weights[key].shape, tuple(expected[key].shape)
        if found != shape:
            raise ModelError(f"{path}: {key} is {found}, the network needs {shape}; see its card")
    state = {key: torch.from_numpy(array.astype(np.float32)) for key, array in weights.items()}
    counters = {key: torch.zeros((), dtype=torch.long) for key in expected.keys() - wanted}
    module.load_state_dict(state | counters, assign=True)


def _listed(keys: Sequence[str]) -> str:
    """The first key, and how many more."""
    more = f" and {len(keys) - 1} more keys" if len(keys) > 1 else ""
    return f"key {keys[0]!r}{more}"
