"""Runs over the REST API of a real Prefect server, as `segtasks up` starts it."""

import base64
import io
import json
import time
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import pytest
from PIL import Image

from segtasks.networks.card_file import read_card
from segtasks.orchestration.run_states import MESSAGE, mark_interrupted
from segtasks.orchestration.server import POOL
from segtasks.storage import object_store
from segtasks.training.synthetic import LEGEND, write_scene
from tests.helpers import job_runs, masks
from tests.helpers.prefect_server import Server, job, wait_until
from tests.helpers.swift_server import ObjectStore


def test_the_form_reads_well(server: Server) -> None:
    schema = server.deployment("on-demand")["parameter_openapi_schema"]
    parts = schema["definitions"]
    assert parts["Job"]["required"] == ["source", "to"]
    for name in ("Job", "Tiling", "Inference", "Crf", "Outputs", "Compute", "Limits"):
        for key, field in parts[name]["properties"].items():
            assert field.get("description") or "$ref" in json.dumps(field), (name, key)
    assert parts["Compute"]["properties"]["kind"]["enum"][0] == "auto"
    assert parts["Crf"]["properties"]["iterations"]["maximum"] == 100
    assert parts["Tiling"]["properties"]["tile_px"]["title"] == "Tile (px)"
    assert parts["Job"]["properties"]["tiling"]["position"] == 1


def test_the_on_demand_deployment_over_rest(
    server: Server, inputs: dict[str, Any], tmp_path: Path
) -> None:
    local = {"kind": "local", "workers": 2}
    run_id = server.start("on-demand", job(inputs, tmp_path, compute=local))
    run = server.end_of(run_id)
    assert run["state_type"] == "COMPLETED", server.log(run_id)
    assert run["name"] == "segment a.tif with m"
    assert job_runs.read_mask(tmp_path).shape == (600, 700)
    body = {"artifacts": {"flow_run_id": {"any_": [run_id]}}}
    kinds = {each["key"]: each["type"] for each in server.call("/artifacts/filter", body)}
    assert kinds["predict"] == "progress"
    assert kinds["classes"] == "table"
    assert kinds["quicklook"] == "image"
    tasks = server.call("/task_runs/filter", {"flow_runs": {"id": {"any_": [run_id]}}})
    assert {task["name"] for task in tasks} == {"ingest", "predict", "write"}
    assert "predict tile (2, 2) done" in server.log(run_id)  # said by a Dask worker
    assert_told(server, run_id, tmp_path)


def test_a_signed_source_has_its_secret_in_the_parameters_alone(
    server: Server, inputs: dict[str, Any], s3: ObjectStore, tmp_path: Path
) -> None:
    object_store.put_file(inputs["folder"] / "incoming" / "a.tif", f"{s3.url}/a.tif")
    s3.let_all_read()
    source = f"{s3.public_url}/a.tif?X-Amz-Signature=hushhush"
    inline = {"kind": "inline"}
    run_id = server.start("on-demand", job(inputs, tmp_path, source=source, compute=inline))
    run = server.end_of(run_id)
    assert run.pop("parameters")["job"]["source"] == source
    assert (run["state_type"], run["name"]) == ("COMPLETED", "segment a.tif with m")
    artifacts = server.call("/artifacts/filter", {"artifacts": {"flow_run_id": {"any_": [run_id]}}})
    assert f"{s3.public_url}/a.tif" in json.dumps(artifacts)
    tasks = server.call("/task_runs/filter", {"flow_runs": {"id": {"any_": [run_id]}}})
    assert "hushhush" not in json.dumps([run, artifacts, tasks, server.log(run_id)])


def assert_told(server: Server, run_id: str, to: Path) -> None:
    progress = server.artifact(run_id, "predict")
    assert float(progress["data"]) == 100
    assert progress["description"].startswith("predict: 9 of 9 tiles, ")
    assert f"`{to}/mask.tif`" in server.artifact(run_id, "result")["data"]
    classes = server.table(run_id, "classes")
    assert sum(row["pixels"] for row in classes) == 600 * 700
    # 0.3 m on the central meridian of a UTM zone, where the map is 0.9996 of the ground.
    hectares = 600 * 700 * (0.3 / 0.9996) ** 2 / 10_000
    assert sum(row["area ha"] for row in classes) == pytest.approx(hectares, rel=1e-3)
    timings = {row["stage"]: row["done in this run"] for row in server.table(run_id, "timings")}
    assert timings == {"ingest": 9, "predict": 9, "write": 18}  # mask and confidence
    picture = base64.b64decode(server.artifact(run_id, "quicklook")["data"].partition("base64,")[2])
    assert len(picture) < 200_000
    assert Image.open(io.BytesIO(picture)).width == 900


def test_masks_are_evaluated_over_rest(server: Server, tmp_path: Path) -> None:
    mask, labels, _ = masks.scene(100, 120)
    pair = {
        "mask": masks.write_ids(tmp_path / "m.tif", mask),
        "labels": masks.write_ids(tmp_path / "l.tif", labels),
    }
    run_id = server.start("evaluate", {"pairs": [pair], "to": f"{tmp_path}/page"})
    assert server.end_of(run_id)["state_type"] == "COMPLETED", server.log(run_id)
    assert (tmp_path / "page" / "evaluation.html").exists()
    body = {"artifacts": {"flow_run_id": {"any_": [run_id]}, "key": {"any_": ["evaluation"]}}}
    rows = json.loads(server.call("/artifacts/filter", body)[0]["data"])
    assert [row["class"] for row in rows] == ["field", "road", "roof", "mean"]


