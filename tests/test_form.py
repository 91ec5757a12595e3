"""What a form that is made of the job's schema is told."""

from typing import Any, Literal

import jsonschema
import pytest
from pydantic import Field

from segtasks import form
from segtasks.batch import BatchJob
from segtasks.job import Job
from segtasks.part import Part
from segtasks.refinement import PRESETS
from segtasks.training.job import TrainJob


def properties(model: type[Part], name: str) -> dict[str, Any]:
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


def test_every_job_that_is_valid_is_so_by_its_schema() -> None:
    job = Job.model_validate({"source": "a", "to": "b", "stretch": [0, 9], "crf": None})
    schema = Job.model_json_schema()
    for values in (job.model_dump(mode="json"), {"source": "a", "to": "b"}):
        jsonschema.validate(values, schema)
    for values in ({"source": "a"}, {"source": "a", "to": "b", "inference": {"precision": "f8"}}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(values, schema)


def test_four_words_do_not_fit_a_button() -> None:
    class Many(Part):
        kind: int | Literal["a", "b", "c", "d"] = Field(1, description="Some.")

    assert [m["title"] for m in properties(Many, "Many")["kind"]["anyOf"]] == ["number", "text"]
    assert form.title("kind", Many.model_fields["kind"]) == "Kind"
