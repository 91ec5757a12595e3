"""The job: one model that is the command line, the YAML file and the form in Prefect's UI."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from segtasks.config.base import Auto, ConfigModel, Prefix, WholeChunks
from segtasks.config.cleanup import Cleanup
from segtasks.config.crf import Crf
from segtasks.config.form_schema import ADVANCED
from segtasks.config.inference import Inference
from segtasks.config.loading import validated
from segtasks.config.vectors import Vectors
from segtasks.raster.confidence import Kind

Pixels = Annotated[int, Field(ge=1, le=65536)]


class Tiling(ConfigModel):
    """How the raster is cut into tiles (units of work) and patches (inputs of the network)."""

    tile_px: Annotated[int, Field(ge=64, le=65536), WholeChunks] = Field(
        2048, description="Side of a tile's core in pixels: what one task writes."
    )
    patch_px: Pixels | Auto = Field(
        "auto",
        description="Side of one network input in pixels, overlap included. auto: as large as "
        "2 GiB of activations allow, since large patches waste less halo.",
    )
    overlap_px: Annotated[int, Field(ge=0, le=32768)] | Literal["auto", "exact"] = Field(
        "auto",
        description="Patch minus step in pixels (twice the halo). exact: the halo that equals a "
        "whole-image forward. auto: exact where it costs little, else the measured effective "
        "receptive field.",
    )
    stitch: Literal["auto", "crop", "blend"] = Field(
        "auto",
        description="crop keeps each patch's trusted centre; blend averages overlapping patches "
        "with weights that vanish at their edges. auto: crop where the network has a finite halo.",
    )


class Outputs(ConfigModel):
    """What is written beside the mask."""

    confidence: Kind | None = Field(
        "max_probability",
        description="confidence.tif: how sure each label is, 0 to 1. max_probability: the label's "
        "probability. margin: less that of the next likely class. entropy: 1 - entropy / ln "
        "classes. Of the CRF's marginals where there is a CRF.",
    )
    probabilities: bool = Field(
        default=False,
        description="probabilities.zarr: the network's probability of each class, before the CRF; "
        "large.",
    )
    stac: bool = Field(
        default=True, description="item.json: a STAC item of the results, their source and model."
    )
    quicklook: bool = Field(default=True, description="quicklook.png: image and mask side by side.")
    report: bool = Field(
        default=True,
        description="report.html: pictures, areas, seams, timings and settings on one page.",
    )


class Compute(ConfigModel):
    """Where tiles are computed."""

    kind: Literal["auto", "inline", "local", "gpu", "address", "cluster"] = Field(
        "auto",
        description="inline: this process. local: Dask processes on this machine. gpu: one "
        "process per GPU. address: a running Dask scheduler. cluster: any Dask cluster class "
        "(Kubernetes, SLURM). auto: gpu where there is one, inline for small images, else local.",
    )
    workers: Annotated[int, Field(ge=1, le=10000)] | Auto = Field(
        "auto", description="Worker processes. auto: one per core (or per GPU)."
    )
    batch: int = Field(1, ge=1, le=1024, description="Patches per forward; pays on a GPU only.")
    address: str | None = Field(None, description="Scheduler address, tcp://host:port.")
    cluster_class: str | None = Field(
        None, description="Dotted name, e.g. dask_kubernetes.operator.KubeCluster."
    )
    cluster_kwargs: dict[str, Any] = Field(
        default_factory=dict, description="Its keyword arguments."
    )

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.kind == "address" and not self.address:
            raise ValueError("kind is address: give address, e.g. tcp://127.0.0.1:8786")
        if self.kind == "cluster" and not self.cluster_class:
            raise ValueError("kind is cluster: give cluster_class, a dotted name")
        return self


class Limits(ConfigModel):
    """Bounds that are checked before and while the job runs."""

    worker_memory_gib: Annotated[float, Field(gt=0, le=4096)] | Auto = Field(
        "auto", description="Memory of one worker in GiB. auto: the machine's, shared evenly."
    )
    attempts: int = Field(
        3, ge=1, le=20, description="How often a tile may fail or kill its worker."
    )
    failed_tiles: int = Field(
        10, ge=0, description="The stage stops at once when more tiles than this have failed."
    )


class Job(ConfigModel):
    """Segment one raster: source in, PREFIX/mask.tif out."""

    source: str = Field(
        min_length=1,
        description="The image: any raster GDAL opens; a path, s3://bucket/key or https://...",
        examples=["s3://bucket/ortho.tif"],
    )
    to: Prefix = Field(
        min_length=1,
        title="Results go to",
        description="Prefix of the results, a folder or s3://bucket/prefix; the mask is "
        "PREFIX/mask.tif.",
        examples=["s3://bucket/ortho"],
    )
    model: str = Field(
        "demo",
        min_length=1,
        description="A model file (path or url), or the name of a shipped one.",
    )
    aoi: str | None = Field(
        None,
        title="Area of interest",
        description="A vector file or url (GeoJSON, GeoPackage, FlatGeobuf, GeoParquet; "
        "FILE|layername=LAYER), WKT, or a box MINX,MINY,MAXX,MAXY. Outside the mask is nodata and "
        "nothing is read but what the edge needs. Empty: the whole raster.",
        examples=["fields.gpkg", "500000,2990000,504000,2994000"],
    )
    aoi_crs: str | None = Field(
        None,
        title="CRS of the area",
        description="E.g. EPSG:4326. Empty: what its file says (GeoJSON: WGS84); of WKT or a box "
        "the raster's.",
    )
    bands: tuple[Annotated[int, Field(ge=1)], ...] | None = Field(
        None,
        description="1-based source bands in the model's order; a band may be repeated. "
        "Empty: those the file names as the model does, else the first that are not alpha.",
        json_schema_extra=ADVANCED,
    )
    stretch: tuple[float, float] | Auto | None = Field(
        None,
        description="Raw values LOW, HIGH that become the model's 0 and full range, for sources "
        "in other units than the model's; auto: 2 % and 98 % of each band's sampled pixels.",
        json_schema_extra=ADVANCED,
    )
    gamma: float | None = Field(
        None,
        ge=0.2,
        le=5,
        description="With a stretch: values between its ends rise as v^(1/gamma). 2.2 if the "
        "source is proportional to light (reflectance, radiance) and the model has learnt from "
        "pictures; none, or 1: evenly.",
        json_schema_extra=ADVANCED,
    )
    tiling: Tiling = Field(Tiling(), title="Advanced: tiling", json_schema_extra=ADVANCED)
    inference: Inference = Field(
        Inference(), title="Advanced: inference", json_schema_extra=ADVANCED
    )
    crf: Crf | None = Field(
        Crf(),
        title="Advanced: CRF",
        description="Dense CRF; none: the network's labels as they are.",
        json_schema_extra=ADVANCED,
    )
    cleanup: Cleanup | None = Field(
        None,
        title="Advanced: clean-up",
        description="Sieve the mask by a minimum mapping unit; none: as it is.",
        json_schema_extra=ADVANCED,
    )
    outputs: Outputs = Outputs()
    vectors: Vectors | None = Field(
        None,
        title="Advanced: vectors",
        description="Polygons of the mask, PREFIX/polygons.*; none: no polygons.",
        json_schema_extra=ADVANCED,
    )
    workspace: Prefix | None = Field(
        None,
        description="Folder or s3:// prefix for what rests between stages. "
        "Empty: PREFIX/.workspace.",
        json_schema_extra=ADVANCED,
    )
    keep_workspace: bool = Field(
        default=False,
        description="Keep the workspace after success.",
        json_schema_extra=ADVANCED,
    )
    fresh: bool = Field(
        default=False,
        description="Discard an unfinished workspace and start again.",
        json_schema_extra=ADVANCED,
    )
    overwrite: bool = Field(default=False, description="Replace an existing mask.")
    compute: Compute = Field(Compute(), title="Advanced: compute", json_schema_extra=ADVANCED)
    limits: Limits = Field(Limits(), title="Advanced: limits", json_schema_extra=ADVANCED)

    @field_validator("aoi", mode="before")
    @classmethod
    def _box_of_a_list(cls, value: object) -> object:
        return ",".join(map(str, value)) if isinstance(value, list | tuple) else value

    @model_validator(mode="after")
    def _crs_of_something(self) -> Self:
        if self.aoi_crs and not self.aoi:
            raise ValueError(f"aoi_crs {self.aoi_crs}: there is no aoi; give both or none")
        return self

    @field_validator("stretch")
    @classmethod
    def _stretch_rises(cls, value: tuple[float, float] | Auto | None) -> object:
        if isinstance(value, tuple) and not value[0] < value[1]:
            raise ValueError(f"stretch {value[0]:g},{value[1]:g}: LOW must be below HIGH")
        return value

    @model_validator(mode="after")
    def _gamma_of_something(self) -> Self:
        if self.gamma and self.stretch is None:
            raise ValueError(f"gamma {self.gamma:g}: there is no stretch; give both or none")
        return self

    @property
    def workspace_url(self) -> str:
        """Where data rests between stages."""
        return self.workspace or f"{self.to}/.workspace"


def make_job(values: dict[str, Any]) -> Job:
    """The job of ``values``; see `settings.validated`."""
    return validated(Job, values)
