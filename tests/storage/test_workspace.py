"""The workspace: shards are written whole, and other files are never touched."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st

from segtasks.errors import ResourceError, WorkspaceError
from segtasks.raster.grid import Grid, Window
from segtasks.raster.labels import NODATA
from segtasks.storage import object_store, workspace
from segtasks.storage.workspace import ArraySpec

ARRAYS = ("image", "mask")
MASK = ArraySpec(leading=(), dtype="uint8", shard_px=64, fill=255)
IMAGE = ArraySpec(leading=(3,), dtype="uint16", shard_px=128, fill=0)


@pytest.mark.parametrize("shape", [(1, 1), (7, 5), (1, 300), (300, 1), (64, 64), (130, 190)])
def test_what_tiles_write_is_what_windows_read(place: str, shape: tuple[int, int]) -> None:
    height, width = shape
    workspace.create(place, height, width, {"image": IMAGE})
    image = np.random.default_rng(0).integers(0, 2**16, (3, height, width), np.uint16)
    grid = Grid(height, width, 128)
    for tile in grid.tiles():
        core = grid.core(tile)
        workspace.write(place, "image", core, image[(..., *core.slices)])
    np.testing.assert_array_equal(workspace.read(place, "image", grid.raster), image)
    inner = Window(height // 3, width // 4, height - height // 3, width // 2)
    np.testing.assert_array_equal(
        workspace.read(place, "image", inner), image[(..., *inner.slices)]
    )
    assert len(object_store.find(f"{place}/image/c/**")) == len(grid)


@given(
    height=st.integers(1, 200),
    width=st.integers(1, 200),
    core=st.sampled_from([64, 128, 192]),
)
def test_a_tile_is_one_object_at_any_size(
    tmp_path_factory: pytest.TempPathFactory, height: int, width: int, core: int
) -> None:
    """Then no two tasks write one object, and each task writes its own at once."""
    place = tmp_path_factory.mktemp("workspace")
    spec = ArraySpec(leading=(), dtype="uint8", shard_px=core, fill=255)
    workspace.create(str(place), height, width, {"mask": spec})
    grid, seen = Grid(height, width, core), set[Path]()
    for number, tile in enumerate(grid.tiles()):
        window = grid.core(tile)
        workspace.write(str(place), "mask", window, np.full(window.shape, number, np.uint8))
        now = {path for path in (place / "mask/c").rglob("*") if path.is_file()}
        assert len(now - seen) == 1
        seen = now
    mask = workspace.read(str(place), "mask", grid.raster)
    for number, tile in enumerate(grid.tiles()):
        assert (mask[grid.core(tile).slices] == number).all()


@pytest.mark.parametrize("value", [255, 0])
def test_shard_that_equals_the_fill_value_is_stored_all_the_same(place: str, value: int) -> None:
    """By default, Zarr omits it, and a finished tile would look like a missing one."""
    workspace.create(place, 100, 100, {"mask": MASK})
    for tile in Grid(100, 100, 64).tiles():
        core = Grid(100, 100, 64).core(tile)
        workspace.write(place, "mask", core, np.full(core.shape, value, np.uint8))
    found = {url.removeprefix(f"{place}/mask/") for url in object_store.find(f"{place}/mask/c/**")}
    assert found == {"c/0/0", "c/0/1", "c/1/0", "c/1/1"}


def test_what_was_not_written_is_nodata(place: str) -> None:
    workspace.create(place, 100, 100, {"mask": MASK})
    assert (workspace.read(place, "mask", Window(0, 0, 100, 100)) == NODATA).all()


def test_shard_of_a_killed_writer_is_not_there(tmp_path: Path) -> None:
    """A writer killed in the middle leaves the old data or none, never a partial shard."""
    place = str(tmp_path)
    workspace.create(place, 64, 64, {"mask": MASK})
    program = f"""
import os, pathlib, numpy as np
from segtasks.raster.grid import Window
from segtasks.storage import workspace
replace = os.replace
os.replace = os.rename = pathlib.Path.replace = lambda *_: os._exit(9)
workspace.write({place!r}, "mask", Window(0, 0, 64, 64), np.zeros((64, 64), np.uint8))
"""
    ended = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True)
    assert ended.returncode == 9
    assert (workspace.read(place, "mask", Window(0, 0, 64, 64)) == 255).all()


def test_an_array_replaced_by_another_process_is_seen(place: str) -> None:
    """A worker that outlives a job must not continue with the old job's shards."""
    workspace.create(place, 300, 300, {"mask": MASK})
    assert workspace.read(place, "mask", Window(0, 0, 300, 300)).shape == (300, 300)
    program = f"""
from segtasks.storage import workspace
from segtasks.storage.workspace import ArraySpec
workspace.clear({place!r}, {ARRAYS!r})
spec = ArraySpec(leading=(), dtype="uint8", shard_px=192, fill=7)
workspace.create({place!r}, 200, 200, {{"mask": spec}})
"""
    subprocess.run([sys.executable, "-c", program], check=True)
    window = Window(0, 0, 192, 192)
    assert (workspace.read(place, "mask", window) == 7).all()
    workspace.write(place, "mask", window, np.zeros(window.shape, np.uint8))
    assert object_store.find(f"{place}/mask/c/**") == [f"{place}/mask/c/0/0"]


