"""Time precisions and forms of a network on samples, and count the labels they change."""

from collections.abc import Iterator, Mapping
from itertools import product

import numpy as np
import torch

from segtasks.config.inference import Form, Inference, Precision
from segtasks.networks.inference.forms import forms_on, timed
from segtasks.networks.inference.onednn import can_pack
from segtasks.networks.inference.runtime import DTYPES, Patches, Runtime, forward_patches, prepare
from segtasks.networks.inference.tuned import LEAST_GAIN, TunedInference, name_of
from segtasks.networks.model_file import load

Candidate = tuple[Precision, Form]
USUAL_WAY: Candidate = ("float32", "packed")
MOST_DIFFERENT = 0.001
"""Share of labels that ``precision: auto`` may change."""


def autotune(path: str, asked: Inference, samples: list[Patches]) -> TunedInference:
    """Time what ``asked`` leaves open; the fastest way that changes no more labels than it may.

    Args:
        path: the model file.
        asked: by the job.
        samples: normalised patches (C, h, w) of the source; the first is the one that is timed.
    """
    torch.set_num_threads(1)
    nets = dict(_candidates(path, asked))
    seconds = timed(nets, torch.from_numpy(samples[0][None]))
    differing = _differing(nets, samples)
    allowed = (way for way in nets if _is_allowed(asked, way, differing[way]))
    precision, form = min(allowed, key=lambda way: _rank(seconds, way))
    return TunedInference(
        precision=precision,
        form=form,
        samples=len(samples),
        seconds={name_of(*way): taken for way, taken in seconds.items()},
        differing={name_of(*way): share for way, share in differing.items()},
    )


def _candidates(path: str, asked: Inference) -> Iterator[tuple[Candidate, Runtime]]:
    """What may be taken, and the usual way to compare it with."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    module, _ = load(path)
    precisions = _available(device) if asked.precision == "auto" else (asked.precision,)
    forms = forms_on(device) if asked.form == "auto" else (asked.form,)
    for way in dict.fromkeys([USUAL_WAY, *product(precisions, forms)]):
        yield way, prepare(module, device=device, precision=way[0], form=way[1])


def _available(device: str) -> tuple[Precision, ...]:
    """Precisions that this device has units for."""
    if device == "cuda":
        return ("float32", "tf32", "bfloat16", "float16")
    halves: tuple[Precision, ...] = ("bfloat16", "float16")
    return ("float32", *(half for half in halves if can_pack(DTYPES[half])))


def _differing(nets: Mapping[Candidate, Runtime], samples: list[Patches]) -> dict[Candidate, float]:
    """Share of labels unlike the usual way's."""
    labels = {
        way: [forward_patches(net, sample[None])[0].argmax(axis=0) for sample in samples]
        for way, net in nets.items()
    }
    pixels = sum(usual.size for usual in labels[USUAL_WAY])
    return {
        way: sum(
            np.count_nonzero(mine != usual)
            for mine, usual in zip(found, labels[USUAL_WAY], strict=True)
        )
        / pixels
        for way, found in labels.items()
    }


def _is_allowed(asked: Inference, way: Candidate, differing: float) -> bool:
    """Whether the job leaves this way open."""
    precision, form = way
    if asked.form not in ("auto", form):
        return False
    return (
        differing <= MOST_DIFFERENT if asked.precision == "auto" else asked.precision == precision
    )


def _rank(seconds: Mapping[Candidate, float], way: Candidate) -> float:
    """Seconds, with a lead for the usual way."""
    return seconds[way] / LEAST_GAIN if way == USUAL_WAY else seconds[way]
