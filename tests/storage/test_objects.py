"""Objects by url: written completely or not at all, alike on disk and on S3."""

import os
import resource
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from segtasks.errors import DestinationError, StorageError
from segtasks.storage import local_copy, object_store

NAMES = ("a.json", "b c#?%.json", "[x].json", "ö.json")


def test_what_is_written_is_read_listed_found_and_removed(place: str) -> None:
    for name in (*NAMES, "deep/er/c.json"):
        object_store.write_bytes(f"{place}/{name}", name.encode())
    assert all(object_store.exists(f"{place}/{name}") for name in NAMES)
    assert not object_store.exists(f"{place}/absent.json")
    assert object_store.names(place) == {*NAMES, "deep"}
    assert object_store.find(f"{place}/**") == sorted(
        f"{place}/{n}" for n in (*NAMES, "deep/er/c.json")
    )
    assert object_store.find(f"{place}/*.json") == sorted(f"{place}/{name}" for name in NAMES)
    assert object_store.find(f"{place}/*.tif") == []
    assert object_store.read_many([f"{place}/{name}" for name in NAMES]) == [
        n.encode() for n in NAMES
    ]
    object_store.remove_tree(f"{place}/deep")
    assert object_store.names(place) == set(NAMES)
    object_store.remove_tree(place)
    assert object_store.names(place) == set()


def test_a_missing_folder_has_no_names(place: str) -> None:
    assert object_store.names(f"{place}/absent") == set()
    assert object_store.read_many([]) == []
    object_store.remove_tree(f"{place}/absent")


def test_removing_a_tree_keeps_its_namesakes(place: str) -> None:
    """Longer names and names that the name matches as a pattern are kept."""
    kept = {"a1/x", "a[1]b/x", "[1]", "b/x"}
    for name in (*kept, "a[1]/x", "a[1]/y/z"):
        object_store.write_bytes(f"{place}/{name}", b"1")
    object_store.remove_tree(f"{place}/a[1]")
    assert {url.removeprefix(f"{place}/") for url in object_store.find(f"{place}/**")} == kept


def test_writing_again_replaces(place: str) -> None:
    object_store.write_bytes(f"{place}/a", b"long and old")
    before = object_store.identity(f"{place}/a")
    object_store.write_bytes(f"{place}/a", b"new")
    assert object_store.read_bytes(f"{place}/a") == b"new"
    assert object_store.identity(f"{place}/a") != before


def test_a_large_file_arrives_whole(place: str, tmp_path: Path) -> None:
    data = os.urandom(11 * 2**20)  # three parts of a multipart upload
    (tmp_path / "source").write_bytes(data)
    object_store.put_file(tmp_path / "source", f"{place}/deep/large")
    assert object_store.read_bytes(f"{place}/deep/large") == data
    assert object_store.names(f"{place}/deep") == {"large"}


def test_more_objects_than_one_listing_holds(tmp_path: Path) -> None:
    for index in range(1100):
        (tmp_path / f"{index}.json").touch()
    assert len(object_store.names(str(tmp_path))) == 1100


@pytest.mark.slow
def test_more_objects_than_one_listing_of_s3_holds(request: pytest.FixtureRequest) -> None:
    place = f"{request.getfixturevalue('s3').url}/many"
    fs, path = object_store.filesystem(place)
    fs.pipe({f"{path}/{index}.json": b"1" for index in range(1100)})
    assert len(object_store.names(place)) == 1100
    object_store.remove_tree(place)
    assert object_store.names(place) == set()


@pytest.mark.parametrize(
    "function", [object_store.read_bytes, object_store.identity, object_store.find]
)
def test_reading_a_missing_object_names_it(function: object, place: str) -> None:
    url = f"{place}/absent"
    if function is object_store.find:
        assert object_store.find(url) == []
        return
    assert callable(function)
    with pytest.raises(StorageError, match=f"{url}: does not exist .*; check its name"):
        function(url)


def test_copy_of_a_remote_object_is_fetched_once_per_version(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    s3 = request.getfixturevalue("s3")
    url, began = f"{s3.url}/model", time.time()
    object_store.write_bytes(url, b"first")
    first = local_copy.local_copy(url)
    assert local_copy.local_copy(url) == first
    asked = s3.requests("/model", since=began)
    assert len([each for each in asked if each.method == "GET"]) == 1
    object_store.write_bytes(url, b"second")
    assert local_copy.local_copy(url).read_bytes() == b"second"
    assert first.read_bytes() == b"first"


def test_relative_names_stay_relative(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    object_store.write_bytes("in/a.tif", b"1")
    object_store.write_bytes("in/deep/b.tif", b"1")
    assert object_store.find("in/**") == ["in/a.tif", "in/deep/b.tif"]
    assert object_store.read_bytes(f"file://{tmp_path}/in/a.tif") == b"1"
    assert object_store.local_path("in/a.tif") == tmp_path / "in/a.tif"


def test_replacing_leaves_nothing_after_a_failure(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "a.bin"
    object_store.write_bytes(str(target), b"old")

    def fail() -> None:
        with object_store.replacing(target) as temporary:
            temporary.write_bytes(b"half")
            assert temporary.parent == target.parent
            raise RuntimeError("on purpose")

    with pytest.raises(RuntimeError, match="on purpose"):
        fail()
    assert target.read_bytes() == b"old"
    assert [path.name for path in target.parent.iterdir()] == ["a.bin"]


def test_replacing_makes_a_file_that_others_may_read(tmp_path: Path) -> None:
    object_store.write_bytes(str(tmp_path / "a"), b"1")
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o644


def test_full_disk_is_one_line_and_leaves_the_old_file(tmp_path: Path) -> None:
    """RLIMIT_FSIZE simulates a full disk: the write fails in the middle."""
    target = tmp_path / "a.bin"
    target.write_bytes(b"old")
    program = f"""
import resource, signal
from segtasks.errors import StorageError
from segtasks.storage import object_store
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, {resource.RLIM_INFINITY}))
try:
    object_store.write_bytes({str(target)!r}, b"x" * 5000)
except StorageError as error:
    print(error)
"""
    command = [sys.executable, "-c", program]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert said.startswith(f"{target}: cannot be used (File too large); free some space")
    assert target.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.bin"]


def test_writable_place_is_left_as_it_was(place: str) -> None:
    object_store.write_bytes(f"{place}/a", b"1")
    object_store.require_writable(place)
    assert object_store.names(place) == {"a"}


def test_folder_that_is_a_file_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DestinationError, match=r"file: cannot be written \(.*\); choose a folder"):
        object_store.require_writable(str(tmp_path / "file"))


def test_same_object_by_two_names(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    (tmp_path / "link").symlink_to("a")
    (tmp_path / "hard").hardlink_to(tmp_path / "a")
    a = str(tmp_path / "a")
    assert object_store.is_same(a, str(tmp_path / "link"))
    assert object_store.is_same(a, f"file://{tmp_path}/hard")
    assert not object_store.is_same(a, str(tmp_path / "b"))
    assert object_store.is_same("s3://b/a", "s3://b/a")
    assert not object_store.is_same("s3://b/a", "s3://b/b")
