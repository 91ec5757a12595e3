"""A prefix on a schedule: what is new or changed is done, what fails stops nothing else."""

from pathlib import Path
from typing import Any

import pytest

from segtasks.config.batch_job import BatchJob
from segtasks.pipeline.batch import outcome, segment_each
from segtasks.pipeline.run import segment
from tests.helpers import job_runs
from tests.helpers.prefect_server import ENDED, Server, wait_until

SIDE_PX = 80


@pytest.fixture
def batch(inputs: dict[str, Any], tmp_path: Path) -> dict[str, Any]:
    """Ten images, of which one is done already and one is torn."""
    incoming = tmp_path / "incoming"
    incoming.mkdir()
    write(incoming, "old")
    settings = {"model": inputs["model"], "crf": None, "tiling": {"tile_px": 256}}
    job = {"source": str(incoming), "to": str(tmp_path / "masks"), **settings}
    rows = list(segment_each(BatchJob(**job), lambda each: outcome(segment(each))))
    assert [row["status"] for row in rows] == ["done"]
    for name in "abcdefgh":
        write(incoming, name)
    torn = incoming / "torn.tif"
    torn.write_bytes((incoming / "a.tif").read_bytes()[:90])
    return job


def write(folder: Path, name: str, width: int = SIDE_PX) -> None:
    job_runs.write_photo(folder / f"{name}.tif", SIDE_PX, width)


def test_a_schedule_does_what_is_new_and_isolates_what_fails(
    server: Server, batch: dict[str, Any]
) -> None:
    run = scheduled(server, batch)
    assert statuses(server, run) == {
        **dict.fromkeys("abcdefgh", "done"),
        "old": "was done already",
        "torn": "failed",
    }
    assert run["state_type"] == "FAILED"
    assert run["state"]["message"].startswith("1 of 10 images failed: ")
    assert run["name"] == "batch incoming with m"
    table = server.artifact(run["id"], "batch")
    assert table["description"].endswith(": 8 done, 1 skipped (unchanged), 1 failed")
    failed = next(row for row in server.table(run["id"], "batch") if row["status"] == "failed")
    assert "torn.tif" in failed["error"]
    images = subflow_runs(server, run["id"])
    assert sorted(each["name"] for each in images) == [
        f"segment {x}.tif with m" for x in "abcdefgh"
    ]
    flows = {each["flow_id"] for each in images}
    assert [server.call(f"/flows/{each}", method="GET")["name"] for each in flows] == ["segment"]

    incoming = Path(batch["source"])
    write(incoming, "new")
    write(incoming, "old", width=SIDE_PX + 10)
    (incoming / "torn.tif").unlink()
    again = scheduled(server, batch)
    assert again["state_type"] == "COMPLETED"
    assert statuses(server, again) == {
        **dict.fromkeys("abcdefgh", "was done already"),
        "old": "done",
        "new": "done",
    }
    assert job_runs.read_mask(Path(batch["to"]) / "old").shape == (SIDE_PX, SIDE_PX + 10)


def scheduled(server: Server, batch: dict[str, Any]) -> dict[str, Any]:
    """The first run that a schedule starts, when it has ended."""
    deployment = server.deployment("scheduled")["id"]
    server.call(f"/deployments/{deployment}", {"parameters": {"job": batch}}, "PATCH")
    known = {run["id"] for run in runs_of(server, deployment)}
    every = [{"schedule": {"interval": 20.0}, "active": True}]
    made = server.call(f"/deployments/{deployment}/schedules", every)

    def ended() -> list[dict[str, Any]]:
        found = [run for run in runs_of(server, deployment) if run["id"] not in known]
        return [run for run in found if run["state_type"] in ENDED]

    def is_started() -> bool:
        found = [run for run in runs_of(server, deployment) if run["id"] not in known]
        return any(run["state_type"] in ENDED | {"PENDING", "RUNNING"} for run in found)

    try:
        wait_until(is_started, 120)
    finally:
        server.call(f"/deployments/{deployment}/schedules/{made[0]['id']}", None, "DELETE")
    wait_until(lambda: bool(ended()), 180)
    assert ended()[0]["auto_scheduled"]
    return ended()[0]


def runs_of(server: Server, deployment: str) -> list[dict[str, Any]]:
    body = {"deployments": {"id": {"any_": [deployment]}}, "sort": "START_TIME_ASC"}
    found: list[dict[str, Any]] = server.call("/flow_runs/filter", body)
    return found


def subflow_runs(server: Server, run_id: str) -> list[dict[str, Any]]:
    body = {"flow_runs": {"parent_flow_run_id": {"any_": [run_id]}}}
    found: list[dict[str, Any]] = server.call("/flow_runs/filter", body)
    return found


def statuses(server: Server, run: dict[str, Any]) -> dict[str, str]:
    rows = server.table(run["id"], "batch")
    return {Path(row["source"]).stem: row["status"] for row in rows}
