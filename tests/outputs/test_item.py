"""item.json: valid by STAC's own schema, and by the rules that its extensions publish.

pystac ships the core's schemas, but none of the extensions': their rules are restated here, field
by field, from projection 2.0, raster 1.1, classification 2.0 and MLM 1.4.
"""

import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pystac
import pytest
from jsonschema import Draft7Validator
from pystac.extensions.classification import ClassificationExtension
from pystac.extensions.mlm import MLMExtension
from pystac.extensions.projection import ProjectionExtension
from pystac.extensions.raster import RasterExtension
from pystac.validation.local_validator import get_local_schema_cache
from referencing import Registry, Resource

from segtasks.outputs.stac import Place, Scene, item_json
from segtasks.outputs.stac_mlm import Model
from tests.helpers.legends import classes

SQUARE = {"type": "Polygon", "coordinates": [[[8, 47], [9, 47], [9, 48], [8, 48], [8, 47]]]}
PLACE = Place(
    geometry=SQUARE,
    bbox=(8, 47, 9, 48),
    code="EPSG:32632",
    wkt="PROJCS[...]",
    transform=(0.3, 0, 5e5, 0, -0.3, 5.2e6),
    side_m=0.3,
)
MODEL = Model(
    name="fcn8s-roads",
    network="fcn8s",
    href="../roads.safetensors",
    artifact="safetensors",
    framework="PyTorch",
    bands=("red", "green"),
    dtype="uint8",
    mean=(110.0, 100.0),
    std=(60.0, 50.0),
    patch_px=512,
    parameters=1000,
    gives="logits",
)
SCENE = Scene(
    id="ortho-ab12",
    shape=(300, 200),
    place=PLACE,
    classes=classes((0, "bare ground", "#8080fa"), (1, "Größe", "#fe00Aa"), (2, "路", "#000000")),
    model=MODEL,
    source="https://host/ortho.tif",
    dated=datetime(2024, 6, 1, 10, tzinfo=UTC),
    made=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    results={
        "mask": "./mask.tif",
        "legend": "./mask.tif.aux.xml",
        "style": "./mask.qml",
        "confidence": "./confidence.tif",
        "probabilities": "./probabilities.zarr",
        "quicklook": "./quicklook.png",
    },
    confidence=("margin", 1 / 254),
    provenance={"segtasks:crf": None},
)
NOWHERE = replace(SCENE, place=None)
UNCODED = replace(SCENE, place=replace(PLACE, code=None, transform=None))
ALONE = replace(SCENE, results={"mask": "./mask.tif"}, confidence=None)
SCENES = {"whole": SCENE, "nowhere": NOWHERE, "uncoded": UNCODED, "alone": ALONE}
EXTENSION = re.compile(r"https://stac-extensions.github.io/(\w+)/v([\d.]+)/schema.json")


@pytest.fixture(params=SCENES)
def item(request: pytest.FixtureRequest) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(item_json(SCENES[request.param]))
    return found


def test_core_schema_of_stac(item: dict[str, Any]) -> None:
    schemas = get_local_schema_cache()
    registry: Registry[Any] = Registry().with_resources(
        [(url, Resource.from_contents(schema)) for url, schema in schemas.items()]
    )
    url = next(url for url in schemas if url.endswith("item-spec/json-schema/item.json"))
    Draft7Validator(schemas[url], registry=registry).validate(item)
    assert item["stac_version"] == "1.1.0"


def test_an_extension_is_named_where_its_fields_are_used(item: dict[str, Any]) -> None:
    found = [EXTENSION.fullmatch(url) for url in item["stac_extensions"]]
    named = {match[1]: match[2] for match in found if match}
    assert len(named) == len(item["stac_extensions"])
    versions = {"classification": "2.0.0", "mlm": "1.4.0", "raster": "1.1.0"}
    versions |= {"projection": "2.0.0"} if item["geometry"] else {}
    assert named == versions
    fields = [*item["properties"], *(f for a in item["assets"].values() for f in a)]
    prefixes = {field.split(":")[0] for field in fields if ":" in field}
    prefixes = {{"proj": "projection"}.get(prefix, prefix) for prefix in prefixes}
    assert prefixes - {"segtasks"} == set(named)


