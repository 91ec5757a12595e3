"""The job that segments a raster; CLI, YAML file and form are this one model."""

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
    """How the raster is divided into tiles (units of work) and patches (inputs of the network)."""

    tile_px: Annotated[int, Field(ge=64, le=65536), WholeChunks] = Field(
        2048, description="Side of the core of a tile in pixels; each task writes one core."
    )
    patch_px: Pixels | Auto = Field(
        "auto",
        description="Side of one network input in pixels, including the overlap. auto: as large as "
        "2 GiB of activations allow, since large patches spend less on halos.",
    )
    overlap_px: Annotated[int, Field(ge=0, le=32768)] | Literal["auto", "exact"] = Field(
        "auto",
        description="Overlap of neighbouring patches in pixels (twice the halo). exact: the result "
        "equals one forward over the whole image. auto: exact if that costs little, else the "
        "measured effective receptive field.",
    )
    stitch: Literal["auto", "crop", "blend"] = Field(
        "auto",
        description="crop keeps the centre of each patch, without its halo; blend averages "
        "overlapping patches with weights that fall to 0 at their edges. auto: crop if the "
        "network has a finite halo, else blend.",
    )


class Outputs(ConfigModel):
    """Results that are written in addition to the mask."""

    confidence: Kind | None = Field(
        "max_probability",
        description="confidence.tif: confidence of each label, 0 to 1. max_probability: the "
        "probability of the label. margin: the difference to the probability of the second most "
        "likely class. entropy: 1 - entropy / ln K of K classes. Computed from the marginals of "
        "the CRF, or from the network's probabilities without a CRF.",
    )
    probabilities: bool = Field(
        default=False,
        description="probabilities.zarr: the network's probability of each class, before the CRF. "
        "Large.",
    )
    stac: bool = Field(
        default=True,
        description="item.json: a STAC item of the results, with their source and model.",
    )
    quicklook: bool = Field(default=True, description="quicklook.png: image and mask side by side.")
    report: bool = Field(
        default=True,
        description="report.html: a page with pictures, areas, seams, timings and settings.",
    )


class Compute(ConfigModel):
    """Where tiles are computed, and by how many workers."""

    kind: Literal["auto", "inline", "local", "gpu", "address", "cluster"] = Field(
        "auto",
        description="inline: in this process. local: Dask processes on this machine. gpu: one "
        "process per GPU. address: a running Dask scheduler. cluster: any Dask cluster class "
        "(Kubernetes, SLURM). auto: gpu if there is a GPU, inline for small images, else local.",
    )
    workers: Annotated[int, Field(ge=1, le=10000)] | Auto = Field(
        "auto", description="Number of worker processes. auto: one per core (or per GPU)."
    )
    batch: int = Field(
        1, ge=1, le=1024, description="Patches per forward; more than 1 is faster only on a GPU."
    )
    address: str | None = Field(
        None, description="Address of the Dask scheduler, tcp://host:port, for kind address."
    )
    cluster_class: str | None = Field(
        None,
        description="Import path of the Dask cluster class for kind cluster, e.g. "
        "dask_kubernetes.operator.KubeCluster.",
    )
    cluster_kwargs: dict[str, Any] = Field(
        default_factory=dict, description="Keyword arguments of the cluster class."
    )

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.kind == "address" and not self.address:
            raise ValueError("kind is address: give address, e.g. tcp://127.0.0.1:8786")
        if self.kind == "cluster" and not self.cluster_class:
            raise ValueError(
                "kind is cluster: give cluster_class, e.g. dask_kubernetes.operator.KubeCluster"
            )
        return self


class Limits(ConfigModel):
    """Limits that are checked before and while the job runs."""

    worker_memory_gib: Annotated[float, Field(gt=0, le=4096)] | Auto = Field(
        "auto", description="Memory of one worker in GiB. auto: an equal share of the machine's."
    )
    attempts: int = Field(
        3,
        ge=1,
        le=20,
        description="How many times a tile is tried if it fails or kills its worker.",
    )
    failed_tiles: int = Field(
        10, ge=0, description="The stage stops as soon as more tiles than this have failed."
    )


