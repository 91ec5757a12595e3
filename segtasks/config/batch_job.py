"""The job that segments many rasters."""

from pydantic import Field

from segtasks.config.base import Prefix
from segtasks.config.job import Job


class BatchJob(Job):
    """Segment many rasters with the same settings; each gets its own folder under ``to``."""

    source: str = Field(
        min_length=1,
        description="A folder or prefix (all rasters below it), a glob with * or **, a raster, or "
        "a manifest: a .txt file with one path or URL per line.",
        examples=["s3://bucket/incoming/"],
    )
    to: Prefix = Field(
        min_length=1,
        title="Results go to",
        description="Prefix of the results; the mask of incoming/a.tif is PREFIX/a/mask.tif.",
        examples=["s3://bucket/masks"],
    )
