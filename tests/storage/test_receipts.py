"""Receipts prove that a tile is done, and exist only for data that was written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segtasks.errors import WorkspaceError
from segtasks.raster.grid import Tile
from segtasks.storage import object_store, receipts
from segtasks.storage.receipts import Receipt


def receipt(row: int = 0, col: int = 0, **changes: object) -> Receipt:
    values = {
        "stage": "predict",
        "valid_px": 5,
        "worker": "w",
        "began": 7.5,
        "histogram": {0: 3, 4: 2},
    }
    return Receipt(row=row, col=col, **(values | changes))  # type: ignore[arg-type] # a test's shorthand


def test_written_receipts_are_listed_and_read(place: str) -> None:
    written = [receipt(0, 0), receipt(12, 345, seconds={"read": 0.25}), receipt(1, 0, histogram={})]
    for each in written:
        receipts.write(place, "print", each)
    assert receipts.done(place, "print", "predict") == {Tile(0, 0), Tile(12, 345), Tile(1, 0)}
    found = receipts.read_all(place, "print", "predict")
    assert sorted(found, key=lambda each: each.row) == sorted(written, key=lambda each: each.row)
    assert receipts.is_done(place, "print", "predict", Tile(12, 345))
    assert not receipts.is_done(place, "print", "predict", Tile(12, 34))


def test_other_stages_and_other_settings_never_match(place: str) -> None:
    receipts.write(place, "print", receipt())
    assert receipts.done(place, "print", "ingest") == set()
    assert receipts.done(place, "other", "predict") == set()
    assert receipts.read_all(place, "other", "predict") == []
    assert not receipts.is_done(place, "other", "predict", Tile(0, 0))


def test_twice_done_counts_once(place: str) -> None:
    receipts.write(place, "print", receipt(histogram={0: 1}))
    receipts.write(place, "print", receipt())
    assert receipts.read_all(place, "print", "predict") == [receipt()]


@pytest.mark.parametrize("left", [".0_1.json.ab12.partial", "0_1.json.part", "x.json", "0_1.jso"])
def test_unfinished_file_of_a_killed_writer_is_no_receipt(place: str, left: str) -> None:
    receipts.write(place, "print", receipt())
    object_store.write_bytes(f"{place}/receipts/print/predict/{left}", b'{"stage": "pre')
    assert receipts.done(place, "print", "predict") == {Tile(0, 0)}
    assert receipts.read_all(place, "print", "predict") == [receipt()]


@pytest.mark.parametrize("text", [b"", b'{"stage": "pre', b"[]", b"{}", b'{"histogram": {"a": 1}}'])
def test_damaged_receipt_is_named_with_the_remedy(place: str, text: bytes) -> None:
    url = f"{place}/receipts/print/predict/0_0.json"
    object_store.write_bytes(url, text)
    with pytest.raises(WorkspaceError, match=f"{url}: is damaged; remove it and rerun"):
        receipts.read_all(place, "print", "predict")


@given(
    tiles=st.sets(st.tuples(st.integers(0, 10**6), st.integers(0, 10**6)), max_size=8),
    histogram=st.dictionaries(st.integers(0, 254), st.integers(0, 2**40)),
)
def test_done_is_exactly_what_was_written(
    tmp_path_factory: pytest.TempPathFactory,
    tiles: set[tuple[int, int]],
    histogram: dict[int, int],
) -> None:
    place = str(tmp_path_factory.mktemp("receipts"))
    for row, col in tiles:
        receipts.write(place, "print", receipt(row, col, histogram=histogram))
    assert receipts.done(place, "print", "predict") == {Tile(*tile) for tile in tiles}
    found = receipts.read_all(place, "print", "predict")
    assert [each.histogram for each in found] == [histogram] * len(tiles)
