"""The job's part on inference: at which scales and angles the network looks, what it pools."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from segtasks.config.base import Auto, ConfigModel, OneOrMore

Angles = Literal["none", "mirror", "flips", "d4"]
Fusion = Literal["mean_probabilities", "max_logits", "mean_logits"]
Pooling = Literal["patch", "raster"]
Precision = Literal["float32", "tf32", "bfloat16", "float16"]
Form = Literal["packed", "plain", "frozen", "compiled"]

STEPS = 20  # of scales, per 1


def _on_a_step(value: float) -> float:
    """Between the steps, the lattice of patches would be thousands of pixels."""
    steps = round(STEPS * value)
    if abs(STEPS * value - steps) > 1e-9:  # noqa: PLR2004 - 0.1 + 0.2 is on a step
        below = int(STEPS * value) / STEPS
        raise ValueError(
            f"scale {value:g} is not a multiple of {1 / STEPS:g}; "
            f"use {below:g} or {below + 1 / STEPS:g}"
        )
    return steps / STEPS


def _all_different(values: tuple[float, ...]) -> tuple[float, ...]:
    if len(set(values)) < len(values):
        raise ValueError("a scale is given twice; give each once")
    return values


Scale = Annotated[float, Field(ge=0.25, le=4), AfterValidator(_on_a_step)]
Scales = Annotated[
    tuple[Scale, ...],
    Field(min_length=1, max_length=8),
    AfterValidator(_all_different),
    OneOrMore,
]


class Inference(ConfigModel):
    """At which scales and angles the network looks at each patch; docs/inference.md has figures."""

    scales: Scales | Auto = Field(
        "auto",
        description="Each patch is forwarded at these multiples of its size: 0.25 to 4 in steps of "
        "0.05, at most 8. A scale s costs s x s forwards. The patches' lattice becomes a common "
        "multiple. auto: the one at which pixels are nearest in size to those the model has learnt "
        "from; 1 where either is not known.",
    )
    angles: Angles = Field(
        "none",
        description="Mirror images and quarter turns that are forwarded too, without resampling. "
        "mirror: left-right (2 forwards). flips: also upside down (4). d4: also transposed, all "
        "eight symmetries of a square (8).",
    )
    fusion: Fusion = Field(
        "mean_probabilities",
        description="How the answers of all scales and angles become one. max_logits is DeepLab's.",
    )
    pooling: Pooling = Field(
        "patch",
        description="What a PSPNet's pyramid averages. patch: each patch, as published. raster: "
        "the whole raster, in two passes; the mask is then that of one forward over it.",
    )
    precision: Precision | Auto = Field(
        "float32",
        description="Of the network's sums. All but float32 are faster on some machines and change "
        "some labels: how many is measured on samples and reported. auto: the fastest that changes "
        "no more than 0.1 %. tf32 exists on CUDA only.",
    )
    form: Form | Auto = Field(
        "packed",
        description="Kernels and memory layout: the same function, other last bits. auto: timed on "
        "samples once per job. frozen: TorchScript, CPU only. compiled: CUDA only.",
    )

    @property
    def needs_autotuning(self) -> bool:
        """Whether something must be measured on samples before the network runs."""
        return self.precision != "float32" or self.form == "auto"
