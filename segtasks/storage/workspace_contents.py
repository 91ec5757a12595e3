"""The contents of a workspace, recorded in its manifest: its arrays can be read without the job."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Self

from pydantic import ValidationError

from segtasks.config.base import ConfigModel
from segtasks.config.legend import ClassEntry
from segtasks.errors import WorkspaceError, redact_url
from segtasks.raster.header import RasterHeader
from segtasks.raster.stretch import Stretch
from segtasks.storage import workspace

KEY = "contents"
"""Key in the manifest."""


class Contents(ConfigModel):
    """The meaning of a workspace's arrays: grid, classes, and stretch of the image's values.

    Attributes:
        raster: header of the source, which defines the grid of the arrays.
        legend: the classes of the probabilities, by id.
        colours: the stretch of raw image values to 0..255 for the CRF.
    """

    raster: RasterHeader
    legend: tuple[ClassEntry, ...]
    colours: Stretch

    @classmethod
    def read(cls, url: str) -> Self:
        """Return the contents of a workspace.

        Raises:
            WorkspaceError: there is no workspace, or another version of segtasks made it.
        """
        manifest = workspace.read_manifest(url)
        if manifest is None:
            raise WorkspaceError(
                f"{url}: is no workspace; give one that was kept by segtasks run --keep-workspace, "
                "PREFIX/.workspace"
            )
        try:
            return cls.model_validate(manifest.get(KEY))
        except ValidationError as error:
            raise WorkspaceError(
                f"{url}: has no valid description of its contents (another version of segtasks "
                "made it); make it again with segtasks run --fresh --overwrite --keep-workspace"
            ) from error

    def entry(self) -> Mapping[str, Any]:
        """Return the entry for the manifest, in which the raster's url has no secrets."""
        redacted = replace(self.raster, url=redact_url(self.raster.url))
        return {KEY: self.model_copy(update={"raster": redacted}).model_dump(mode="json")}
