"""A legend is numbered and named without a doubt, and is written as it was given."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from segtasks.config.evaluation_job import EvaluationJob
from segtasks.config.import_job import ImportJob
from segtasks.config.legend import Legend, NumberedClasses
from segtasks.config.loading import validated
from segtasks.config.train_job import TrainJob
from segtasks.config.tuning_job import TuneJob
from segtasks.errors import JobError

LEGENDS, CARDS = TypeAdapter(Legend), TypeAdapter(NumberedClasses)
Row = dict[str, Any]

names = st.lists(st.text(min_size=1, max_size=8), unique=True, max_size=12)
colours = st.from_regex(r"#[0-9a-fA-F]{6}", fullmatch=True)


@st.composite
def legends(draw: st.DrawFn) -> list[Row]:
    return [{"id": i, "name": n, "color": draw(colours)} for i, n in enumerate(draw(names))]


@given(legends())
def test_a_valid_legend_is_dumped_as_it_was_given(rows: list[Row]) -> None:
    for adapter in (LEGENDS, CARDS):
        legend = adapter.validate_python(rows)
        assert adapter.dump_python(legend) == tuple(rows)
        assert [list(entry) for entry in adapter.dump_python(legend)] == [list(row) for row in rows]
        assert adapter.dump_python(legend, mode="json") == rows
        text = adapter.dump_json(legend)
        assert adapter.validate_json(text) == legend
        assert adapter.dump_json(adapter.validate_json(text)) == text


@given(legends(), st.data())
def test_other_ids_than_0_to_k_in_order_are_refused(rows: list[Row], data: st.DataObject) -> None:
    count = len(rows)
    permuted = st.permutations(range(count))
    ids = data.draw(permuted | st.lists(st.integers(0, 254), min_size=count, max_size=count))
    renumbered = [row | {"id": i} for row, i in zip(rows, ids, strict=True)]
    for adapter in (LEGENDS, CARDS):
        if list(ids) == list(range(count)):
            adapter.validate_python(renumbered)
            continue
        with pytest.raises(ValidationError, match=f"number them 0 … {count - 1} in order"):
            adapter.validate_python(renumbered)


@given(legends().filter(lambda rows: len(rows) > 1), st.data())
def test_names_are_unique_in_a_job_but_not_in_a_card(rows: list[Row], data: st.DataObject) -> None:
    """Model files with two classes of one name have been written, and are still read."""
    first, second = data.draw(st.permutations(range(len(rows))))[:2]
    rows[second]["name"] = rows[first]["name"]
    with pytest.raises(ValidationError, match=r"two classes are named .*; rename one"):
        LEGENDS.validate_python(rows)
    assert CARDS.dump_python(CARDS.validate_python(rows)) == tuple(rows)


@pytest.mark.parametrize("model", [TrainJob, ImportJob, EvaluationJob, TuneJob])
def test_every_job_refuses_it_in_one_line(model: type[Any]) -> None:
    swapped = [{"id": i, "name": f"{i}", "color": "#000000"} for i in (1, 0)]
    paths: Row = {"mask": "m", "workspace": "w", "labels": "l", "image": "i"}
    pairs = [
        {key: paths[key] for key in keys} for keys in (("mask", "labels"), ("image", "labels"))
    ]
    known: Row = {
        "pairs": [{"workspace": "w", "labels": "l"}] if model is TuneJob else pairs[:1],
        "sources": pairs[1:],
        "validation": pairs[1:],
        "to": "m.safetensors",
        "weights": "w.pth",
        "layout": "semseg",
        "network": "pspnet50",
    }
    values = {key: value for key, value in known.items() if key in model.model_fields}
    with pytest.raises(JobError) as caught:
        validated(model, values | {"legend": swapped})
    assert str(caught.value) == "legend: class ids are [1, 0]; number them 0 … 1 in order"
