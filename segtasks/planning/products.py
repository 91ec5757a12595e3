"""Which results a job asks for, and where they go."""

from segtasks.planning.plan import Plan

FILES = {
    "mask": "mask.tif",
    "legend": "mask.tif.aux.xml",
    "style": "mask.qml",
    "confidence": "confidence.tif",
    "probabilities": "probabilities.zarr",
    "item": "item.json",
    "quicklook": "quicklook.png",
    "report": "report.html",
}


def result_urls(plan: Plan) -> dict[str, str]:
    """Where each result that is asked for goes, by name."""
    asked = plan.job.outputs
    chosen = {
        "mask": True,
        "legend": True,
        "style": True,
        "confidence": plan.confidence is not None,
        "probabilities": asked.probabilities,
        "item": asked.stac,
        "quicklook": asked.quicklook,
        "report": asked.report,
    }
    urls = {name: f"{plan.job.to}/{file}" for name, file in FILES.items() if chosen[name]}
    return urls | ({"polygons": polygons_url(plan)} if plan.job.vectors else {})


def mask_url(plan: Plan) -> str:
    """Where the mask goes."""
    return f"{plan.job.to}/{FILES['mask']}"


def polygons_url(plan: Plan) -> str:
    """Where the polygons go."""
    assert plan.job.vectors is not None
    return f"{plan.job.to}/{plan.job.vectors.file_name}"
