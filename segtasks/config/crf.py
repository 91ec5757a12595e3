"""The job's part on the CRF: which, how strong, how far, in what windows."""

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
"""kraehenbuehl: the paper's example, pydensecrf's README and ConvCRF. deeplab: DeepLab v2 on
ResNet-101, all configurations of kazuto1011/deeplab-pytorch. Both were tuned on photographs of
500 px. aerial: DeepLab's, of a reach that fits roads and roofs of 0.1-0.5 m per pixel."""


class Crf(ConfigModel):
    """Fully connected CRF (Kraehenbuehl and Koltun 2011) on the stitched probabilities.

    The defaults are the preset aerial. Kraehenbuehl's example (bi_w 10, bi_xy_std 80, bi_rgb_std
    13) was tuned on photographs of 500 px; on aerial images it eats roads and small roofs.
    """

    preset: Literal["kraehenbuehl", "deeplab", "aerial"] = Field(
        "aerial",
        description="Where iterations, weights and standard deviations come from that are not "
        "given. kraehenbuehl: 5 it., 3/3, 10/80/13. deeplab: 10 it., 3/1, 4/67/3. aerial: 5 it., "
        "3/3, 4/30/5 (pos_w/pos_xy_std, bi_w/bi_xy_std/bi_rgb_std).",
    )
    iterations: int = Field(
        5,
        ge=1,
        le=100,
        description="Mean-field iterations. Empty: the preset's.",
        json_schema_extra=without_default,
    )
    pos_w: float = Field(
        3,
        ge=0,
        le=1000,
        title="Position weight",
        description="Weight of the Gaussian (position) term. Empty: the preset's.",
        json_schema_extra=without_default,
    )
    pos_xy_std: float = Field(
        3,
        ge=0.5,
        le=1000,
        title="Position std (px)",
        description="Standard deviation of the Gaussian term in pixels. Empty: the preset's.",
        json_schema_extra=without_default,
    )
    bi_w: float = Field(
        4,
        ge=0,
        le=1000,
        title="Bilateral weight",
        description="Weight of the bilateral (position and colour) term. Empty: the preset's.",
        json_schema_extra=without_default,
    )
    bi_xy_std: float = Field(
        30,
        ge=0.5,
        le=1000,
        title="Bilateral xy std (px)",
        description="Spatial standard deviation of the bilateral term in pixels. Empty: the "
        "preset's.",
        json_schema_extra=without_default,
    )
    bi_rgb_std: float = Field(
        5,
        ge=0.5,
        le=255,
        title="Bilateral colour std (0-255)",
        description="Colour standard deviation of the bilateral term, in 8-bit units (0..255) "
        "whatever the source's depth. Empty: the preset's.",
        json_schema_extra=without_default,
    )
    compatibility: Matrix | None = Field(
        None,
        description="What a pair of labels costs, one row per class, symmetric; positive keeps "
        "them apart, times pos_w and bi_w. Empty: Potts, 1 for every two different labels.",
    )
    backend: Literal["auto", "native", "pydensecrf", "torch"] = Field(
        "auto",
        description="Who computes it; the labels are the same. torch: on a GPU where the worker "
        "has one. auto: torch with compute gpu, else native, pydensecrf, torch as installed; a "
        "begun workspace keeps its own.",
    )
    window_px: Annotated[int, Field(ge=64, le=16384), WholeChunks] | Auto = Field(
        "auto",
        description="Core side of a CRF window in pixels. auto: 2048, or larger where halos would "
        "cost more than half of what is kept, within 6 GiB (or worker_memory_gib).",
    )
    halo_px: Annotated[int, Field(ge=0, le=8192)] | Literal["auto", "strict"] = Field(
        "auto",
        description="Pixels read around the core. auto: 4 x the larger xy std at 5 it. (0.01 % of "
        "labels differ from the whole image's). strict: 6 x, for unsure networks.",
    )

    @model_validator(mode="before")
    @classmethod
    def _from_preset(cls, values: Any) -> Any:  # noqa: ANN401 - whatever was given
        if not isinstance(values, dict):
            return values
        name = values.get("preset", "aerial")
        # An unknown name is the field's to refuse.
        return {**PRESETS[name], **values} if isinstance(name, str) and name in PRESETS else values

    @field_validator("compatibility")
    @classmethod
    def _is_symmetric(cls, matrix: Matrix | None) -> Matrix | None:
        if matrix is not None and (len(matrix) < 2 or any(len(r) != len(matrix) for r in matrix)):  # noqa: PLR2004 - a pair
            raise ValueError(f"rows of {[len(r) for r in matrix]} values; give K rows of K, K >= 2")
        if matrix is not None and matrix != tuple(zip(*matrix, strict=True)):
            raise ValueError("not symmetric; pairs have no order, give a, b what b, a has")
        return matrix