def test_a_network_is_trained_over_rest(server: Server, tmp_path: Path) -> None:
    labels = write_scene(tmp_path / "s.tif", 53, 96, 128)
    pair = {"image": f"{tmp_path}/s.tif", "labels": str(labels)}
    shown = LEGEND[:-1]  # so small a scene has no field
    legend = [{"id": i, "name": name, "color": color} for i, (name, color) in enumerate(shown)]
    train: dict[str, Any] = {"sources": [pair], "validation": [pair], "legend": legend}
    train |= {"network": "linear", "iterations": 4, "crop_px": 32, "batch": 2}
    train |= {"to": f"{tmp_path}/new.safetensors"}
    run_id = server.start("train", train)
    state = server.end_of(run_id)["state"]
    assert state["type"] == "COMPLETED", state["message"]
    assert read_card(tmp_path / "new.safetensors").network == "linear"
    # The last lines of a run may come after its end.
    wait_until(lambda: "iteration 4 of 4: loss " in server.log(run_id), 20)
    assert server.artifact(run_id, "train")["description"].startswith("train: 4 of 4 iterations")
    figures = {row["figure"]: row["value"] for row in server.table(run_id, "validation")}
    assert 0 < figures["mean_iou"] < figures["pixel_accuracy"] <= 1
    assert server.artifact(run_id, "curves")["type"] == "image"
    refused = server.start("train", train | {"ignore": 0})
    state = server.end_of(refused)["state"]
    assert (state["type"], state["message"].partition(" (got")[0]) == (
        "FAILED",
        "job: ignore is 0, the id of a class; choose 5 … 255",
    )


def test_a_wrong_value_is_refused_by_the_form(
    server: Server, inputs: dict[str, Any], tmp_path: Path
) -> None:
    with pytest.raises(HTTPError, match=r"409|422"):
        server.start("on-demand", job(inputs, tmp_path, tiling={"stitch": "glue"}))


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"source": "/nothing.tif"}, "/nothing.tif: no such file; check the path"),
        (
            {"compute": {"kind": "address"}},
            "compute: kind is address: give address, e.g. tcp://127.0.0.1:8786",
        ),
    ],
)
def test_what_the_form_cannot_check_fails_at_once_with_one_line(
    server: Server, inputs: dict[str, Any], tmp_path: Path, settings: dict[str, Any], says: str
) -> None:
    run_id = server.start("on-demand", job(inputs, tmp_path) | settings)
    run = server.end_of(run_id)
    assert (run["state_type"], run["state"]["message"]) == ("FAILED", says)
    flow_runs = {"flow_runs": {"id": {"any_": [run_id]}}}
    assert server.call("/task_runs/filter", flow_runs) == []  # no stage was begun


def test_cancel_stops_the_dask_work_and_leaves_a_resumable_workspace(
    server: Server, inputs: dict[str, Any], tmp_path: Path
) -> None:
    slow = {"tile_px": 64, "patch_px": 256, "overlap_px": 128}
    local = {"kind": "local", "workers": 2}
    run_id = server.start("on-demand", job(inputs, tmp_path, tiling=slow, compute=local))
    wait_until(lambda: len(job_runs.receipts(tmp_path)) > 10, 60)
    assert server.processes("forkserver")
    body = {"state": {"type": "CANCELLING"}, "force": True}
    server.call(f"/flow_runs/{run_id}/set_state", body)
    cancelled = time.time()
    assert server.end_of(run_id)["state_type"] == "CANCELLED"
    wait_until(lambda: not server.processes("forkserver"), 60)
    kept = job_runs.receipts(tmp_path)
    assert max(kept.values()) / 1e9 - cancelled < 60  # 1 s on an idle machine
    assert len(kept) < 2 * 110
    inline = {"kind": "inline"}
    again = server.start("on-demand", job(inputs, tmp_path, tiling=slow, compute=inline))
    assert server.end_of(again)["state_type"] == "COMPLETED"
    timings = server.table(again, "timings")
    todo = sum(row["done in this run"] for row in timings if row["stage"] != "write")
    assert todo == 2 * 110 - len(kept)


def test_a_run_that_ended_with_segtasks_up_does_not_run_for_ever(
    server: Server, inputs: dict[str, Any], tmp_path: Path
) -> None:
    body = {"parameters": {"job": job(inputs, tmp_path)}, "state": {"type": "RUNNING"}}
    deployment = server.deployment("on-demand")["id"]
    run_id = server.call(f"/deployments/{deployment}/create_flow_run", body)["id"]
    assert mark_interrupted(server.url, POOL) == 1
    run = server.end_of(run_id)
    assert run["state_type"] == "CRASHED"
    assert run["state"]["message"] == MESSAGE
    assert mark_interrupted(server.url, POOL) == 0