def test_rules_of_projection(item: dict[str, Any]) -> None:
    found = item["properties"]
    own = {field for field in found if field.startswith("proj:")}
    if item["geometry"] is None:
        assert own == set()
        assert "bbox" not in item
        return
    assert own <= {"proj:code", "proj:wkt2", "proj:shape", "proj:transform"}
    # Null says that no authority knows it (projection 2.0, proj:code).
    code = found["proj:code"]
    assert isinstance(found["proj:wkt2"], str) if code is None else code == "EPSG:32632"
    assert found["proj:shape"] == [300, 200]
    assert len(found.get("proj:transform", range(6))) == 6


def test_rules_of_raster(item: dict[str, Any]) -> None:
    for asset in item["assets"].values():
        assert {f for f in asset if f.startswith("raster:")} <= {"raster:bands"}
        for band in asset.get("raster:bands", []):
            assert band["data_type"] == "uint8"
            assert all(isinstance(band.get(key, 0), int | float) for key in NUMBERS)
    mask = item["assets"]["mask"]["raster:bands"]
    assert [band["nodata"] for band in mask] == [255]


NUMBERS = ("nodata", "scale", "offset", "spatial_resolution")


def test_rules_of_classification(item: dict[str, Any]) -> None:
    classes = item["assets"]["mask"]["classification:classes"]
    assert item["properties"]["mlm:output"][0]["classification:classes"] == classes
    for entry in classes:
        assert entry.keys() == {"value", "name", "title", "color_hint"}
        assert isinstance(entry["value"], int)
        assert re.fullmatch(r"[0-9A-Za-z_-]+", entry["name"])
        assert re.fullmatch(r"[0-9A-F]{6}", entry["color_hint"])
    assert [entry["title"] for entry in classes] == ["bare ground", "Größe", "路"]
    assert [entry["name"] for entry in classes] == ["bare_ground", "Gr_e", "class_2"]


def test_rules_of_mlm(item: dict[str, Any]) -> None:
    found, model = item["properties"], item["assets"]["model"]
    assert re.fullmatch(r"[a-zA-Z][a-zA-Z0-9_.-]+[a-zA-Z0-9]", found["mlm:name"])
    assert found["mlm:tasks"] == ["semantic-segmentation"]
    assert "mlm:pretrained_source" not in found, "null would say: trained from scratch"
    (given,), (made,) = found["mlm:input"], found["mlm:output"]
    # Bands that are named must be described where the model is, and be an axis of the input.
    assert given["bands"] == [band["name"] for band in model["raster:bands"]]
    assert given["input"]["dim_order"] == ["batch", "bands", "height", "width"]
    assert given["input"]["shape"] == [-1, 2, 512, 512]
    assert given["value_scaling"] == [
        {"type": "z-score", "mean": 110.0, "stddev": 60.0},
        {"type": "z-score", "mean": 100.0, "stddev": 50.0},
    ]
    assert made["tasks"] == ["semantic-segmentation"]
    assert len(made["result"]["shape"]) == len(made["result"]["dim_order"]) == 4
    assert model["roles"] == ["mlm:model"]
    assert model["mlm:artifact_type"] == "safetensors"
    models = [a for a in item["assets"].values() if "mlm:model" in a["roles"]]
    assert len(models) == 1


def test_pystac_reads_back_what_was_said() -> None:
    item = pystac.Item.from_dict(json.loads(item_json(SCENE)))
    assert item.datetime == datetime(2024, 6, 1, 10, tzinfo=UTC)
    assert item.properties["created"] == "2026-01-02T03:04:05Z"
    assert ProjectionExtension.ext(item).epsg == 32632
    assert ProjectionExtension.ext(item).transform == [0.3, 0, 5e5, 0, -0.3, 5.2e6]
    (band,) = RasterExtension.ext(item.assets["confidence"]).bands or []
    assert (band.scale, band.offset, band.nodata) == (1 / 254, 0, 255)
    classes = ClassificationExtension.ext(item.assets["mask"]).classes or []
    assert [(c.value, c.color_hint) for c in classes][1] == (1, "FE00AA")
    assert MLMExtension.ext(item).architecture == "fcn8s"
    assert all(asset.media_type and asset.roles for asset in item.assets.values())
    zarr = item.assets["probabilities"]
    assert zarr.media_type == "application/vnd.zarr; version=3"
    assert item.assets["source"].href == "https://host/ortho.tif"
    assert item.assets["source"].media_type == pystac.MediaType.GEOTIFF
