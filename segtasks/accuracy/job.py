"""An evaluation job: which masks are held against which labels, and how."""

import csv
import io
from collections import Counter
from typing import Annotated, Any, Self

from pydantic import Field, field_validator, model_validator

from segtasks.errors import JobError
from segtasks.networks.card import ClassEntry
from segtasks.part import Part
from segtasks.storage import objects
from segtasks.training.legend import LabelRules
from segtasks.training.sources import placed

COLUMNS = ("mask", "labels", "before", "probabilities")
Url = Annotated[str, Field(min_length=1)]


class MaskPair(Part):
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


class EvaluationJob(Part):
    """Masks against labels: figures, a page with pictures."""

    pairs: tuple[MaskPair, ...] = Field(min_length=1, description="Masks with their labels.")
    legend: tuple[ClassEntry, ...] = Field(
        (), description="Classes by id. Empty: as the first mask's tags say."
    )
    labels: LabelRules = LabelRules()
    to: str | None = Field(
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

    @field_validator("to")
    @classmethod
    def _no_trailing_slash(cls, value: str | None) -> str | None:
        return value if value is None else (value.rstrip("/") or "/")

    @model_validator(mode="after")
    def _alike(self) -> Self:
        """What is pooled must be known of every image."""
        for key in ("before", "probabilities"):
            without = [pair.mask for pair in self.pairs if getattr(pair, key) is None]
            if 0 < len(without) < len(self.pairs):
                raise ValueError(f"{without[0]} has no {key}, others do; give it to all or to none")
        return self

    @model_validator(mode="after")
    def _sound(self) -> Self:
        ids = [entry.id for entry in self.legend]
        if ids != list(range(len(ids))):
            raise ValueError(f"legend ids are {ids}; number them 0 … {len(ids) - 1} in order")
        names = Counter(entry.name for entry in self.legend)
        if names and max(names.values()) > 1:
            raise ValueError(f"two classes are named {names.most_common(1)[0][0]}; rename one")
        return self


def read_manifest(url: str, columns: tuple[str, ...] = COLUMNS) -> list[dict[str, Any]]:
    """Pairs from a CSV file with the columns mask and labels, and maybe before, probabilities.

    Of other ``columns`` too the first two are needed. Relative names start from the file's folder.

    Raises:
        JobError: it is no such table.
    """
    try:
        rows = list(csv.DictReader(io.StringIO(objects.read_bytes(url).decode("utf-8-sig"))))
    except (UnicodeDecodeError, csv.Error) as error:
        raise JobError(
            f"{url}: not a CSV file ({error}); write {','.join(columns[:2])} and a row each"
        ) from None
    if not rows:
        head = ",".join(columns[:2])
        raise JobError(f"{url}: has no rows; write {head} and then a row for each image")
    strange = [key for key in rows[0] if key not in columns]
    missing = [key for key in columns[:2] if key not in rows[0]]
    if strange or missing:
        found = ", ".join(str(key) for key in rows[0])
        raise JobError(f"{url}: has the columns {found}; name them {', '.join(columns)}")
    return [_pair(url, columns[:2], place, row) for place, row in enumerate(rows, start=1)]


def _pair(
    url: str, needed: tuple[str, ...], place: int, row: dict[str, str | None]
) -> dict[str, str]:
    named = {key: value.strip() for key, value in row.items() if value and value.strip()}
    for key in needed:
        if key not in named:
            raise JobError(f"{url}: row {place} names no {key}; write one")
    folder = url.rpartition("/")[0] or "."
    return {key: placed(name, folder) for key, name in named.items()}
