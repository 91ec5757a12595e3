"""Measure card fields of a foreign graph by running it on noise.

    python -m segtasks.networks.graph_probe FILE FORM < fields.json      prints one line of JSON

It runs in a separate process, see `graphs.graph_card`.
"""

import json
import sys
from collections.abc import Mapping
from math import lcm
from typing import Any, cast

import torch

from segtasks.errors import ModelError
from segtasks.networks.card import Form, Gives, Normalisation
from segtasks.networks.graph_probe.alignment import lattice_px
from segtasks.networks.graph_probe.halo import graph_halo_px
from segtasks.networks.graph_probe.input_sizes import Sizes, find_sizes
from segtasks.networks.graph_probe.memory import bytes_per_px, resident_bytes
from segtasks.networks.graph_probe.trial_forward import TrialForward
from segtasks.networks.graphs.session import open_graph

_CONTRASTS = (1.0, 0.3, 0.03)
_SUM_TOLERANCE = 2e-3
"""Probabilities in float16 add up to 1 with this precision."""
_PAIR_PX = 64
"""Side of the images in the batch of two."""


def probe(path: str, form: Form, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Measure the card fields of a local graph on noise.

    Args:
        path: local path of the graph.
        form: file format of the graph.
        fields: the stated card fields; a stated ``graph.gives`` or ``graph.patch_px`` is used as it
            is.

    Raises:
        ModelError: the graph cannot be read or run, or contradicts the stated fields.
    """
    session = open_graph(path, form, torch.device("cpu"))
    stated = fields["graph"]
    trial = TrialForward(
        path,
        session,
        fields["bands"],
        len(fields["classes"]),
        Normalisation.model_validate(fields["normalisation"]),
    )
    _check_bands(trial)
    resident = resident_bytes()
    sizes = find_sizes(trial, stated.get("patch_px"))
    forward_bytes = bytes_per_px(trial, sizes.side, resident)
    gives = stated.get("gives") or _gives(trial, sizes.side)
    lattice = lattice_px(trial, gives, side=sizes.side, stride=sizes.stride)
    return {
        "forward_bytes_per_px": forward_bytes,
        "output_stride": sizes.stride,
        "lattice_px": lcm(lattice, sizes.multiple_px),
        "effective_halo_px": graph_halo_px(trial, gives, side=sizes.side, unit=lattice),
        "graph": {
            "gives": gives,
            "patch_px": sizes.patch_px,
            "multiple_px": sizes.multiple_px,
            "least_px": sizes.least_px,
            "one_by_one": not _takes_batches(trial, sizes),
        },
    }


def _check_bands(trial: TrialForward) -> None:
    """Refuse a graph that states another number of bands than its card."""
    bands = trial.session.shape[1]
    if bands not in (None, len(trial.bands)):
        names = ", ".join(trial.bands)
        raise ModelError(
            f"{trial.path}: takes {bands} bands, its card names {len(trial.bands)} ({names}); name "
            "them all, in its order"
        )


def _gives(trial: TrialForward, side: int) -> Gives:
    """Return "probabilities" if the maps of all images lie in 0 ... 1 and add up to 1."""
    are_probabilities = []
    for seed, contrast in enumerate(_CONTRASTS):
        maps = trial.raw_maps(trial.image(side, side, seed=seed, contrast=contrast))
        if not maps.isfinite().all():
            raise ModelError(
                f"{trial.path}: gives values that are not finite for noise of "
                f"{trial.normalisation.dtype}; is its card's normalisation right?"
            )
        total = maps.sum(dim=1) if maps.shape[1] > 1 else torch.ones(())
        in_range = float(maps.min()) >= -_SUM_TOLERANCE and float(maps.max()) <= 1 + _SUM_TOLERANCE
        sums_to_1 = float((total - 1).abs().max()) <= _SUM_TOLERANCE
        are_probabilities.append(in_range and sums_to_1)
    return "probabilities" if all(are_probabilities) else "logits"


def _takes_batches(trial: TrialForward, sizes: Sizes) -> bool:
    """Whether the graph takes a batch of two images."""
    if trial.session.shape[0] is not None:
        return False
    side = sizes.patch_px or max(sizes.least_px, _PAIR_PX)
    try:
        trial.raw_maps(trial.image(side, side, count=2))
    except RuntimeError:
        return False
    return True


def main() -> None:
    """Print the measured fields, or the error."""
    path, form = sys.argv[1:]
    try:
        answer = probe(path, cast("Form", form), json.load(sys.stdin))
    except ModelError as error:
        answer = {"error": str(error)}
    sys.stdout.write(f"\n{json.dumps(answer)}\n")


if __name__ == "__main__":
    main()
