"""A batch: one job for many rasters, of which only the new and changed ones are done."""

from os.path import commonprefix
from pathlib import PurePosixPath

from pydantic import Field

from segtasks.addresses import public
from segtasks.errors import JobError, SourceError
from segtasks.job import Job
from segtasks.storage import objects

SUFFIXES = {".tif", ".tiff", ".jp2", ".vrt", ".img", ".png", ".jpg", ".jpeg"}
MAGIC = set("*?[")


class BatchJob(Job):
    """Segment many rasters with the same settings; each gets its own folder under ``to``."""

    source: str = Field(
        min_length=1,
        description="A folder or prefix (all rasters below it), a glob with * or **, a raster, or "
        "a manifest: a .txt file with one path or url per line.",
        examples=["s3://bucket/incoming/"],
    )
    to: str = Field(
        min_length=1,
        title="Results go to",
        description="Prefix of the results; the mask of incoming/a.tif is PREFIX/a/mask.tif.",
        examples=["s3://bucket/masks"],
    )


def jobs(batch: BatchJob) -> list[Job]:
    """One job per raster, by name.

    Raises:
        SourceError: no raster is found.
        JobError: two rasters would share a destination.
    """
    names = _names(batch)
    destinations = [_destination(batch, name) for name in names.values()]
    twice = [to for to in destinations if destinations.count(to) > 1]
    if twice:
        raise JobError(f"{twice[0]}: two sources have this destination; rename one of them")
    settings = batch.model_dump(exclude={"source", "to", "workspace"})
    return [
        Job(source=url, to=to, workspace=_workspace(batch, to), **settings)
        for url, to in zip(names, destinations, strict=True)
    ]


def _names(batch: BatchJob) -> dict[str, str]:
    """Url of each raster, and its name below the prefix."""
    if batch.source.endswith(".txt"):
        urls = objects.read_bytes(batch.source).decode().split("\n")
        found = _below_common_folder([url.strip() for url in urls if url.strip()])
    elif _is_raster(batch.source) and not MAGIC & set(public(batch.source)):
        found = _below_common_folder([batch.source])
    else:
        found = _listed(batch)
    if not found:
        raise SourceError(f"{batch.source}: no raster there ({', '.join(sorted(SUFFIXES))})")
    return found


def _below_common_folder(urls: list[str]) -> dict[str, str]:
    """Each url, and its name below the deepest folder that holds them all, if there is one."""
    parts = [public(url).split("/") for url in urls]
    shared = len(commonprefix([words[:-1] for words in parts]))  # noqa: RUF071 - of words
    beside = not any("://" in url or url.startswith(("/", "..")) for url in urls)
    below = shared if shared or beside else -1
    return {url: "/".join(words[below:]) for url, words in zip(urls, parts, strict=True)}


def _listed(batch: BatchJob) -> dict[str, str]:
    is_glob = bool(MAGIC & set(batch.source))
    prefix = batch.source.split("*")[0].rpartition("/")[0] if is_glob else batch.source.rstrip("/")
    urls = objects.find(batch.source if is_glob else f"{prefix}/**")
    skipped = f"{batch.to}/"
    return {
        url: url.removeprefix(f"{prefix}/").lstrip("/")
        for url in urls
        if _is_raster(url) and not url.startswith(skipped)
    }


def _is_raster(url: str) -> bool:
    return PurePosixPath(public(url)).suffix.lower() in SUFFIXES


def _destination(batch: BatchJob, name: str) -> str:
    return f"{batch.to}/{PurePosixPath(name).with_suffix('')}"


def _workspace(batch: BatchJob, to: str) -> str | None:
    return batch.workspace and f"{batch.workspace}/{to.removeprefix(batch.to).strip('/')}"
