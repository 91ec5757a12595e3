"""Which image goes with which labels: pairs, globs, and manifests of them."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from glob import has_magic
from io import StringIO
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal

import yaml
from pydantic import Discriminator, Field, Tag

from segtasks.errors import JobError
from segtasks.part import Part
from segtasks.settings import validated
from segtasks.storage import objects

Split = Literal["train", "val", "test"]


class PairSource(Part):
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


class Manifest(Part):
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


def find_pairs(sources: Sequence[Source]) -> list[tuple[str, str]]:
    """Return (image, labels) names in order, globs sorted; a glob's own labels are no images.

    Raises:
        JobError: a glob finds nothing, or a manifest is not one.
        StorageError: a manifest or folder cannot be read.
    """
    single = [pair for source in sources for pair in _rows(source)]
    found = [names for pair in single for names in _expand(pair)]
    labels = {name for _, name in found}
    pairs = [pair for pair in found if pair[0] not in labels]
    if not pairs:
        raise JobError(f"no images at {', '.join(pair.image for pair in single)}; check the glob")
    return pairs


def splits_of(manifest: str) -> set[Split]:
    """Return the splits a manifest names; none when it has no such column.

    Raises:
        JobError: it is no manifest, or names the split of some rows only.
        StorageError: it cannot be read.
    """
    splits = [row.split for row in _listed(manifest)]
    named = {split for split in splits if split is not None}
    if named and None in splits:
        raise JobError(
            f"{manifest}: row {splits.index(None) + 1} names no split, others do; write "
            "train, val or test in each"
        )
    return named


def _rows(source: Source) -> Iterator[PairSource]:
    if isinstance(source, PairSource):
        yield source
        return
    named = splits_of(source.manifest)
    if source.split and source.split not in named:
        said = ", ".join(sorted(named)) or "no split at all"
        raise JobError(f"{source.manifest}: has {said}, but no row of split {source.split}")
    folder = source.root or source.manifest.rpartition("/")[0] or "."
    for row in _listed(source.manifest):
        if source.split in {None, row.split}:
            image, labels = placed(row.image, folder), placed(row.labels, folder)
            yield PairSource(image=image, labels=labels)


def _listed(manifest: str) -> list[Row]:
    """Return the rows of a manifest, names as they stand in it."""
    try:
        text = objects.read_bytes(manifest).decode("utf-8-sig")
        found = _parsed(manifest, text)
    except (UnicodeDecodeError, yaml.YAMLError, csv.Error) as error:
        reason = " ".join(str(error).split())
        raise JobError(f"{manifest}: is no manifest ({reason}); see docs/training.md") from None
    if not found:
        raise JobError(f"{manifest}: lists no pairs; see docs/training.md")
    return [_row(manifest, place, row) for place, row in enumerate(found, start=1)]


def _parsed(manifest: str, text: str) -> Sequence[Any]:
    suffix = PurePosixPath(manifest).suffix.lower()
    if suffix == ".csv":
        reader = csv.DictReader(StringIO(text, newline=""), restkey="extra", skipinitialspace=True)
        return [{key: value for key, value in row.items() if value} for row in reader]
    if suffix in {".yaml", ".yml", ".json"}:
        rows = yaml.safe_load(text)
        return rows if isinstance(rows, list) else [rows] if rows else []
    lines = [line.split(maxsplit=2) for line in text.splitlines() if line.strip()]
    return [dict(zip(Row.model_fields, line, strict=False)) for line in lines]


def _row(manifest: str, place: int, values: Any) -> Row:  # noqa: ANN401 - whatever is in it
    try:
        return validated(Row, values)
    except JobError as error:
        raise JobError(f"{manifest}: row {place}: {error}") from None


def placed(name: str, folder: str) -> str:
    """``name`` in ``folder``; names in the image's folder, absolute ones and urls stay."""
    is_whole = name.startswith(("/", "{parent}")) or "://" in name
    return name if is_whole else f"{folder}/{name}"


def _expand(source: PairSource) -> list[tuple[str, str]]:
    if not has_magic(source.image) or objects.exists(source.image):
        return [(source.image, _labels_of(source.image, source.labels))]
    return [(name, _labels_of(name, source.labels)) for name in objects.find(source.image)]


def _labels_of(image: str, template: str) -> str:
    parent, _, name = image.rpartition("/")
    stem = PurePosixPath(name).stem
    return template.replace("{parent}", parent or ".").replace("{stem}", stem)
