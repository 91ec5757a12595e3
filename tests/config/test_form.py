"""What a form that is made of the job's schema is told."""

from typing import Any, Literal

import pytest
from prefect.utilities.callables import parameter_schema
from prefect.utilities.schema_tools.validation import ValidationError, validate
from pydantic import Field

from flows.segment import segment
from segtasks.config import form_schema
from segtasks.config.base import ConfigModel
from segtasks.config.batch_job import BatchJob
from segtasks.config.crf import PRESETS
from segtasks.config.job import Job
from segtasks.config.train_job import TrainJob


def properties(model: type[ConfigModel], name: str) -> dict[str, Any]:
    schema = model.model_json_schema()
    found: dict[str, Any] = {**schema.get("$defs", {}), model.__name__: schema}[name]["properties"]
    return found


def test_titles_have_units() -> None:
    assert properties(Job, "Tiling")["tile_px"]["title"] == "Tile (px)"
    assert properties(Job, "Limits")["worker_memory_gib"]["title"] == "Worker memory (GiB)"
    assert properties(TrainJob, "TrainJob")["ground_resolution_m"]["title"] == (
        "Ground resolution (m)"
    )


@pytest.mark.parametrize("model", [Job, BatchJob])
def test_what_everybody_fills_in_comes_first(model: type[Job]) -> None:
    fields = properties(model, model.__name__)
    first = [name for name, field in fields.items() if not field.get("position")]
    assert first[:3] == ["source", "to", "model"]
    assert {"tiling", "crf", "compute", "limits", "workspace"} & set(first) == set()


def test_buttons_say_what_they_choose() -> None:
    members = properties(Job, "Tiling")["overlap_px"]["anyOf"]
    assert [member["title"] for member in members] == ["number", "auto / exact"]
    members = properties(Job, "Job")["stretch"]["anyOf"]
    assert [member["title"] for member in members] == ["list", "auto", "none"]
    assert members[1]["enum"] == ["auto"]  # a const is shown as a text that cannot be changed


def test_a_union_of_words_is_one_list() -> None:
    precision = properties(Job, "Inference")["precision"]
    assert precision["enum"] == ["float32", "tf32", "bfloat16", "float16", "auto"]
    assert "anyOf" not in precision


def test_examples_are_in_the_text() -> None:
    assert properties(Job, "Job")["source"]["description"].endswith(
        "Example: s3://bucket/ortho.tif"
    )


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_a_form_that_sends_what_it_shows_gets_the_preset_that_it_names(preset: str) -> None:
    shown = {
        key: field["default"] for key, field in properties(Job, "Crf").items() if "default" in field
    }
    assert "default" not in properties(Job, "Job")["crf"]
    job = Job.model_validate({"source": "a", "to": "b", "crf": {**shown, "preset": preset}})
    assert job.crf is not None
    made = job.crf.model_dump()
    assert {key: made[key] for key in PRESETS[preset]} == PRESETS[preset]


def test_every_job_that_is_valid_is_so_by_the_schema_of_its_deployment() -> None:
    job = Job.model_validate({"source": "a", "to": "b", "stretch": [0, 9], "crf": None})
    schema = parameter_schema(segment).model_dump_for_openapi()
    empty = {"aoi": "", "workspace": "", "bands": [], "compute": {"address": ""}}
    for values in (job.model_dump(mode="json"), {"source": "a", "to": "b"}, empty):
        validate({"job": {"source": "a", "to": "b", **values}}, schema, raise_on_error=True)
    for values in ({"source": "a"}, {"source": "a", "to": "b", "inference": {"precision": "f8"}}):
        with pytest.raises(ValidationError):
            validate({"job": values}, schema, raise_on_error=True)


def test_what_may_be_left_empty_is_a_plain_field_without_a_default() -> None:
    for model, part, key, kind in (
        (Job, "Job", "aoi", "string"),
        (Job, "Job", "workspace", "string"),
        (Job, "Job", "bands", "array"),
        (Job, "Compute", "address", "string"),
        (TrainJob, "TrainJob", "learning_rate", "number"),
        (TrainJob, "TrainJob", "init", "string"),
    ):
        field = properties(model, part)[key]
        assert field["type"] == kind
        assert not {"anyOf", "default"} & field.keys()
    assert properties(TrainJob, "TrainJob")["learning_rate"]["exclusiveMinimum"] == 0
    # A group, and words, of which null is none, keep their buttons.
    for model, key in ((Job, "vectors"), (TrainJob, "optimizer")):
        members = properties(model, model.__name__)[key]["anyOf"]
        assert members[-1]["type"] == "null"


def test_what_a_form_sends_of_empty_fields_is_none() -> None:
    job = Job.model_validate({"source": "a", "to": "b", "aoi": "", "workspace": ""})
    assert job.workspace_url == "b/.workspace"
    assert not job.aoi


def test_members_of_a_list_can_be_chosen() -> None:
    items = properties(TrainJob, "TrainJob")["sources"]["items"]
    assert [member["$ref"].rpartition("/")[2] for member in items["anyOf"]] == [
        "PairSource",
        "Manifest",
    ]


def test_four_words_do_not_fit_a_button() -> None:
    class Many(ConfigModel):
        kind: int | Literal["a", "b", "c", "d"] = Field(1, description="Some.")

    assert [m["title"] for m in properties(Many, "Many")["kind"]["anyOf"]] == ["number", "text"]
    assert form_schema.title("kind", Many.model_fields["kind"]) == "Kind"
