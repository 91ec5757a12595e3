"""The table of products: one row for each file or store that a run can write below its prefix.

Everything that lists products reads this table: URLs, sizes, the STAC item, the report and what
publishes them. A new product is a row here and the maker that the row names; if users may ask for
it, also a setting in `config.job.Outputs`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from segtasks.config.job import Job
from segtasks.config.vectors import Vectors
from segtasks.planning.plan import Plan
from segtasks.raster.labels import NODATA
from segtasks.raster.units import HALF_BYTES, MIB

MASK_SHARE = 0.1
"""Bytes per pixel of a mask as COG: 0.05 measured on scenes of six classes."""
CONFIDENCE_SHARE = 0.6
"""The same of the confidence: 0.01 to 0.57 measured on 46 scenes."""
POLYGONS_SHARE = 1.0
"""The same of polygons along all pixels' edges, of labels of the usual grain (docs/vectors.md)."""
PROBABILITIES_SHARE = HALF_BYTES / 2
"""Bytes per pixel and class: probabilities seldom compress below half."""
PICTURE_BYTES, PICTURES = MIB, 4
"""About what a picture of a whole raster takes, however large that is; as many are in a report."""

COG = "image/tiff; application=geotiff; profile=cloud-optimized"
XML = "application/xml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """How a product shows which job made it: it carries a fingerprint (see `outputs.provenance`).

    Attributes:
        place: where the fingerprint is: a tag of the GeoTIFF or an attribute of the Zarr group.
        pixels: what the pixels are, in words; it is written next to the fingerprint.
        settings: what the product depends on besides everything that the mask depends on.
    """

    place: Literal["tag", "attribute"]
    pixels: Callable[[Plan], str]
    settings: Callable[[Job], list[object]] = lambda _: []


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """One product of a run.

    Attributes:
        name: key of its URL in `Result.urls`, and of its asset in the STAC item.
        file: name below the prefix of the results; a function where the job chooses the name.
        media_type: of the STAC asset; ``None`` where it follows from the suffix of the file.
        title: of the STAC asset.
        roles: of the STAC asset.
        description: what the report says about it.
        is_requested: whether a job asks for it.
        maker: what makes it, as ``module:function``; see `outputs.publication.Maker`. A string,
            since planning does not import outputs, and so that a job loads only what it makes.
        proof: how it shows which job made it; ``None``: it is made together with the mask, whose
            fingerprint counts for it.
        needs_run: whether only a run can make it; otherwise the classes of the model suffice.
        estimated_bytes: size; ``None`` where it is negligible.
    """

    name: str
    file: str | Callable[[Job], str]
    media_type: str | None
    title: str
    roles: tuple[str, ...]
    description: str
    is_requested: Callable[[Job], bool] = lambda _: True
    maker: str
    proof: Proof | None = None
    needs_run: bool = True
    estimated_bytes: Callable[[Plan], float] | None = None

    def url(self, job: Job) -> str:
        """Where it goes."""
        return f"{job.to}/{self.file if isinstance(self.file, str) else self.file(job)}"


def requested_products(job: Job) -> list[Product]:
    """The products that a job asks for, in the order of the table."""
    return [product for product in PRODUCTS.values() if product.is_requested(job)]


def result_urls(plan: Plan) -> dict[str, str]:
    """Where each product that is asked for goes, by name."""
    return {product.name: product.url(plan.job) for product in requested_products(plan.job)}


def _labelled_px(plan: Plan) -> int:
    return plan.selected(plan.mask_stage).pixels


def _confidence_pixels(plan: Plan) -> str:
    source = "CRF marginals" if plan.crf else "network probabilities"
    return f"{plan.confidence} of {source}: 0..254 is 0..1; {NODATA} is nodata"


def _probabilities_bytes(plan: Plan) -> float:
    return plan.selected("predict").pixels * len(plan.card.classes) * PROBABILITIES_SHARE


_TABLE = (
    Product(
        name="mask",
        file="mask.tif",
        media_type=COG,
        title="Class ids",
        roles=("data",),
        description="class ids as a Cloud-Optimised GeoTIFF; QGIS shows its classes and colours",
        maker="segtasks.outputs.rasters:make_mask",
        proof=Proof(place="tag", pixels=lambda _: f"Class ids; {NODATA} is nodata"),
        estimated_bytes=lambda plan: _labelled_px(plan) * MASK_SHARE,
    ),
    Product(
        name="legend",
        file="mask.tif.aux.xml",
        media_type=XML,
        title="Class names and colours, for GDAL",
        roles=("metadata",),
        description="names and colours of the classes, for GDAL and QGIS",
        maker="segtasks.outputs.gdal_legend:make_legend",
        needs_run=False,
    ),
    Product(
        name="style",
        file="mask.qml",
        media_type=XML,
        title="Class names and colours, for QGIS",
        roles=("metadata",),
        description="the same as a style, which QGIS takes up by itself",
        maker="segtasks.outputs.qgis_style:make_style",
        needs_run=False,
    ),
    Product(
        name="confidence",
        file="confidence.tif",
        media_type=COG,
        title="Confidence of the mask",
        roles=("data", "confidence"),
        description="how sure each label is, 0 to 254 for 0 to 1",
        is_requested=lambda job: job.outputs.confidence is not None,
        maker="segtasks.outputs.rasters:make_confidence",
        proof=Proof(
            place="tag",
            pixels=_confidence_pixels,
            settings=lambda job: [job.outputs.confidence],
        ),
        estimated_bytes=lambda plan: _labelled_px(plan) * CONFIDENCE_SHARE,
    ),
    Product(
        name="probabilities",
        file="probabilities.zarr",
        media_type="application/vnd.zarr; version=3",
        title="Probability of each class",
        roles=("data", "probabilities"),
        description="probabilities of all classes, as Zarr",
        is_requested=lambda job: job.outputs.probabilities,
        maker="segtasks.outputs.rasters:make_probabilities",
        proof=Proof(
            place="attribute",
            pixels=lambda _: "Probabilities of the network, before any CRF; NaN is nodata",
        ),
        estimated_bytes=_probabilities_bytes,
    ),
    Product(
        name="item",
        file="item.json",
        media_type="application/geo+json",
        title="STAC item",
        roles=("metadata",),
        description="STAC item of source, model and results",
        is_requested=lambda job: job.outputs.stac,
        maker="segtasks.outputs.stac_item:make_item",
    ),
    Product(
        name="quicklook",
        file="quicklook.png",
        media_type="image/png",
        title="Image and mask",
        roles=("overview",),
        description="image and mask side by side",
        is_requested=lambda job: job.outputs.quicklook,
        maker="segtasks.outputs.quicklook:make_quicklook",
        estimated_bytes=lambda _: PICTURE_BYTES,
    ),
    Product(
        name="report",
        file="report.html",
        media_type="text/html",
        title="Report of the run",
        roles=("metadata",),
        description="report of the run",
        is_requested=lambda job: job.outputs.report,
        maker="segtasks.outputs.report.page:make_report",
        estimated_bytes=lambda _: PICTURES * PICTURE_BYTES,
    ),
    Product(
        name="polygons",
        file=lambda job: (job.vectors or Vectors()).file_name,
        media_type=None,
        title="Polygons of the mask",
        roles=("data",),
        description="polygons",
        is_requested=lambda job: job.vectors is not None,
        maker="segtasks.outputs.polygon_layer:make_polygons",
        estimated_bytes=lambda plan: _labelled_px(plan) * POLYGONS_SHARE,
    ),
)
"""In the order in which products are made and listed: a maker finds the rasters of the rows above
it, and the mask is the first, since most are made of it."""

PRODUCTS: Mapping[str, Product] = {product.name: product for product in _TABLE}
