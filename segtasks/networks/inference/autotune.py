"""Autotune a network: time precisions and forms on samples and count the labels they change."""

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
"""A precision and a form in which the network could run."""
BASELINE: Candidate = ("float32", "packed")
MAX_CHANGED = 0.001
"""Share of labels that ``precision: auto`` may change."""


def autotune(path: str, inference: Inference, samples: list[Patches]) -> TunedInference:
    """Choose the fastest precision and form that change no more labels than allowed.

    Only what ``inference`` leaves open ("auto") is tried.

    Args:
        path: local path of the model file.
        inference: the settings of the job.
        samples: normalised patches (C, h, w) of the source; the first one is timed.
    """
    torch.set_num_threads(1)
    nets = dict(_candidates(path, inference))
    seconds = timed(nets, torch.from_numpy(samples[0][None]))
    changed = _changed(nets, samples)
    allowed = (each for each in nets if _is_allowed(inference, each, changed[each]))
    # Another candidate must be faster than the baseline by more than the clock's noise.
    handicap = {each: LEAST_GAIN if each != BASELINE else 1.0 for each in nets}
    precision, form = min(allowed, key=lambda each: seconds[each] * handicap[each])
    return TunedInference(
        precision=precision,
        form=form,
        samples=len(samples),
        seconds={name_of(*each): taken for each, taken in seconds.items()},
        differing={name_of(*each): share for each, share in changed.items()},
    )


def _candidates(path: str, inference: Inference) -> Iterator[tuple[Candidate, Runtime]]:
    """Yield the candidates that the job leaves open, and the baseline to compare them with."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    module, _ = load(path)
    precisions = _available(device) if inference.precision == "auto" else (inference.precision,)
    forms = forms_on(device) if inference.form == "auto" else (inference.form,)
    for precision, form in dict.fromkeys([BASELINE, *product(precisions, forms)]):
        net = prepare(module, device=device, precision=precision, form=form)
        yield (precision, form), net


def _available(device: str) -> tuple[Precision, ...]:
    """Return the precisions that this device computes natively."""
    if device == "cuda":
        return ("float32", "tf32", "bfloat16", "float16")
    halves: tuple[Precision, ...] = ("bfloat16", "float16")
    return ("float32", *(half for half in halves if can_pack(DTYPES[half])))


def _changed(nets: Mapping[Candidate, Runtime], samples: list[Patches]) -> dict[Candidate, float]:
    """Return the share of labels in which each candidate differs from the baseline."""
    labels = {
        candidate: [forward_patches(net, sample[None])[0].argmax(axis=0) for sample in samples]
        for candidate, net in nets.items()
    }
    pixels = sum(expected.size for expected in labels[BASELINE])
    return {
        candidate: sum(
            np.count_nonzero(found != expected)
            for found, expected in zip(maps, labels[BASELINE], strict=True)
        )
        / pixels
        for candidate, maps in labels.items()
    }


def _is_allowed(inference: Inference, candidate: Candidate, changed: float) -> bool:
    """Whether the settings of the job allow this candidate."""
    precision, form = candidate
    if inference.form not in ("auto", form):
        return False
    if inference.precision == "auto":
        return changed <= MAX_CHANGED
    return inference.precision == precision
