"""The patches of a raster: what a job leaves open follows from the card of the network."""

from segtasks.config.job import Job
from segtasks.errors import JobError
from segtasks.networks.card import Card
from segtasks.raster.header import RasterHeader
from segtasks.raster.patches import PatchGrid, halo_factor, largest_step

CHEAP_HALO_FACTOR = 1.25
UNMEASURED_HALO_PX = 128


def patch_grid_of(job: Job, raster: RasterHeader, card: Card) -> PatchGrid:
    """Return the patch grid of a raster.

    Args:
        job: its tiling.
        raster: the header of the source.
        card: the card of the network together with its TTA.

    Raises:
        JobError: a size is not a multiple of the network's stride, or an exact overlap is asked for
            where none exists.
    """
    stitch = job.tiling.stitch
    if stitch == "auto":
        stitch = "blend" if card.halo_px is None else "crop"
    margin = _margin(job, card)
    step = _step(job, card, margin)
    return PatchGrid(raster.height, raster.width, step, margin, stitch, card.lattice_px)


def _margin(job: Job, card: Card) -> int:
    """Return half the overlap: the border of a patch that is not trusted."""
    overlap = job.tiling.overlap_px
    if overlap == "exact":
        if card.halo_px is None:
            why = "says none" if card.graph else "pools globally, it has none"
            raise JobError(f"overlap exact: an exact halo is needed; {card.network} {why}")
        return card.halo_px
    if overlap == "auto":
        return _auto_margin(job, card)
    if overlap % 2:
        raise JobError(f"overlap {overlap} px is odd; use {overlap - 1} or {overlap + 1}")
    return overlap // 2


def _auto_margin(job: Job, card: Card) -> int:
    """Return the exact halo where it is cheap, else the smallest margin that hides the seams."""
    unit = card.lattice_px
    effective = -(-_hiding_halo(card) // unit) * unit
    exact = effective if card.halo_px is None else card.halo_px
    effective = min(effective, exact)
    patch = _patch(job, card)
    if patch is not None:
        return min(effective, _affordable(patch, unit))
    step = largest_step(card.forward_bytes_per_px, exact, unit)
    return exact if halo_factor(step, exact) <= CHEAP_HALO_FACTOR else effective


def _hiding_halo(card: Card) -> int:
    """Return the halo measured on imagery, else a value that trained networks have needed."""
    if card.seam_halo_px is not None:
        return max(card.seam_halo_px, card.effective_halo_px)
    return max(UNMEASURED_HALO_PX, card.effective_halo_px)


def _affordable(patch_px: int, unit: int) -> int:
    """Return at most half the patch, but not 0 unless the patch is very small."""
    least = unit if patch_px > 2 * unit else 0
    return max(least, patch_px // 4 // unit * unit)


def _step(job: Job, card: Card, margin: int) -> int:
    patch = _patch(job, card)
    if patch is not None:
        return patch - 2 * margin
    return largest_step(card.forward_bytes_per_px, margin, card.lattice_px)


def _patch(job: Job, card: Card) -> int | None:
    """Return the side of a patch that the job or the model fixes; ``None``: neither does."""
    asked, fixed = job.tiling.patch_px, card.graph and card.graph.patch_px
    if not fixed:
        return None if asked == "auto" else asked
    if asked not in ("auto", fixed):
        raise JobError(
            f"patch {asked} px: {card.network} takes {fixed} px and no other size; leave "
            f"--patch-px out or give {fixed}"
        )
    # On its lattice; what is missing the graph is given as nodata.
    return fixed // card.lattice_px * card.lattice_px
