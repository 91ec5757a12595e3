"""``item.json``: a STAC item of the results, with their source and the model that made them.

Extensions: projection 2.0, raster 1.1, classification 2.0, MLM 1.4, as pystac writes them.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pystac
from pystac.extensions.classification import Classification, ClassificationExtension
from pystac.extensions.projection import ProjectionExtension
from pystac.extensions.raster import DataType, RasterBand, RasterExtension

from segtasks.config.legend import ClassEntry
from segtasks.outputs.stac_mlm import Model, add_model
from segtasks.planning.products import PRODUCTS
from segtasks.raster.labels import NODATA


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where the results lie on earth; a raster without a CRS has none.

    Attributes:
        geometry: GeoJSON in longitude and latitude.
        bbox: of the same: west, south, east, north.
        code: AUTHORITY:CODE of the CRS, if it has one; else ``wkt`` says it.
        transform: (a, b, c, d, e, f), as in `raster.Raster`; ``None`` of control points.
        side_m: of a pixel on the ground.
    """

    geometry: dict[str, Any]
    bbox: tuple[float, float, float, float]
    code: str | None
    wkt: str
    transform: tuple[float, ...] | None
    side_m: float | None


@dataclass(frozen=True, kw_only=True)
class Scene:
    """All that an item says.

    Attributes:
        dated: of the source's pixels where it says so, else of the run.
        made: when the results were made.
        results: hrefs by name, relative to the item.
        confidence: what the confidence shows, and its value per byte.
        provenance: further properties.
    """

    id: str
    shape: tuple[int, int]
    place: Place | None
    classes: Sequence[ClassEntry]
    model: Model
    source: str
    dated: datetime
    made: datetime
    results: Mapping[str, str]
    confidence: tuple[str, float] | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)


def item_json(scene: Scene) -> bytes:
    """The item as GeoJSON."""
    place = scene.place
    item = pystac.Item(
        id=scene.id,
        geometry=place.geometry if place else None,
        bbox=list(place.bbox) if place else None,
        datetime=scene.dated,
        properties={"created": pystac.utils.datetime_to_str(scene.made), **scene.provenance},
    )
    _add_projection(item, scene)
    _add_assets(item, scene)
    add_model(item, scene.model, _classes(scene))
    return json.dumps(item.to_dict(include_self_link=False), indent=1).encode()


def _add_projection(item: pystac.Item, scene: Scene) -> None:
    if scene.place is None:
        return
    place = scene.place
    ProjectionExtension.ext(item, add_if_missing=True).apply(
        code=place.code,
        wkt2=None if place.code else place.wkt,
        shape=list(scene.shape),
        transform=list(place.transform) if place.transform else None,
    )


def _add_assets(item: pystac.Item, scene: Scene) -> None:
    for name, href in scene.results.items():
        product = PRODUCTS[name]
        asset = pystac.Asset(
            href,
            title=product.title,
            media_type=product.media_type or _media_of(href),
            roles=list(product.roles),
        )
        item.add_asset(name, asset)
    item.add_asset(
        "source",
        pystac.Asset(
            scene.source,
            title="Source raster",
            media_type=_media_of(scene.source),
            roles=["source"],
        ),
    )
    side = scene.place.side_m if scene.place else None
    mask = RasterExtension.ext(item.assets["mask"], add_if_missing=True)
    mask.apply([_band(nodata=NODATA, spatial_resolution=side)])
    ClassificationExtension.ext(item.assets["mask"], add_if_missing=True).apply(_classes(scene))
    if scene.confidence and "confidence" in item.assets:
        kind, scale = scene.confidence
        asset = item.assets["confidence"]
        asset.description = kind
        band = _band(nodata=NODATA, scale=scale, offset=0.0, spatial_resolution=side)
        RasterExtension.ext(asset).apply([band])


MEDIA = {
    ".tif": pystac.MediaType.GEOTIFF,
    ".tiff": pystac.MediaType.GEOTIFF,
    ".jp2": pystac.MediaType.JPEG2000,
    ".png": pystac.MediaType.PNG,
    ".parquet": pystac.MediaType.PARQUET,
    ".fgb": pystac.MediaType.FLATGEOBUF,
    ".gpkg": pystac.MediaType.GEOPACKAGE,
    ".jpg": pystac.MediaType.JPEG,
    ".jpeg": pystac.MediaType.JPEG,
    ".vrt": pystac.MediaType.XML,
}


def _media_of(href: str) -> str | None:
    suffix = re.search(r"\.\w+$", href.lower())
    return MEDIA.get(suffix.group()) if suffix else None


def _band(**fields: Any) -> RasterBand:  # noqa: ANN401 - RasterBand's own
    return RasterBand.create(data_type=DataType.UINT8, **fields)


def _classes(scene: Scene) -> list[Classification]:
    """Names of classes are words here; the legend's own are titles."""
    return [
        Classification.create(
            value=entry.id,
            name=re.sub(r"[^0-9A-Za-z_-]+", "_", entry.name).strip("_") or f"class_{entry.id}",
            title=entry.name,
            color_hint=entry.color[1:].upper(),
        )
        for entry in scene.classes
    ]
