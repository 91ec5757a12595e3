"""Write and read model files: safetensors with a card in their metadata.

    header {"__metadata__": {"segtasks": <card JSON>}, "conv1_1.weight": {...}, ...}, raw bytes

The file contains no pickle, so opening it runs no code. The card contains a hash of the weights.
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
"""Side of the tile of noise for a network with a global operator."""
_LARGEST_PX = 768
"""Maximum side of the tile of noise; ResNet-101 takes a minute and 5 GB for it. If the effective
receptive field of a network reaches further than its border (384 px), the result is too small."""
_PROBE_WIDTH = 1 / 1024
"""Width at which receptive fields are measured; they do not depend on channel counts."""

READABLE = 0o644


class Declared(TypedDict, total=False):
    """The fields of a card that cannot be measured; see `Card`."""

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
    """Make the card of a network from measurements and declared fields.

    Args:
        module: the network, as `build` makes it from network, width and variant.
        samples: normalised tiles of real imagery (N, C, H, W), larger than the receptive field, on
            which the effective halo and the seam halo are measured. Without them, the effective
            halo is measured on a tile of noise and the seam halo is not measured.
        declared: network, classes, bands, normalisation and licence; width, variant,
            ground_resolution_m and provenance where they differ from their defaults.

    Raises:
        ModelError: the network or an option is unknown, or ``module`` is not the declared network.
    """
    bands = len(declared["bands"])
    field = _field(declared["network"], tuple(declared.get("variant", {}).items()))
    tiles = _noise(bands, field) if samples is None else samples
    lattice = spec(declared["network"]).lattice_px
    seam_halo = None
    if samples is not None:
        seam_halo = seam_halo_px(module, samples, lattice_px=lattice)
    return Card.model_validate(
        {
            **declared,
            **_costs(module, declared),
            "lattice_px": lattice,
            "output_stride": spec(declared["network"]).output_stride,
            "receptive_field_px": field.size_px if field else None,
            "halo_px": field.halo_px if field else None,
            "effective_halo_px": effective_halo_px(module.eval(), tiles),
            "seam_halo_px": seam_halo,
            "weights_sha256": weights_sha256(weights_of(module, "float32")),
        }
    )


@lru_cache(maxsize=64)
def _field(network: str, variant: tuple[tuple[str, Option], ...]) -> ReceptiveField | None:
    """Return the receptive field, measured once per process at the smallest width."""
    probe = build(network, classes=1, bands=1, width=_PROBE_WIDTH, **dict(variant))
    return receptive_field(probe, bands=1, lattice_px=spec(network).lattice_px)


def _costs(module: nn.Module, declared: Declared) -> dict[str, Any]:
    """Return the costs of the network as the runtime runs it, that is with BatchNorm folded."""
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
    """Return a tile of white noise (1, C, H, W), if possible larger than the receptive field."""
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
    """Write a model file atomically and return the card as written, with the hash of the weights.

    Args:
        path: local path.
        module: the network.
        card: its card, from `make_card`.
        dtype: dtype of the stored weights; float16 halves the file and is loaded as float32.

    Raises:
        ModelError: a weight is not finite in ``dtype``.
    """
    weights = weights_of(module, dtype)
    written = card.model_copy(update={"weights_sha256": weights_sha256(weights)})
    unfinished = f"{path}.part"
    save_file(weights, unfinished, metadata={METADATA_KEY: written.model_dump_json()})
    # safetensors makes files readable for their owner only; model files are shared.
    Path(unfinished).chmod(READABLE)
    Path(unfinished).replace(path)
    return written


def load(path: str | Path) -> tuple[nn.Module, Card]:
    """Read a local model file: the network, float32 and in eval mode, and its card.

    Raises:
        ModelError: the file cannot be read (see `read_card`) or is a graph, or its weights do not
            match the hash in the card or the network that the card names.
    """
    if form_of(path) is not None:
        raise ModelError(
            f"{path}: is a graph, which can be run but not loaded as a network; give the "
            ".safetensors file that it was exported from"
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
    """Return all tensors of the file in their stored dtype."""
    try:
        with safe_open(path, framework="numpy") as file:
            return {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 not a mapping
    except (OSError, SafetensorError) as error:
        raise unreadable(path, error) from error
