"""The sentences of a report: what limited the speed, what would help, what a border shows."""

from segtasks.outputs.report.seams import Border
from segtasks.outputs.report.timings import Timings
from segtasks.planning.cost import plan_cost
from segtasks.planning.plan import Plan

OFTEN = 1.5
"""Pixels forwarded per pixel kept, from which on a smaller halo is worth a thought."""
HINTS = {
    "patches": "a larger --overlap-px",
    "CRF windows": "a larger --crf-halo-px (strict)",
}
"""Of a seam, by kind of border; tiles that are neither leave none."""


def bottleneck(found: Timings, plan: Plan) -> str:
    """Return a sentence that names what the run waited for, and one on what would help."""
    name, seconds = found.bound, found.held[found.bound]
    share = f"{seconds:.1f} s of each worker's {found.total:.1f} s" if found.total else "no time"
    what = {
        "read": f"Read-bound: {share} went into reading.",
        "network": f"Network-bound: {share} went into forwards of the network.",
        "CRF": f"CRF-bound: {share} went into the CRF.",
        "write": f"Write-bound: {share} went into writing.",
    }
    return f"{what[name]} {_help(name, plan)}"


def _help(name: str, plan: Plan) -> str:
    if name == "network":
        return _network_help(plan)
    if name == "CRF":
        faster = "" if (plan.crf and plan.crf.backend == "native") else "--crf-backend native, "
        return f"What helps: {faster}more --workers, fewer --crf-iterations or none (--no-crf)."
    if name == "read":
        return (
            "What helps: a source with inner blocks (a COG) near the workers, and --workspace on a "
            "faster disk or nearer store."
        )
    return "What helps: --workspace and TMPDIR on a faster disk, and a destination nearer by."


def _network_help(plan: Plan) -> str:
    factor = plan_cost(plan).forward_factor
    often = (
        f" Each pixel is forwarded {factor:.1f} times: fewer scales or angles or a smaller "
        "--overlap-px costs less."
        if factor >= OFTEN
        else ""
    )
    has_gpu = plan.job.compute.kind == "gpu"
    faster = "a larger --batch, more GPUs" if has_gpu else "a GPU (--compute gpu), more --workers"
    return f"What helps: {faster}, --form auto and --precision auto.{often}"


def verdict(border: Border) -> str:
    """Return a sentence on what the figures of a kind of borders mean."""
    if border.interval is None:
        return f"too few borders to tell ({border.stretches} stretches of 128 px)"
    if not border.is_seen:
        return "no seam found"
    mends = " or ".join(mend for kind, mend in HINTS.items() if kind in border.kind)
    return f"a seam; {mends} makes it smaller" if mends else "a seam"