class Job(ConfigModel):
    """Segment one raster; the mask is PREFIX/mask.tif."""

    source: str = Field(
        min_length=1,
        description="The image: any raster that GDAL opens; a path, s3://bucket/key or https://...",
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
        description="A model file or graph (path or URL), or the name of a shipped model.",
    )
    aoi: str | None = Field(
        None,
        title="Area of interest",
        description="A vector file, path or URL (GeoJSON, GeoPackage, FlatGeobuf, GeoParquet; "
        "FILE|layername=LAYER), WKT, or a box MINX,MINY,MAXX,MAXY. Outside it the mask is nodata, "
        "and only the surroundings that its edge needs are read. Default: the whole raster.",
        examples=["fields.gpkg", "500000,2990000,504000,2994000"],
    )
    aoi_crs: str | None = Field(
        None,
        title="CRS of the area",
        description="E.g. EPSG:4326. Default: the CRS of the file (GeoJSON: WGS84); for WKT or a "
        "box that of the raster.",
    )
    bands: tuple[Annotated[int, Field(ge=1)], ...] | None = Field(
        None,
        description="Source bands in the order of the model, counted from 1; a band may be "
        "repeated. Default: matched by the band names of the file and the model, else the first "
        "bands except alpha.",
        json_schema_extra=ADVANCED,
    )
    stretch: tuple[float, float] | Auto | None = Field(
        None,
        description="Raw values LOW, HIGH that are mapped to 0 and the maximum of the model's "
        "input range, for sources in other units than the model's. auto: the 2nd and 98th "
        "percentile of each band's sampled pixels.",
        json_schema_extra=ADVANCED,
    )
    gamma: float | None = Field(
        None,
        ge=0.2,
        le=5,
        description="With a stretch: values between LOW and HIGH are mapped by v^(1/gamma). Use "
        "2.2 if the source is proportional to light (reflectance, radiance) and the model was "
        "trained on ordinary pictures. None, or 1: linear.",
        json_schema_extra=ADVANCED,
    )
    tiling: Tiling = Field(Tiling(), title="Advanced: tiling", json_schema_extra=ADVANCED)
    inference: Inference = Field(
        Inference(), title="Advanced: inference", json_schema_extra=ADVANCED
    )
    crf: Crf | None = Field(
        Crf(),
        title="Advanced: CRF",
        description="Dense CRF that refines the labels. None: the labels of the network.",
        json_schema_extra=ADVANCED,
    )
    cleanup: Cleanup | None = Field(
        None,
        title="Advanced: clean-up",
        description="Sieve the mask by a minimum mapping unit. None: the mask is not sieved.",
        json_schema_extra=ADVANCED,
    )
    outputs: Outputs = Outputs()
    vectors: Vectors | None = Field(
        None,
        title="Advanced: vectors",
        description="Polygons of the mask, PREFIX/polygons.*. None: no polygons.",
        json_schema_extra=ADVANCED,
    )
    workspace: Prefix | None = Field(
        None,
        description="Folder or s3:// prefix of the intermediate data between stages. "
        "Default: PREFIX/.workspace.",
        json_schema_extra=ADVANCED,
    )
    keep_workspace: bool = Field(
        default=False,
        description="Keep the workspace after success.",
        json_schema_extra=ADVANCED,
    )
    fresh: bool = Field(
        default=False,
        description="Discard an unfinished workspace and start from the beginning.",
        json_schema_extra=ADVANCED,
    )
    overwrite: bool = Field(default=False, description="Replace an existing mask.")
    compute: Compute = Field(Compute(), title="Advanced: compute", json_schema_extra=ADVANCED)
    limits: Limits = Field(Limits(), title="Advanced: limits", json_schema_extra=ADVANCED)

    @field_validator("aoi", mode="before")
    @classmethod
    def _join_box(cls, value: object) -> object:
        return ",".join(map(str, value)) if isinstance(value, list | tuple) else value

    @model_validator(mode="after")
    def _has_aoi(self) -> Self:
        if self.aoi_crs and not self.aoi:
            raise ValueError(f"aoi_crs is {self.aoi_crs}, but there is no aoi; give both or none")
        return self

    @field_validator("stretch")
    @classmethod
    def _is_ascending(cls, value: tuple[float, float] | Auto | None) -> object:
        if isinstance(value, tuple) and not value[0] < value[1]:
            raise ValueError(f"stretch {value[0]:g},{value[1]:g}: LOW must be below HIGH")
        return value

    @model_validator(mode="after")
    def _has_stretch(self) -> Self:
        if self.gamma and self.stretch is None:
            raise ValueError(f"gamma is {self.gamma:g}, but there is no stretch; give both or none")
        return self

    @property
    def workspace_url(self) -> str:
        """Folder or prefix of the intermediate data between stages."""
        return self.workspace or f"{self.to}/.workspace"


def make_job(values: dict[str, Any]) -> Job:
    """Return the job of ``values``; see `loading.validated`."""
    return validated(Job, values)
