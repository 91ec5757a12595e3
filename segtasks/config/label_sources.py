"""How a user lists images and their labels: as pairs, globs or manifests."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Discriminator, Field, Tag

from segtasks.config.base import ConfigModel

Split = Literal["train", "val", "test"]


class PairSource(ConfigModel):
    """An image and its labels, or many by a glob.

    ``labels`` may contain ``{parent}`` and ``{stem}``, the folder of the image and its name
    without suffix: ``image="scenes/*.tif", labels="{parent}/{stem}_label.tif"``.
    """

    image: str = Field(
        min_length=1, description="Path or URL of the image; a glob if it has * ? or []."
    )
    labels: str = Field(
        min_length=1,
        description="Path or URL of the labels; {parent} and {stem} are replaced by the image's.",
    )

    @property
    def origin(self) -> str:
        """Name of the source in the provenance of a model."""
        return self.image


class Manifest(ConfigModel):
    """A file that lists pairs: .csv, .yaml or .json with image, labels and an optional split.

    With any other suffix: the same three on each line, separated by white space.
    """

    manifest: str = Field(min_length=1, description="Path or URL of the file.")
    split: Split | None = Field(
        default=None, description="Use only the rows of this split. Default: all rows."
    )
    root: str | None = Field(
        default=None,
        description="Folder that relative names start from. Default: the folder of the manifest.",
    )

    @property
    def origin(self) -> str:
        """Name of the source in the provenance of a model."""
        return self.manifest


class Row(PairSource):
    """One row of a manifest."""

    split: Split | None = None


def _kind(source: object) -> str:
    """Return the tag of a source, so that errors name the fields of that kind alone."""
    is_manifest = isinstance(source, Mapping) and "manifest" in source
    return "manifest" if is_manifest or isinstance(source, Manifest) else "pair"


Source = Annotated[
    Annotated[PairSource, Tag("pair")] | Annotated[Manifest, Tag("manifest")],
    Discriminator(_kind),
]
