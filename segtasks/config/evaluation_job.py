"""The job that evaluates masks against labels."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from segtasks.config.base import ConfigModel, Prefix
from segtasks.config.legend import LabelRules, Legend
from segtasks.raster.labels import NODATA

COLUMNS = ("mask", "labels", "before", "probabilities")
Url = Annotated[str, Field(min_length=1)]


class MaskPair(ConfigModel):
    """A mask and the labels to compare it with."""

    mask: Url = Field(
        description="Mask of class ids, a path or URL. A mask with * stands for all that match; "
        "{1}, {2} … in the other names are replaced by the text that each * matched.",
        examples=["out/mask.tif", "out/*/mask.tif"],
    )
    labels: Url = Field(
        description="Reference labels, a path or URL.", examples=["labels.tif", "labels/{1}.png"]
    )
    before: Url | None = Field(
        None,
        description="A second mask of the same pixels to compare with, e.g. one without the CRF.",
    )
    probabilities: Url | None = Field(
        None,
        description="Workspace kept by `run --keep-workspace`, for the calibration; its most "
        "likely classes are compared with the mask unless `before` is given.",
    )


class EvaluationJob(ConfigModel):
    """Compare masks with labels: scores, and a page with charts."""

    pairs: tuple[MaskPair, ...] = Field(min_length=1, description="Masks with their labels.")
    legend: Legend = Field(
        (), description="Classes by id. Default: those in the first mask's tags."
    )
    labels: LabelRules = LabelRules()
    to: Prefix | None = Field(
        None,
        min_length=1,
        description="Prefix of the results: PREFIX/evaluation.html, evaluation.json and charts.",
    )
    overwrite: bool = Field(default=False, description="Replace an existing page.")
    ignore: int = Field(NODATA, ge=0, le=255, description="Label value that stands for no class.")
    tolerance_px: int = Field(
        3, ge=0, le=256, description="Tolerance of the boundary F score in pixels."
    )
    block_px: int = Field(
        512,
        ge=64,
        le=4096,
        description="Side in pixels of the blocks that are read at once and resampled for the "
        "confidence intervals.",
    )

    @model_validator(mode="after")
    def _alike(self) -> Self:
        """Check that figures pooled over the images are known of all of them."""
        for key in ("before", "probabilities"):
            without = [pair.mask for pair in self.pairs if getattr(pair, key) is None]
            if 0 < len(without) < len(self.pairs):
                raise ValueError(
                    f"{without[0]} has no {key}, others have one; give all or none a {key}"
                )
        return self
