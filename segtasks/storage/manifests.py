"""Find pairs of images and labels, or masks and labels, from globs and manifests."""

import csv
from collections.abc import Iterator, Sequence
from glob import has_magic
from io import StringIO
from pathlib import PurePosixPath
from typing import Any

import yaml

from segtasks.config.evaluation_job import COLUMNS
from segtasks.config.label_sources import PairSource, Row, Source, Split
from segtasks.config.loading import validated
from segtasks.errors import JobError
from segtasks.storage import object_store


def read_manifest(url: str, columns: tuple[str, ...] = COLUMNS) -> list[dict[str, Any]]:
    """Read pairs from a CSV file.

    Args:
        url: the file. Relative names in it are relative to its folder.
        columns: the columns that it may have. The first two are required.

    Raises:
        JobError: it is not a CSV file with these columns.
        StorageError: it cannot be read.
    """
    try:
        rows = list(csv.DictReader(StringIO(object_store.read_bytes(url).decode("utf-8-sig"))))
    except (UnicodeDecodeError, csv.Error) as error:
        raise JobError(
            f"{url}: is not a CSV file ({error}); write {','.join(columns[:2])} and a row per image"
        ) from None
    if not rows:
        head = ",".join(columns[:2])
        raise JobError(f"{url}: has no rows; write {head} and a row per image")
    unknown = [key for key in rows[0] if key not in columns]
    missing = [key for key in columns[:2] if key not in rows[0]]
    if unknown or missing:
        found = ", ".join(str(key) for key in rows[0])
        raise JobError(f"{url}: has the columns {found}; name them {', '.join(columns)}")
    return [_pair(url, columns[:2], number, row) for number, row in enumerate(rows, start=1)]


def find_pairs(sources: Sequence[Source]) -> list[tuple[str, str]]:
    """Return the names (image, labels) of all sources in order, those of a glob sorted.

    Files that are the labels of another image are not taken as images, even if a glob finds them.

    Raises:
        JobError: a glob finds nothing, or a file is no manifest.
        StorageError: a manifest or folder cannot be read.
    """
    patterns = [pair for source in sources for pair in _rows(source)]
    found = [names for pattern in patterns for names in _expand(pattern)]
    labels = {name for _, name in found}
    pairs = [pair for pair in found if pair[0] not in labels]
    if not pairs:
        raise JobError(
            f"no images at {', '.join(pattern.image for pattern in patterns)}; check the glob"
        )
    return pairs


def splits_of(manifest: str) -> set[Split]:
    """Return the splits that a manifest names; the set is empty if it has no such column.

    Raises:
        JobError: it is no manifest, or names a split in some rows only.
        StorageError: it cannot be read.
    """
    splits = [row.split for row in _read_rows(manifest)]
    named = {split for split in splits if split is not None}
    if named and None in splits:
        raise JobError(
            f"{manifest}: row {splits.index(None) + 1} names no split, but other rows do; write "
            "train, val or test in each row"
        )
    return named


def _pair(
    url: str, required: tuple[str, ...], number: int, row: dict[str, str | None]
) -> dict[str, str]:
    names = {key: value.strip() for key, value in row.items() if value and value.strip()}
    for key in required:
        if key not in names:
            raise JobError(f"{url}: row {number} names no {key}; write one")
    folder = url.rpartition("/")[0] or "."
    return {key: _resolve(name, folder) for key, name in names.items()}


def _rows(source: Source) -> Iterator[PairSource]:
    if isinstance(source, PairSource):
        yield source
        return
    splits = splits_of(source.manifest)
    if source.split and source.split not in splits:
        existing = ", ".join(sorted(splits)) or "no split at all"
        raise JobError(f"{source.manifest}: has {existing}, but no row of split {source.split}")
    folder = source.root or source.manifest.rpartition("/")[0] or "."
    for row in _read_rows(source.manifest):
        if source.split in {None, row.split}:
            image, labels = _resolve(row.image, folder), _resolve(row.labels, folder)
            yield PairSource(image=image, labels=labels)


def _read_rows(manifest: str) -> list[Row]:
    """Return the rows of a manifest with the names as written in it."""
    try:
        text = object_store.read_bytes(manifest).decode("utf-8-sig")
        rows = _parse(manifest, text)
    except (UnicodeDecodeError, yaml.YAMLError, csv.Error) as error:
        reason = " ".join(str(error).split())
        raise JobError(f"{manifest}: is no manifest ({reason}); see docs/training.md") from None
    if not rows:
        raise JobError(f"{manifest}: lists no pairs; see docs/training.md")
    return [_validate_row(manifest, number, row) for number, row in enumerate(rows, start=1)]


def _parse(manifest: str, text: str) -> Sequence[Any]:
    """Parse CSV, YAML or JSON by the suffix, else lines of names separated by white space."""
    suffix = PurePosixPath(manifest).suffix.lower()
    if suffix == ".csv":
        reader = csv.DictReader(StringIO(text, newline=""), restkey="extra", skipinitialspace=True)
        return [{key: value for key, value in row.items() if value} for row in reader]
    if suffix in {".yaml", ".yml", ".json"}:
        rows = yaml.safe_load(text)
        return rows if isinstance(rows, list) else [rows] if rows else []
    lines = [line.split(maxsplit=2) for line in text.splitlines() if line.strip()]
    return [dict(zip(Row.model_fields, line, strict=False)) for line in lines]


def _validate_row(manifest: str, number: int, values: Any) -> Row:  # noqa: ANN401 - any YAML value
    try:
        return validated(Row, values)
    except JobError as error:
        raise JobError(f"{manifest}: row {number}: {error}") from None


def _resolve(name: str, folder: str) -> str:
    """Make a relative name relative to ``folder``; urls and names with {parent} stay."""
    is_complete = name.startswith(("/", "{parent}")) or "://" in name
    return name if is_complete else f"{folder}/{name}"


def _expand(source: PairSource) -> list[tuple[str, str]]:
    """Return the names (image, labels) that a pair of patterns stands for."""
    is_glob = has_magic(source.image) and not object_store.exists(source.image)
    images = object_store.find(source.image) if is_glob else [source.image]
    return [(image, _labels_of(image, source.labels)) for image in images]


def _labels_of(image: str, template: str) -> str:
    parent, _, name = image.rpartition("/")
    stem = PurePosixPath(name).stem
    return template.replace("{parent}", parent or ".").replace("{stem}", stem)
