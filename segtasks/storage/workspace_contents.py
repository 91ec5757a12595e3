"""What a workspace holds, said in its manifest: enough to judge its arrays without its job."""

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
"""In the manifest."""


class Contents(ConfigModel):
    """Of the arrays' pixels: where on earth, which classes, how raw values become colours.

    Attributes:
        raster: header of the source, on whose grid the arrays are.
        legend: the classes of the probabilities, by id.
        colours: what makes raw values of the image 0..255 for the CRF.
    """

    raster: RasterHeader
    legend: tuple[ClassEntry, ...]
    colours: Stretch

    @classmethod
    def read(cls, url: str) -> Self:
        """Of a workspace.

        Raises:
            WorkspaceError: there is none, or it was begun by a segtasks that said this otherwise.
        """
        manifest = workspace.read_manifest(url)
        if manifest is None:
            raise WorkspaceError(
                f"{url}: is no workspace; give one that segtasks run --keep-workspace left, "
                "PREFIX/.workspace"
            )
        try:
            return cls.model_validate(manifest.get(KEY))
        except ValidationError as error:
            raise WorkspaceError(
                f"{url}: does not say what it holds, another segtasks made it; make it anew with "
                "segtasks run --fresh --overwrite --keep-workspace"
            ) from error

    def entry(self) -> Mapping[str, Any]:
        """For the manifest, which serves people too: the raster's url is read by nobody."""
        shown = replace(self.raster, url=redact_url(self.raster.url))
        return {KEY: self.model_copy(update={"raster": shown}).model_dump(mode="json")}