def test_manifest_is_kept_and_a_damaged_one_is_refused(place: str) -> None:
    assert workspace.read_manifest(place) is None
    workspace.write_manifest(place, {"fingerprints": {"mask": "ab"}})
    assert workspace.read_manifest(place) == {"fingerprints": {"mask": "ab"}}
    object_store.write_bytes(f"{place}/{workspace.MANIFEST}", b'{"finger')
    with pytest.raises(WorkspaceError, match="is damaged; start again with --fresh"):
        workspace.read_manifest(place)


def test_clearing_removes_the_workspace_and_nothing_else(place: str) -> None:
    workspace.create(place, 100, 100, {"mask": MASK})
    workspace.write_manifest(place, {})
    object_store.write_bytes(f"{place}/receipts/a/predict/0_0.json", b"{}")
    object_store.write_bytes(f"{place}/notes.txt", b"mine")
    workspace.clear(place, ARRAYS)
    assert object_store.names(place) == {"notes.txt"}
    workspace.clear(place, ARRAYS)


def test_clearing_removes_the_folder_it_made(tmp_path: Path) -> None:
    place = tmp_path / "workspace"
    workspace.create(str(place), 100, 100, {"mask": MASK})
    workspace.clear(str(place), ARRAYS)
    assert not place.exists()


def test_half_cleared_workspace_is_cleared_again(place: str) -> None:
    workspace.create(place, 100, 100, {"mask": MASK, "image": IMAGE})
    object_store.remove_tree(f"{place}/mask")
    workspace.clear(place, ARRAYS)
    assert object_store.names(place) == set()


@pytest.mark.parametrize("name", ["image", "mask", "receipts"])
def test_folders_of_the_user_are_never_removed(place: str, name: str) -> None:
    object_store.write_bytes(f"{place}/{name}/ortho.tif", b"years of work")
    workspace.clear(place, ARRAYS)
    assert object_store.read_bytes(f"{place}/{name}/ortho.tif") == b"years of work"


def test_foreign_files_in_the_way_are_refused(place: str) -> None:
    object_store.write_bytes(f"{place}/image/ortho.tif", b"years of work")
    with pytest.raises(WorkspaceError, match="holds image, which segtasks did not make; give"):
        workspace.create(place, 100, 100, {"mask": MASK, "image": IMAGE})
    assert object_store.names(place) == {"image"}


def test_foreign_zarr_group_is_refused_and_kept(tmp_path: Path) -> None:
    group = zarr.open_group(str(tmp_path), mode="w", attributes={"title": "mine"})
    group.create_array("mask", shape=(3,), dtype="uint8")
    workspace.clear(str(tmp_path), ARRAYS)
    with pytest.raises(WorkspaceError, match="which segtasks did not make"):
        workspace.create(str(tmp_path), 100, 100, {"mask": MASK})
    assert json.loads((tmp_path / "zarr.json").read_text())["attributes"] == {"title": "mine"}
    assert (tmp_path / "mask/zarr.json").exists()


def test_a_full_disk_is_reported_with_the_remedy(tmp_path: Path) -> None:
    place = str(tmp_path)
    noise = ArraySpec(leading=(), dtype="uint8", shard_px=256, fill=0)
    workspace.create(place, 256, 256, {"image": noise})
    program = f"""
import resource, signal
import numpy as np
from segtasks.errors import ResourceError
from segtasks.raster.grid import Window
from segtasks.storage import workspace
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, -1))
data = np.random.default_rng(0).integers(0, 255, (256, 256), np.uint8)
try:
    workspace.write({place!r}, "image", Window(0, 0, 256, 256), data)
except ResourceError as error:
    print(error)
"""
    command = [sys.executable, "-c", program]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert said.startswith(f"{place}/image: cannot be written (File too large); free some space")
    whole = [path for path in tmp_path.rglob("c/**/*") if path.is_file()]
    assert [path for path in whole if path.suffix != ".partial"] == []


def test_an_error_of_a_write_is_a_segtasks_error(tmp_path: Path) -> None:
    workspace.create(str(tmp_path), 64, 64, {"mask": MASK})
    (tmp_path / "mask/c").write_text("a file where the shards' folder must be")
    with pytest.raises(ResourceError, match="mask: cannot be written"):
        workspace.write(str(tmp_path), "mask", Window(0, 0, 64, 64), np.zeros((64, 64), np.uint8))
