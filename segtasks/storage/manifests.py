"""Which image goes with which labels: pairs, globs, and manifests of them."""

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
    """Pairs from a CSV file with the columns mask and labels, and maybe before, probabilities.

    Of other ``columns`` too the first two are needed. Relative names start from the file's folder.

    Raises:
        JobError: it is no such table.
    """
    try:
        rows = list(csv.DictReader(StringIO(object_store.read_bytes(url).decode("utf-8-sig"))))
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
        text = object_store.read_bytes(manifest).decode("utf-8-sig")
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
    if not has_magic(source.image) or object_store.exists(source.image):
        return [(source.image, _labels_of(source.image, source.labels))]
    return [(name, _labels_of(name, source.labels)) for name in object_store.find(source.image)]


def _labels_of(image: str, template: str) -> str:
    parent, _, name = image.rpartition("/")
    stem = PurePosixPath(name).stem
    return template.replace("{parent}", parent or ".").replace("{stem}", stem)
