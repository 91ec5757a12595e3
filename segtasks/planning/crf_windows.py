"""The windows of the CRF: halo, size and backend, where a job leaves them open.

waste = (core + 2 halo)^2 / core^2 - 1: pixels filtered in excess, per pixel kept
"""

from collections.abc import Sequence
from math import ceil, isqrt, sqrt

import numpy as np

from segtasks.config.crf import Crf
from segtasks.config.job import Job
from segtasks.crf import backends
from segtasks.crf.parameters import CrfParameters, bytes_per_px, largest_window_px
from segtasks.errors import CrfError, JobError
from segtasks.networks.card import Card
from segtasks.planning.decisions import CrfPlan
from segtasks.planning.worker import PROCESS_BYTES, TILES_IN_FLIGHT
from segtasks.raster.grid import Grid
from segtasks.raster.header import RasterHeader
from segtasks.raster.units import FLOAT_BYTES, GIB, HALF_BYTES
from segtasks.storage import workspace

USUAL_PX, STEP_PX, LARGEST_PX = 2048, 512, 16384
MOST_WASTE = 0.5
BUDGET_BYTES = 6 * GIB
"""A constant and not the machine's memory, so that the mask does not depend on the machine."""
BACKEND = "crf_backend"
"""Key in the manifest of a workspace: the backend that auto stood for when it was created."""


def crf_plan(job: Job, raster: RasterHeader, card: Card, bands: Sequence[int]) -> CrfPlan | None:
    """Return parameters, windows, halo and backend of the CRF of a job; ``None`` without a CRF.

    Raises:
        JobError: the compatibility matrix has another number of classes than the model.
        CrfError: the backend cannot be loaded here.
    """
    if job.crf is None:
        return None
    parameters = parameters_of(job.crf, card)
    halo, backend = halo_px(job.crf, parameters), backend_of(job, job.crf)
    core = core_px(job, raster, len(bands), len(card.classes), halo=halo, backend=backend)
    windows = Grid(raster.height, raster.width, core)
    return CrfPlan(parameters=parameters, windows=windows, halo_px=halo, backend=backend)


def parameters_of(crf: Crf, card: Card) -> CrfParameters:
    """Return the parameters of the CRF.

    Raises:
        JobError: the compatibility matrix has another number of classes than the model.
    """
    own = set(CrfParameters.__dataclass_fields__)
    parameters = CrfParameters(**crf.model_dump(include=own))
    try:
        parameters.pair_costs(len(card.classes))
    except CrfError as error:
        raise JobError(f"crf.{error}") from None
    return parameters


def halo_px(crf: Crf, parameters: CrfParameters) -> int:
    """Return what a window reads around its core, px."""
    if crf.halo_px == "auto":
        return parameters.halo_px()
    return parameters.strict_halo_px() if crf.halo_px == "strict" else crf.halo_px


def backend_of(job: Job, crf: Crf) -> str:
    """Return the name of the backend.

    A workspace that exists keeps the backend that auto stood for when it was created.

    Raises:
        CrfError: the backend cannot be loaded here.
    """
    known = None
    if crf.backend == "auto" and not job.fresh:
        known = (workspace.read_manifest(job.workspace_url) or {}).get(BACKEND)
    return backends.resolve(known or crf.backend, has_cuda=job.compute.kind == "gpu")


def core_px(
    job: Job, raster: RasterHeader, bands: int, classes: int, *, halo: int, backend: str
) -> int:
    """Return the side of the core of a window.

    It is 2048 px, or as much as keeps the waste below one half; less where memory or int32 indices
    do not allow it.
    """
    if job.crf is None or job.crf.window_px != "auto":
        return USUAL_PX if job.crf is None else int(job.crf.window_px)
    wanted = max(USUAL_PX, ceil(2 * halo / (sqrt(1 + MOST_WASTE) - 1) / STEP_PX) * STEP_PX)
    per_px = bytes_of_px(raster, bands, classes, backend)
    most_px = min(_budget(job) // per_px, largest_window_px(classes, bands))
    allowed = (isqrt(most_px) - 2 * halo) // STEP_PX * STEP_PX
    return min(wanted, max(allowed, STEP_PX), LARGEST_PX)


def bytes_of_px(raster: RasterHeader, bands: int, classes: int, backend: str) -> int:
    """Return the memory per pixel of a window being refined and of the next one, read ahead."""
    pixel = bands * np.dtype(raster.dtype).itemsize + 1
    held = classes * (HALF_BYTES + FLOAT_BYTES) + pixel + bands * FLOAT_BYTES
    return bytes_per_px(classes, backend) + TILES_IN_FLIGHT * held


def _budget(job: Job) -> int:
    limit = job.limits.worker_memory_gib
    return BUDGET_BYTES if limit == "auto" else max(1, int(limit * GIB) - PROCESS_BYTES)
