"""The table of products: every product has a row, and every row is whole and has its maker."""

import inspect
import mimetypes
import pkgutil
from importlib import import_module

import pystac
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segtasks import outputs
from segtasks.config.job import Job, make_job
from segtasks.config.vectors import SUFFIXES
from segtasks.outputs.publication import Publication
from segtasks.outputs.publish import find_maker
from segtasks.outputs.stac import MEDIA
from segtasks.planning.products import PRODUCTS, Product, requested_products
from tests.helpers.paths import ROOT

ALWAYS = {"mask", "legend", "style"}
ROLES = {"data", "metadata", "overview", "confidence", "probabilities"}
rows = pytest.mark.parametrize("product", PRODUCTS.values(), ids=list(PRODUCTS))


def job_of(**settings: object) -> Job:
    return make_job({"source": "a.tif", "to": "s3://bucket/a", **settings})


@st.composite
def jobs(draw: st.DrawFn) -> Job:
    flags = {name: draw(st.booleans()) for name in ("probabilities", "stac", "quicklook", "report")}
    kind = draw(st.sampled_from([None, "margin", "entropy"]))
    format_ = draw(st.sampled_from([None, *SUFFIXES]))
    vectors = {"format": format_} if format_ else None
    return job_of(outputs={"confidence": kind, **flags}, vectors=vectors)


def functions_that_make() -> set[str]:
    """All makers in the package, found by what they are given."""
    found = pkgutil.walk_packages(outputs.__path__, f"{outputs.__name__}.")
    modules = [import_module(each.name) for each in found if not each.ispkg]
    return {
        f"{module.__name__}:{name}"
        for module in modules
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if name.startswith("make_") and function.__module__ == module.__name__
    }


def test_every_maker_has_a_row_and_every_row_its_own_maker() -> None:
    makers = [product.maker for product in PRODUCTS.values()]
    assert set(makers) == functions_that_make()
    assert len(makers) == len(set(makers))


@rows
def test_a_maker_takes_a_publication_alone(product: Product) -> None:
    (given_,) = inspect.signature(find_maker(product)).parameters.values()
    assert given_.annotation is Publication


@rows
def test_a_row_says_what_the_item_and_the_report_need(product: Product) -> None:
    assert product.title
    assert product.description
    assert product.roles
    assert set(product.roles) <= ROLES
    if product.name != "polygons":
        assert product.media_type
    # A proof is written where the fingerprint is read back; a legend needs neither.
    assert product.proof is None or product.needs_run


def test_media_types_are_registered() -> None:
    """By STAC, or by IANA; STAC adds the version to Zarr's."""
    known = {each.value for each in pystac.MediaType} | set(mimetypes.types_map.values())
    found = {each.media_type for each in PRODUCTS.values() if each.media_type}
    assert {each.removesuffix("; version=3") for each in found} <= known
    assert {f".{suffix}" for suffix in SUFFIXES.values()} <= MEDIA.keys()


@given(jobs())
def test_urls_are_unique_and_below_the_prefix(job: Job) -> None:
    urls = [product.url(job) for product in PRODUCTS.values()]
    assert len(set(urls)) == len(urls)
    assert all(url.startswith("s3://bucket/a/") and url.count("/") == 4 for url in urls)


@given(jobs())
def test_a_job_gets_what_it_asks_for(job: Job) -> None:
    asked = job.outputs
    optional = {
        "confidence": asked.confidence,
        "probabilities": asked.probabilities,
        "item": asked.stac,
        "quicklook": asked.quicklook,
        "report": asked.report,
        "polygons": job.vectors,
    }
    names = [product.name for product in requested_products(job)]
    assert set(names) == ALWAYS | {name for name, setting in optional.items() if setting}
    # Makers find the mask, and the report the confidence, among what is made before them.
    assert names[0] == "mask"
    assert names == [name for name in PRODUCTS if name in names]


@rows
def test_the_page_on_results_names_every_file(product: Product) -> None:
    file = product.url(job_of()).removeprefix("s3://bucket/a/")
    assert f"`{file}`" in (ROOT / "docs/results.md").read_text()
