"""The job that tunes the parameters of the CRF on labelled images."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from segtasks.config.base import Auto, ConfigModel, OneOrMore, Prefix
from segtasks.config.legend import LabelRules, Legend
from segtasks.raster.labels import NODATA

COLUMNS = ("workspace", "labels")
"""Columns of a manifest."""
LEAST_WINDOWS = 4
RANGES: Mapping[str, tuple[float, ...]] = {
    "pos_w": (0.3, 10),
    "pos_xy_std": (1, 10),
    "bi_w": (0.5, 20),
    "bi_xy_std": (5, 60),
    "bi_rgb_std": (2, 20),
    "iterations": (3, 10),
}
"""Ranges for tpe: from lines of single pixels to roofs and fields at 0.1-0.5 m per pixel, and the
colour standard deviations of all presets."""
GRID: Mapping[str, tuple[float, ...]] = {
    "pos_w": (3,),
    "pos_xy_std": (3,),
    "bi_w": (2, 4, 10),
    "bi_xy_std": (10, 30, 60),
    "bi_rgb_std": (3, 5, 10),
    "iterations": (5,),
}
"""Values for grid."""

Method = Literal["tpe", "grid"]
Objective = Literal["mean_iou", "boundary_f", "both"]
Url = Annotated[str, Field(min_length=1)]


NotEmpty = Field(min_length=1)
Weights = Annotated[tuple[Annotated[float, Field(ge=0, le=1000)], ...], NotEmpty, OneOrMore]
Stds = Annotated[tuple[Annotated[float, Field(ge=0.5, le=1000)], ...], NotEmpty, OneOrMore]
Colours = Annotated[tuple[Annotated[float, Field(ge=0.5, le=255)], ...], NotEmpty, OneOrMore]
Iterations = Annotated[tuple[Annotated[int, Field(ge=1, le=100)], ...], NotEmpty, OneOrMore]


def _described(what: str, key: str) -> str:
    spread = ",".join(f"{value:g}" for value in RANGES[key])
    values = ",".join(f"{value:g}" for value in GRID[key])
    return (
        f"{what} tpe searches LOW,HIGH, grid tries each value; one value is fixed. Default: "
        f"{spread} for tpe, {values} for grid."
    )


class Search(ConfigModel):
    """Values to try of each parameter; ``tpe`` takes them as ends of a range."""

    pos_w: Weights | None = Field(
        None, description=_described("Weights of the Gaussian term.", "pos_w")
    )
    pos_xy_std: Stds | None = Field(
        None,
        description=_described("Standard deviations of the Gaussian term in pixels.", "pos_xy_std"),
    )
    bi_w: Weights | None = Field(
        None, description=_described("Weights of the bilateral term.", "bi_w")
    )
    bi_xy_std: Stds | None = Field(
        None,
        description=_described(
            "Spatial standard deviations of the bilateral term in pixels.", "bi_xy_std"
        ),
    )
    bi_rgb_std: Colours | None = Field(
        None,
        description=_described(
            "Colour standard deviations of the bilateral term in 8-bit units.", "bi_rgb_std"
        ),
    )
    iterations: Iterations | None = Field(
        None, description=_described("Mean-field iterations.", "iterations")
    )

    def values(self, method: Method) -> dict[str, tuple[float, ...]]:
        """Return the values of each parameter, by default those of `RANGES` or `GRID`."""
        defaults = RANGES if method == "tpe" else GRID
        given = {key: values for key, values in self if values is not None}
        return {**defaults, **given}


class LabelledWorkspace(ConfigModel):
    """A kept workspace and the labels of its raster."""

    workspace: Url = Field(
        description="Workspace kept by `run --keep-workspace`, of a job with a CRF.",
        examples=["out/.workspace"],
    )
    labels: Url = Field(description="Reference labels, a path or URL.", examples=["labels.tif"])


class TuneJob(ConfigModel):
    """Tune the parameters of the CRF on labels, without repeating inference."""

    pairs: tuple[LabelledWorkspace, ...] = Field(
        min_length=1, description="Workspaces with their labels."
    )
    legend: Legend = Field((), description="Classes by id. Default: those of the first workspace.")
    labels: LabelRules = LabelRules()
    search: Search = Search()
    method: Method = Field(
        "tpe",
        description="Search method. tpe: Bayesian optimisation with Optuna's TPE sampler. grid: "
        "all combinations of the values.",
    )
    objective: Objective = Field(
        "mean_iou", description="Score to maximise. both: the sum of mean IoU and boundary F."
    )
    trials: int = Field(
        30,
        ge=3,
        le=10000,
        description="Number of settings to try, including the presets; for grid the largest "
        "number allowed.",
    )
    windows: int = Field(
        48,
        ge=LEAST_WINDOWS,
        le=10000,
        description="Number of windows to evaluate, spread over the labelled pixels; two thirds of "
        "them are held out.",
    )
    window_px: Annotated[int, Field(ge=64, le=16384)] | Auto = Field(
        "auto",
        description="Side of the windows in pixels. auto: 512, or 256 if that gives too few.",
    )
    tolerance_px: int = Field(
        3, ge=0, le=256, description="Tolerance of the boundary F score in pixels."
    )
    ignore: int = Field(NODATA, ge=0, le=255, description="Label value that stands for no class.")
    seed: int = Field(0, ge=0, le=2**32 - 1, description="Random seed of the windows and of tpe.")
    workers: int = Field(1, ge=1, le=1024, description="Number of processes that run the CRF.")
    backend: Literal["auto", "native", "pydensecrf", "torch"] = Field(
        "auto", description="Implementation of the CRF; all give the same labels."
    )
    to: Prefix | None = Field(
        None,
        min_length=1,
        description="Prefix of the results: PREFIX/crf-tune.json, .csv and .png, and best.yaml for "
        "`run --job`.",
    )
    overwrite: bool = Field(default=False, description="Replace existing results.")
