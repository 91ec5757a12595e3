"""Where images and their labels are listed: pairs, globs and manifests."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Discriminator, Field, Tag

from segtasks.config.base import ConfigModel

Split = Literal["train", "val", "test"]


class PairSource(ConfigModel):
    """Images and their labels: one pair, or many by a glob.

    ``labels`` may hold ``{parent}`` and ``{stem}``, the image's folder and its name without
    suffix: ``image="scenes/*.tif", labels="{parent}/{stem}_label.tif"``.
    """

    image: str = Field(min_length=1, description="path or url; * ? [] make it a glob")
    labels: str = Field(min_length=1, description="path or url; {parent} and {stem} are filled in")

    @property
    def origin(self) -> str:
        """What names the source in a model's provenance."""
        return self.image


class Manifest(ConfigModel):
    """Pairs listed in a file: .csv, .yaml or .json with image, labels and, if it likes, split.

    Any other suffix: the same three per line, with white space between.
    """

    manifest: str = Field(min_length=1, description="path or url")
    split: Split | None = Field(default=None, description="rows of this split only; none: all")
    root: str | None = Field(
        default=None, description="what relative names start from; none: the manifest's folder"
    )

    @property
    def origin(self) -> str:
        """What names the source in a model's provenance."""
        return self.manifest


class Row(PairSource):
    """One row of a manifest."""

    split: Split | None = None


def _kind(source: object) -> str:
    """Which of the two a job file means, so that what it got wrong is said of that one."""
    is_manifest = isinstance(source, Mapping) and "manifest" in source
    return "manifest" if is_manifest or isinstance(source, Manifest) else "pair"


Source = Annotated[
    Annotated[PairSource, Tag("pair")] | Annotated[Manifest, Tag("manifest")],
    Discriminator(_kind),
]
