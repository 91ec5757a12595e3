"""Settings of the CRF: its parameters, its backend and the windows in which it runs."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from segtasks.config.base import Auto, ConfigModel, WholeChunks
from segtasks.config.form_schema import without_default

Row = tuple[Annotated[float, Field(ge=-1000, le=1000)], ...]
Matrix = tuple[Row, ...]

PRESETS: Mapping[str, Mapping[str, Any]] = {
    "kraehenbuehl": {
        "iterations": 5,
        "pos_w": 3,
        "pos_xy_std": 3,
        "bi_w": 10,
        "bi_xy_std": 80,
        "bi_rgb_std": 13,
    },
    "deeplab": {
        "iterations": 10,
        "pos_w": 3,
        "pos_xy_std": 1,
        "bi_w": 4,
        "bi_xy_std": 67,
        "bi_rgb_std": 3,
    },
    "aerial": {
        "iterations": 5,
        "pos_w": 3,
        "pos_xy_std": 3,
        "bi_w": 4,
        "bi_xy_std": 30,
        "bi_rgb_std": 5,
    },
}
"""Parameters by preset.

kraehenbuehl: the paper's example, pydensecrf's README and ConvCRF. deeplab: DeepLab v2 on
ResNet-101, all configurations of kazuto1011/deeplab-pytorch. Both were tuned on photographs of
500 px. aerial: DeepLab's, with standard deviations that suit roads and roofs at 0.1-0.5 m per
pixel."""


class Crf(ConfigModel):
    """Fully connected CRF (Kraehenbuehl and Koltun 2011) on the stitched probabilities.

    The defaults are those of the preset aerial. Kraehenbuehl's example (bi_w 10, bi_xy_std 80,
    bi_rgb_std 13) was tuned on photographs of 500 px; on aerial images it removes roads and small
    roofs.
    """

    preset: Literal["kraehenbuehl", "deeplab", "aerial"] = Field(
        "aerial",
        description="Sets the iterations, weights and standard deviations that are not given. "
        "kraehenbuehl: 5 iterations, 3/3, 10/80/13. deeplab: 10 iterations, 3/1, 4/67/3. aerial: "
        "5 iterations, 3/3, 4/30/5 (pos_w/pos_xy_std, bi_w/bi_xy_std/bi_rgb_std).",
    )
    iterations: int = Field(
        5,
        ge=1,
        le=100,
        description="Mean-field iterations. Default: from the preset.",
        json_schema_extra=without_default,
    )
    pos_w: float = Field(
        3,
        ge=0,
        le=1000,
        title="Position weight",
        description="Weight of the Gaussian (position) term. Default: from the preset.",
        json_schema_extra=without_default,
    )
    pos_xy_std: float = Field(
        3,
        ge=0.5,
        le=1000,
        title="Position std (px)",
        description="Standard deviation of the Gaussian term in pixels. Default: from the preset.",
        json_schema_extra=without_default,
    )
    bi_w: float = Field(
        4,
        ge=0,
        le=1000,
        title="Bilateral weight",
        description="Weight of the bilateral (position and colour) term. Default: from the preset.",
        json_schema_extra=without_default,
    )
    bi_xy_std: float = Field(
        30,
        ge=0.5,
        le=1000,
        title="Bilateral xy std (px)",
        description="Spatial standard deviation of the bilateral term in pixels. Default: from the "
        "preset.",
        json_schema_extra=without_default,
    )
    bi_rgb_std: float = Field(
        5,
        ge=0.5,
        le=255,
        title="Bilateral colour std (0-255)",
        description="Colour standard deviation of the bilateral term in 8-bit units (0..255), for "
        "sources of any bit depth. Default: from the preset.",
        json_schema_extra=without_default,
    )
    compatibility: Matrix | None = Field(
        None,
        description="Symmetric label compatibility matrix, one row per class: the penalty of two "
        "labels on similar pixels, multiplied by pos_w and bi_w. Default: the Potts model, 1 for "
        "any two different labels.",
    )
    backend: Literal["auto", "native", "pydensecrf", "torch"] = Field(
        "auto",
        description="Implementation of the CRF; all give the same labels. torch uses the GPU of "
        "the worker if it has one. auto: torch with compute gpu, else the first installed of "
        "native, pydensecrf and torch; an unfinished workspace keeps the backend it started with.",
    )
    window_px: Annotated[int, Field(ge=64, le=16384), WholeChunks] | Auto = Field(
        "auto",
        description="Side of the core of a CRF window in pixels. auto: 2048, or larger if the "
        "halos would otherwise add more than half of the core's pixels, within 6 GiB of memory "
        "(or worker_memory_gib).",
    )
    halo_px: Annotated[int, Field(ge=0, le=8192)] | Literal["auto", "strict"] = Field(
        "auto",
        description="Pixels read around the core. auto: 4 times the larger xy std at 5 "
        "iterations (0.01 % of the labels differ from a CRF on the whole image). strict: 6 times, "
        "for networks with uncertain probabilities.",
    )

    @model_validator(mode="before")
    @classmethod
    def _from_preset(cls, values: Any) -> Any:  # noqa: ANN401 - pydantic passes the raw input
        if not isinstance(values, dict):
            return values
        name = values.get("preset", "aerial")
        # The field itself refuses an unknown name.
        return {**PRESETS[name], **values} if isinstance(name, str) and name in PRESETS else values

    @field_validator("compatibility")
    @classmethod
    def _is_symmetric(cls, matrix: Matrix | None) -> Matrix | None:
        if matrix is not None and (len(matrix) < 2 or any(len(r) != len(matrix) for r in matrix)):  # noqa: PLR2004 - a pair
            raise ValueError(f"rows of {[len(r) for r in matrix]} values; give K rows of K, K >= 2")
        if matrix is not None and matrix != tuple(zip(*matrix, strict=True)):
            raise ValueError("is not symmetric; give row a, column b the value of row b, column a")
        return matrix
