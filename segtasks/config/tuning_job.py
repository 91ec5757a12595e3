"""A tuning job: kept workspaces with labels, the settings to try, and on how much of them."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from segtasks.config.base import Auto, ConfigModel, OneOrMore, Prefix
from segtasks.config.legend import LabelRules, Legend

COLUMNS = ("workspace", "labels")
"""Of a manifest."""
LEAST_WINDOWS = 4
RANGES: Mapping[str, tuple[float, ...]] = {
    "pos_w": (0.3, 10),
    "pos_xy_std": (1, 10),
    "bi_w": (0.5, 20),
    "bi_xy_std": (5, 60),
    "bi_rgb_std": (2, 20),
    "iterations": (3, 10),
}
"""For tpe: from lines of pixels to roofs and fields at 0.1-0.5 m, and every preset's colours."""
GRID: Mapping[str, tuple[float, ...]] = {
    "pos_w": (3,),
    "pos_xy_std": (3,),
    "bi_w": (2, 4, 10),
    "bi_xy_std": (10, 30, 60),
    "bi_rgb_std": (3, 5, 10),
    "iterations": (5,),
}

Method = Literal["tpe", "grid"]
Objective = Literal["mean_iou", "boundary_f", "both"]
Url = Annotated[str, Field(min_length=1)]


NotEmpty = Field(min_length=1)
Weights = Annotated[tuple[Annotated[float, Field(ge=0, le=1000)], ...], NotEmpty, OneOrMore]
Stds = Annotated[tuple[Annotated[float, Field(ge=0.5, le=1000)], ...], NotEmpty, OneOrMore]
Colours = Annotated[tuple[Annotated[float, Field(ge=0.5, le=255)], ...], NotEmpty, OneOrMore]
Iterations = Annotated[tuple[Annotated[int, Field(ge=1, le=100)], ...], NotEmpty, OneOrMore]


def _says(what: str, key: str) -> str:
    spread = ",".join(f"{value:g}" for value in RANGES[key])
    values = ",".join(f"{value:g}" for value in GRID[key])
    return f"{what} tpe: LOW,HIGH; grid: the values; one value: fixed. Empty: {spread}; {values}."


class Search(ConfigModel):
    """What is tried of each parameter; `tpe` takes the ends, `grid` the values."""

    pos_w: Weights | None = Field(None, description=_says("Weights of the Gaussian term.", "pos_w"))
    pos_xy_std: Stds | None = Field(
        None, description=_says("Its standard deviations, px.", "pos_xy_std")
    )
    bi_w: Weights | None = Field(None, description=_says("Weights of the bilateral term.", "bi_w"))
    bi_xy_std: Stds | None = Field(
        None, description=_says("Its standard deviations, px.", "bi_xy_std")
    )
    bi_rgb_std: Colours | None = Field(
        None, description=_says("Its standard deviations in 8-bit grey values.", "bi_rgb_std")
    )
    iterations: Iterations | None = Field(
        None, description=_says("Mean-field iterations.", "iterations")
    )

    def values(self, method: Method) -> dict[str, tuple[float, ...]]:
        """Values by parameter, those not given from `RANGES` or `GRID`."""
        usual = RANGES if method == "tpe" else GRID
        given = {key: values for key, values in self if values is not None}
        return {**usual, **given}


class LabelledWorkspace(ConfigModel):
    """A workspace and the labels of the same place."""

    workspace: Url = Field(
        description="Kept by `run --keep-workspace`, with a CRF.", examples=["out/.workspace"]
    )
    labels: Url = Field(description="What is true; a path or url.", examples=["labels.tif"])


class TuneJob(ConfigModel):
    """Settings of the CRF against labels, without repeating inference."""

    pairs: tuple[LabelledWorkspace, ...] = Field(min_length=1, description="With their labels.")
    legend: Legend = Field((), description="Classes by id. Empty: as the first workspace says.")
    labels: LabelRules = LabelRules()
    search: Search = Search()
    method: Method = Field(
        "tpe", description="tpe: Bayesian, by optuna's sampler. grid: all values with all others."
    )
    objective: Objective = Field(
        "mean_iou", description="What is to be high; both: mean IoU plus boundary F."
    )
    trials: int = Field(
        30, ge=3, le=10000, description="Settings tried, presets included; the most of a grid."
    )
    windows: int = Field(
        48,
        ge=LEAST_WINDOWS,
        le=10000,
        description="Windows judged, spread over the labelled pixels; two thirds are held out.",
    )
    window_px: Annotated[int, Field(ge=64, le=16384)] | Auto = Field(
        "auto", description="Their side. auto: 512, or 256 where that gives too few windows."
    )
    tolerance_px: int = Field(
        3, ge=0, le=256, description="How far a boundary may be off and still count."
    )
    ignore: int = Field(255, ge=0, le=255, description="Label that is no class.")
    seed: int = Field(0, ge=0, le=2**32 - 1, description="Of the windows and of tpe.")
    workers: int = Field(1, ge=1, le=1024, description="Processes that refine.")
    backend: Literal["auto", "native", "pydensecrf", "torch"] = Field(
        "auto", description="Who computes the CRF; the labels are the same."
    )
    to: Prefix | None = Field(
        None,
        min_length=1,
        description="Prefix of the results: crf-tune.json, .csv and .png, and best.yaml for "
        "`run --job`.",
    )
    overwrite: bool = Field(default=False, description="Replace existing results.")
