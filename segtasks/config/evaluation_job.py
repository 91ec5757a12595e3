"""An evaluation job: which masks are held against which labels, and how."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from segtasks.config.base import ConfigModel, Prefix
from segtasks.config.legend import LabelRules, Legend

COLUMNS = ("mask", "labels", "before", "probabilities")
Url = Annotated[str, Field(min_length=1)]


class MaskPair(ConfigModel):
    """A mask and the labels of the same place."""

    mask: Url = Field(
        description="Class ids; a path or url. Stars find many; {1}, {2} … are what each is.",
        examples=["out/mask.tif", "out/*/mask.tif"],
    )
    labels: Url = Field(
        description="What is true; a path or url.", examples=["labels.tif", "labels/{1}.png"]
    )
    before: Url | None = Field(
        None, description="Another mask of the same pixels to compare with, e.g. one without CRF."
    )
    probabilities: Url | None = Field(
        None,
        description="A workspace kept by `run --keep-workspace`, for calibration; its most likely "
        "classes are compared with the mask, unless `before` is given.",
    )


class EvaluationJob(ConfigModel):
    """Masks against labels: figures, a page with pictures."""

    pairs: tuple[MaskPair, ...] = Field(min_length=1, description="Masks with their labels.")
    legend: Legend = Field((), description="Classes by id. Empty: as the first mask's tags say.")
    labels: LabelRules = LabelRules()
    to: Prefix | None = Field(
        None,
        min_length=1,
        description="Prefix of the page: PREFIX/evaluation.html, evaluation.json and pictures.",
    )
    overwrite: bool = Field(default=False, description="Replace an existing page.")
    ignore: int = Field(255, ge=0, le=255, description="Label that is no class.")
    tolerance_px: int = Field(
        3, ge=0, le=256, description="How far a boundary may be off and still count."
    )
    block_px: int = Field(
        512,
        ge=64,
        le=4096,
        description="Side of the blocks that are read, and resampled for the intervals.",
    )

    @model_validator(mode="after")
    def _alike(self) -> Self:
        """What is pooled must be known of every image."""
        for key in ("before", "probabilities"):
            without = [pair.mask for pair in self.pairs if getattr(pair, key) is None]
            if 0 < len(without) < len(self.pairs):
                raise ValueError(f"{without[0]} has no {key}, others do; give it to all or to none")
        return self
