"""Settings of inference: test-time augmentation, pooling and numerical precision."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from segtasks.config.base import Auto, ConfigModel, OneOrMore

Angles = Literal["none", "mirror", "flips", "d4"]
Fusion = Literal["mean_probabilities", "max_logits", "mean_logits"]
Pooling = Literal["patch", "raster"]
Precision = Literal["float32", "tf32", "bfloat16", "float16"]
Form = Literal["packed", "plain", "frozen", "compiled"]

STEPS = 20  # scales are multiples of 1/20


def _on_a_step(value: float) -> float:
    """Round to a step; scales between the steps would need a patch grid of thousands of pixels."""
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
        found = ", ".join(f"{value:g}" for value in values)
        raise ValueError(f"a scale is given twice in {found}; give each once")
    return values


Scale = Annotated[float, Field(ge=0.25, le=4), AfterValidator(_on_a_step)]
Scales = Annotated[
    tuple[Scale, ...],
    Field(min_length=1, max_length=8),
    AfterValidator(_all_different),
    OneOrMore,
]


class Inference(ConfigModel):
    """How the network is applied to each patch; docs/inference.md has measurements."""

    scales: Scales | Auto = Field(
        "auto",
        description="Test-time scales: each patch is forwarded at these multiples of its size, at "
        "most 8 from 0.25 to 4 in steps of 0.05. A scale s costs as much as s x s forwards. "
        "Patches then start on common multiples of the strides. auto: the one scale at which the "
        "pixel size is nearest to that of the training images, or 1 if either is unknown.",
    )
    angles: Angles = Field(
        "none",
        description="Test-time flips and rotations by quarter turns, which are forwarded too, "
        "without resampling. mirror: left-right (2 forwards). flips: also upside down (4). d4: "
        "also transposed, all eight symmetries of a square (8).",
    )
    fusion: Fusion = Field(
        "mean_probabilities",
        description="How the outputs of all scales and flips are combined. DeepLab uses "
        "max_logits.",
    )
    pooling: Pooling = Field(
        "patch",
        description="Extent over which the pyramid pooling of a PSPNet averages. patch: each "
        "patch, as published. raster: the whole raster, in two passes; the mask is then that of "
        "one forward over the raster.",
    )
    precision: Precision | Auto = Field(
        "float32",
        description="Numerical precision of the network. All but float32 are faster on some "
        "machines and change some labels; the share is measured on samples and reported. auto: "
        "the fastest that changes at most 0.1 % of the labels. tf32 needs CUDA.",
    )
    form: Form | Auto = Field(
        "packed",
        description="Kernels and memory layout of the network; results agree up to rounding. auto: "
        "the fastest on samples, timed once per job. frozen: TorchScript, CPU only. compiled: CUDA "
        "only.",
    )

    @property
    def needs_autotuning(self) -> bool:
        """Whether samples must be measured before the network runs."""
        return self.precision != "float32" or self.form == "auto"
