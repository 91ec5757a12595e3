"""Publish the products of a finished run: make all of them first, then put them at their URLs.

The mask is put last: where it is, nothing is left to do.
"""

from collections.abc import Callable
from contextlib import ExitStack
from importlib import import_module
from itertools import count
from typing import cast

from segtasks.errors import DestinationError, StageError, redact_url
from segtasks.outputs import provenance
from segtasks.outputs.publication import Made, Maker, Publication
from segtasks.outputs.rasters import shard_grid
from segtasks.planning.plan import Plan
from segtasks.planning.products import PRODUCTS, Product, requested_products, result_urls
from segtasks.storage import cog, object_store, probability_store, receipts

OnProgress = Callable[[int, int], None]


def publish(plan: Plan, on_progress: OnProgress) -> dict[str, str]:
    """Make and publish all products that the job asks for.

    Args:
        plan: what was done; all its tiles are finished.
        on_progress: called with the tiles copied so far and those of all rasters.

    Returns:
        URLs by name of the product.

    Raises:
        StageError: tiles are missing: a hole must never look like a result.
        ResourceError: the disk is full.
    """
    _require_finished(plan)
    with ExitStack() as files:
        publication = Publication(plan=plan, files=files, on_tile=_counted_tiles(plan, on_progress))
        made = {
            product.name: find_maker(product)(publication)
            for product in requested_products(plan.job)
        }
        # What is large before the small files that describe it, and the mask last.
        for name in sorted(made, key=lambda name: (name == "mask", isinstance(made[name], bytes))):
            _put(made[name], publication.urls[name])
    return publication.urls


def is_published(plan: Plan) -> bool:
    """Return whether the destination holds the products of this very job.

    With ``fresh`` the job makes them again, so they do not count.

    Raises:
        DestinationError: the destination holds something else, which may not be replaced; or it
            holds the mask, but not a product that is asked for now and that only a run can make.
    """
    # Also the products that are not asked for: another job may ask for them.
    for product in PRODUCTS.values():
        if object_store.is_same(product.url(plan.job), plan.job.source):
            raise DestinationError(
                f"{product.url(plan.job)}: is the source itself; choose another --to"
            )
    # All of them are checked: what is refused is refused before anything counts as done.
    proven = [product for product in requested_products(plan.job) if product.proof]
    proven.sort(key=lambda product: product.name == "mask")
    are_ours = [_is_of_this_job(plan, product) for product in proven]
    if plan.job.fresh or not all(are_ours):
        return False
    absent = [product for product in _absent_products(plan) if product.needs_run]
    if absent and not plan.job.overwrite:
        raise DestinationError(
            f"{absent[0].url(plan.job)}: is not there, but the mask that it is made with is; give "
            "--overwrite to make all results again, or do not ask for it"
        )
    return not absent


def finish_publication(plan: Plan) -> dict[str, str]:
    """Make again the lost products of a published job that need no run, e.g. legends.

    Returns:
        URLs by name of all products that the job asks for.
    """
    for product in _absent_products(plan):
        _put(find_maker(product)(Publication(plan=plan)), product.url(plan.job))
    return result_urls(plan)


def is_outdated(plan: Plan) -> bool:
    """Return whether the destination holds our mask of an earlier state of the same source."""
    url, source = PRODUCTS["mask"].url(plan.job), redact_url(plan.job.source)
    if not object_store.exists(url) or cog.read_tag(url, provenance.SOURCE_TAG) != source:
        return False
    return cog.read_tag(url, provenance.IDENTITY_TAG) != plan.raster.identity


def find_maker(product: Product) -> Maker:
    """Import the function that makes a product."""
    module, function = product.maker.split(":")
    return cast("Maker", getattr(import_module(module), function))


def _require_finished(plan: Plan) -> None:
    last = plan.stages[-1]
    done = receipts.done(plan.job.workspace_url, plan.fingerprints[last], last)
    selected = plan.selected(last)
    missing = sum(tile not in done for tile in selected)
    if missing:
        raise StageError(f"write: {missing} of {len(selected)} tiles are not done; rerun")


def _counted_tiles(plan: Plan, on_progress: OnProgress) -> Callable[[], None]:
    """Return what is to be called for each tile of each raster; it reports the progress."""
    rasters = [product.name for product in requested_products(plan.job) if product.proof]
    total, counter = sum(len(shard_grid(plan, name)) for name in rasters), count(1)
    return lambda: on_progress(next(counter), total)


def _put(made: Made, url: str) -> None:
    if isinstance(made, bytes):
        object_store.write_bytes(url, made)
    else:
        made()


def _is_of_this_job(plan: Plan, product: Product) -> bool:
    """Return whether a product that carries a fingerprint is there and was made by this job."""
    url = product.url(plan.job)
    if not object_store.exists(url):
        return False
    is_store = product.proof is not None and product.proof.place == "attribute"
    read = probability_store.read_attribute if is_store else cog.read_tag
    if read(url, cog.FINGERPRINT_TAG) == provenance.fingerprint(plan, product.name):
        return True
    if plan.job.overwrite or (is_store and probability_store.is_unfinished(url)):
        return False
    raise DestinationError(
        f"{url}: is there already, made by another job; choose another --to or give --overwrite"
    )


def _absent_products(plan: Plan) -> list[Product]:
    """Return the products asked for that are not there, after one listing of the destination."""
    there = object_store.names(plan.job.to)
    return [
        product
        for product in requested_products(plan.job)
        if product.url(plan.job).rpartition("/")[2] not in there
    ]
