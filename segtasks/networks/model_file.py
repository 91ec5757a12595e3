"""One file that says everything needed to run a model: safetensors with a card in its metadata.

    header {"__metadata__": {"segtasks": <card JSON>}, "conv1_1.weight": {...}, ...}, raw bytes

No pickle, so opening a file runs no code; the weights are hashed and the hash is in the card.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, Required, TypedDict, Unpack

import torch
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file
from torch import Tensor, nn

from segtasks.config.legend import ClassEntry
from segtasks.errors import ModelError
from segtasks.networks.analysis import forward_cost
from segtasks.networks.analysis.receptive_field import (
    ReceptiveField,
    effective_halo_px,
    receptive_field,
)
from segtasks.networks.analysis.seam_halo import seam_halo_px
from segtasks.networks.architectures.layers import fold_batch_norm
from segtasks.networks.card import METADATA_KEY, Card, Normalisation
from segtasks.networks.card_file import read_card, unreadable
from segtasks.networks.graphs.file_format import form_of
from segtasks.networks.network_spec import Option
from segtasks.networks.registry import build, spec
from segtasks.networks.weights import (
    Weights,
    check_fit,
    fill,
    shapes_of,
    skeleton,
    weights_of,
    weights_sha256,
)

_SAMPLE_PX = 512
"""Side of the tile of noise for a network whose receptive field has no end."""
_LARGEST_PX = 768
"""Side of the tile of noise at most: ResNet-101 takes a minute and 5 GB for it. A network whose
effective field reaches its border (384 px) is said to see less than it does."""
_PROBE_WIDTH = 1 / 1024
"""Receptive fields do not depend on channel counts: measured on the narrowest form."""

READABLE = 0o644


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
        samples: normalised tiles of real imagery (N, C, H, W), larger than the receptive field, for
            the effective halo and the seam halo; without them the one is measured on a tile of
            noise and the other not at all.
        declared: network, classes, bands, normalisation, licence; where they differ from the
            default width, variant, ground_resolution_m, provenance.

    Raises:
        ModelError: unknown network or option, or ``module`` is not the network declared.
    """
    bands = len(declared["bands"])
    field = _field(declared["network"], tuple(declared.get("variant", {}).items()))
    tiles = _noise(bands, field) if samples is None else samples
    lattice = spec(declared["network"]).lattice_px
    return Card.model_validate(
        {
            **declared,
            **_costs(module, declared),
            "lattice_px": lattice,
            "output_stride": spec(declared["network"]).output_stride,
            "receptive_field_px": field.size_px if field else None,
            "halo_px": field.halo_px if field else None,
            "effective_halo_px": effective_halo_px(module.eval(), tiles),
            "seam_halo_px": _seam_halo(module, samples, lattice),
            "weights_sha256": weights_sha256(weights_of(module, "float32")),
        }
    )


def _seam_halo(module: nn.Module, samples: Tensor | None, lattice_px: int) -> int | None:
    """Measured where there is imagery to measure it on."""
    return None if samples is None else seam_halo_px(module, samples, lattice_px=lattice_px)


@lru_cache(maxsize=64)
def _field(network: str, variant: tuple[tuple[str, Option], ...]) -> ReceptiveField | None:
    """The receptive field, measured on the narrowest form of the network, once per process."""
    probe = build(network, classes=1, bands=1, width=_PROBE_WIDTH, **dict(variant))
    return receptive_field(probe, bands=1, lattice_px=spec(network).lattice_px)


def _costs(module: nn.Module, declared: Declared) -> dict[str, Any]:
    """What follows from shapes alone, for the network as the runtime runs it: BatchNorm folded."""
    bands = len(declared["bands"])
    folded = skeleton(
        declared["network"],
        classes=len(declared["classes"]),
        bands=bands,
        width=declared.get("width", 1.0),
        variant=declared.get("variant", {}),
    )
    check_fit("this module", folded, shapes_of(module))
    fold_batch_norm(folded.eval())
    return {
        "forward_bytes_per_px": forward_cost.forward_bytes_per_px(folded, bands=bands),
        "gmac_per_mpx": forward_cost.gmac_per_mpx(folded, bands=bands),
        "parameters": forward_cost.parameters(module),
    }


def _noise(bands: int, field: ReceptiveField | None) -> Tensor:
    """One tile of white noise, a little larger than the receptive field if that is affordable."""
    side = -(-(field.size_px + 1) // 32) * 32 if field else _SAMPLE_PX
    side = min(side, _LARGEST_PX)
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
    weights = weights_of(module, dtype)
    written = card.model_copy(update={"weights_sha256": weights_sha256(weights)})
    unfinished = f"{path}.part"
    save_file(weights, unfinished, metadata={METADATA_KEY: written.model_dump_json()})
    # safetensors writes for its owner alone; a model file is to be shared.
    Path(unfinished).chmod(READABLE)
    Path(unfinished).replace(path)
    return written


def load(path: str | Path) -> tuple[nn.Module, Card]:
    """The network of a local model file, float32, in eval mode, and its card.

    Raises:
        ModelError: the file cannot be read (see `read_card`), is a graph, its weights are not
            those the card was written for, or do not fit the network the card names.
    """
    if form_of(path) is not None:
        raise ModelError(
            f"{path}: a graph can be run as it is, but has no network to build; give the "
            ".safetensors it was made of"
        )
    card = read_card(path)
    weights = _read_weights(path)
    if weights_sha256(weights) != card.weights_sha256:
        raise ModelError(f"{path}: weights differ from the card's sha256; copy the file again")
    module = skeleton(
        card.network,
        classes=len(card.classes),
        bands=len(card.bands),
        width=card.width,
        variant=card.variant,
    )
    check_fit(str(path), module, {key: array.shape for key, array in weights.items()})
    fill(module, weights)
    return module.eval(), card


def _read_weights(path: str | Path) -> Weights:
    """All tensors of the file as they rest."""
    try:
        with safe_open(path, framework="numpy") as file:
            return {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 not a mapping
    except (OSError, SafetensorError) as error:
        raise unreadable(path, error) from error
