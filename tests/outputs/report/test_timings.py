"""Timings from receipts made by hand."""

import pytest

from segtasks.outputs.report.timings import measure_timings
from segtasks.storage.receipts import Receipt


def receipt(stage: str, began: float, number: int = 1, **seconds: float) -> Receipt:
    return Receipt(
        stage=stage,
        row=0,
        col=0,
        valid_px=1,
        worker=f"a:{number}",
        began=began,
        seconds=seconds,
    )


def test_wall_time_is_the_union_of_tiles_without_pauses() -> None:
    tiles = [
        receipt("predict", 105, read=2, wait=3, compute=10, write=1),  # at work 100 to 116
        receipt("predict", 112, number=2, read=1, wait=0, compute=20, write=0),  # 111 to 132
        # Killed here, resumed an hour later.
        receipt("predict", 4000, read=0, wait=0, compute=5, write=5),
    ]
    found = measure_timings(
        {"ingest": [receipt("ingest", 98, read=1, write=1)], "predict": tiles}, 7
    )
    assert (found.elapsed, found.runs, found.workers) == (34 + 10, 2, 2)
    assert found.total == 51
    assert found.stages[1].seconds == {"read": 3, "wait": 3, "compute": 35, "write": 6}
    assert found.stages[1].tiles == 3


@pytest.mark.parametrize(
    ("slow", "bound"),
    [
        ({"predict": {"compute": 50.0}}, "network"),
        ({"refine": {"compute": 50.0}}, "CRF"),
        ({"ingest": {"read": 50.0}}, "read"),
        ({"refine": {"write": 50.0}}, "write"),
        ({"pool": {"compute": 20.0}, "refine": {"compute": 15.0}}, "network"),
    ],
)
def test_what_takes_longest_holds_the_run_up(slow: dict[str, dict[str, float]], bound: str) -> None:
    taken = {"read": 1.0, "compute": 6.0, "write": 1.0}
    stages = ("ingest", "pool", "predict", "refine")
    reports = {name: [receipt(name, 0, 1, **(taken | slow.get(name, {})))] for name in stages}
    assert measure_timings(reports, 2).bound == bound


def test_workers_share_a_stage_but_one_process_makes_the_results() -> None:
    tiles = [receipt("predict", 0, number=n, compute=10) for n in range(4)]
    found = measure_timings({"predict": tiles}, 12)
    assert found.held == {"read": 0, "network": 10, "CRF": 0, "write": 12}
    assert found.bound == "write"
