"""The mask's file: a valid COG with its legend that appears complete or not at all."""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import rasterio
from rasterio.enums import ColorInterp
from rio_cogeo.cogeo import cog_validate

from segtasks.errors import ResourceError
from segtasks.raster.grid import Grid, Window
from segtasks.raster.header import RasterHeader
from segtasks.storage import cog
from segtasks.storage.cog import ClassBand
from tests.helpers.legends import classes

LEGEND = ClassBand(
    classes=classes((0, "ground", "#808080"), (1, "water", "#0000ff"), (7, "Größe", "#fe00Aa"))
)
TAGS = {"SEGTASKS_FINGERPRINT": "ab12", "SEGTASKS_SOURCE": "s3://b/ö.tif"}
Mask = npt.NDArray[np.uint8]


def raster(height: int, width: int) -> RasterHeader:
    return RasterHeader(
        url="a.tif",
        identity="1",
        height=height,
        width=width,
        bands=(1,),
        dtype="uint8",
        crs_wkt=rasterio.crs.CRS.from_epsg(32633).to_wkt(),
        transform=(0.5, 0, 500000, 0, -0.5, 5000000),
    )


def noise(height: int, width: int) -> Mask:
    ids = np.array([0, 1, 7, 255], np.uint8)
    return ids[np.random.default_rng(0).integers(0, 4, (height, width))]


def parts(mask: Mask, core: int = 256) -> Iterator[tuple[Window, Mask]]:
    height, width = mask.shape
    grid = Grid(height, width, core)
    for tile in grid.tiles():
        yield grid.core(tile), mask[grid.core(tile).slices]


def write(path: Path, mask: Mask, legend: ClassBand = LEGEND) -> Path:
    with cog.write_cog(str(path), raster(*mask.shape), legend, TAGS, parts(mask)) as made:
        made.rename(path)
    return path


@pytest.mark.parametrize("shape", [(1, 1), (1, 700), (511, 513), (1100, 300)])
def test_mask_is_a_valid_cog_with_every_pixel(tmp_path: Path, shape: tuple[int, int]) -> None:
    mask = noise(*shape)
    path = write(tmp_path / "mask.tif", mask)
    is_valid, errors, warned = cog_validate(path, strict=True, quiet=True)
    assert is_valid, (errors, warned)
    with rasterio.open(path) as dataset:
        np.testing.assert_array_equal(dataset.read(1), mask)


def test_legend_names_and_tags_travel_with_the_mask(tmp_path: Path) -> None:
    with rasterio.open(write(tmp_path / "mask.tif", noise(30, 40))) as dataset:
        assert dataset.nodata == 255
        assert dataset.colorinterp == (ColorInterp.palette,)
        assert dataset.descriptions == ("class",)
        table = dataset.colormap(1)
        assert [table[i] for i in (0, 1, 7)] == [
            (128, 128, 128, 255),
            (0, 0, 255, 255),
            (254, 0, 170, 255),
        ]
        tags = dataset.tags()
        assert tags.items() >= TAGS.items()
        assert json.loads(tags["SEGTASKS_CLASSES"]) == {"0": "ground", "1": "water", "7": "Größe"}
        assert (tags["CLASS_1"], tags["CLASS_7"]) == ("water", "Größe")


def test_overviews_show_the_most_frequent_class_and_never_a_mean(tmp_path: Path) -> None:
    """Other methods would show the first pixel, or the class whose colour is nearest the mean."""
    rows = (0, "a", "#000000"), (1, "b", "#ffffff"), (2, "mean", "#404040")
    legend = ClassBand(classes=classes(*rows))
    mask = np.zeros((1024, 1024), np.uint8)
    mask[::2, ::2] = 1
    mask[:, 512:] = 255
    mask[::2, 512::2] = 1
    with rasterio.open(write(tmp_path / "mask.tif", mask, legend)) as dataset:
        assert dataset.overviews(1) == [2]
        small = dataset.read(1, out_shape=(512, 512))
    assert (small[:, :256] == 0).all()
    assert (small[:, 256:] == 1).all(), "a class is rather shown than nodata"


def test_same_input_gives_the_same_bytes(tmp_path: Path) -> None:
    mask = noise(600, 700)
    first, second = (write(tmp_path / name, mask) for name in ("a.tif", "b.tif"))
    assert first.read_bytes() == second.read_bytes()


def test_tag_of_a_file_that_is_no_raster_is_none(tmp_path: Path) -> None:
    path = write(tmp_path / "mask.tif", noise(30, 40))
    assert cog.read_tag(str(path), "SEGTASKS_FINGERPRINT") == "ab12"
    assert cog.read_tag(str(path), "OTHER") is None
    (tmp_path / "text.tif").write_text("text")
    assert cog.read_tag(str(tmp_path / "text.tif"), "SEGTASKS_FINGERPRINT") is None


def test_parts_that_fail_half_way_leave_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    def torn() -> Iterator[tuple[Window, Mask]]:
        whole = parts(noise(600, 600))
        yield next(whole)
        raise OSError(5, "Input/output error")

    def make() -> None:
        with cog.write_cog("to/mask.tif", raster(600, 600), LEGEND, TAGS, torn()):
            pytest.fail("a torn mask was made")

    with pytest.raises(ResourceError, match=r"to/mask\.tif: cannot be made .*Input/output error"):
        make()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("limit", [3_000, 60_000, 250_000])
def test_full_disk_fails_before_the_destination_is_touched(tmp_path: Path, limit: int) -> None:
    """The limits stop the temporary file in its header and in the middle, and then the COG."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    program = f"""
import resource, signal, sys, tempfile
sys.path.insert(0, {str(Path(__file__).parent)!r})
import test_cogs
from segtasks.errors import ResourceError
from segtasks.storage import cog
tempfile.tempdir = {str(scratch)!r}
mask = test_cogs.noise(900, 900)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, -1))
try:
    with cog.write_cog("to/mask.tif", test_cogs.raster(900, 900), test_cogs.LEGEND, test_cogs.TAGS,
                   test_cogs.parts(mask)):
        print("made")
except ResourceError as error:
    print(error)
"""
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("to/mask.tif: cannot be made in"), done.stdout + done.stderr
    assert "Free some space or set TMPDIR" in done.stdout
    assert done.stdout.count("\n") == 1
    assert list(scratch.iterdir()) == []


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_file_that_was_torn_unnoticed_is_never_given_out(
    share: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = cog._write_cog  # noqa: SLF001 - the fault is put right behind it

    def torn(plain: Path, cog: Path, creation: Mapping[str, str]) -> None:
        whole(plain, cog, creation)
        with cog.open("r+b") as file:
            file.truncate(int(cog.stat().st_size * share))

    monkeypatch.setattr(cog, "_write_cog", torn)
    with pytest.raises(ResourceError, match=r"mask\.tif: cannot be made"):
        write(tmp_path / "mask.tif", noise(900, 900))
    assert not (tmp_path / "mask.tif").exists()


@pytest.mark.slow
def test_memory_does_not_grow_with_the_mask(tmp_path: Path) -> None:
    """Compare peak memory for masks of 16 and 144 MPx; GDAL's cache is 128 MiB."""
    small, large = (_peak_bytes(side, tmp_path) for side in (4096, 12288))
    assert large - small < 160 * 2**20
    assert large < 600 * 2**20


def _peak_bytes(side: int, folder: Path) -> int:
    program = f"""
import sys
from pathlib import Path
import numpy as np
sys.path.insert(0, {str(Path(__file__).parent)!r})
import test_cogs
from segtasks.raster.grid import Grid
from segtasks.storage import cog
tile = np.repeat(np.repeat(test_cogs.noise(64, 64), 32, 0), 32, 1)
grid = Grid({side}, {side}, 2048)
parts = ((grid.core(t), tile) for t in grid.tiles())
with cog.write_cog("m", test_cogs.raster({side}, {side}), test_cogs.LEGEND, {{}}, parts):
    pass
# Not getrusage: its maximum is inherited from the process that started this one.
print(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])
"""
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=folder)
    return 1024 * int(done.stdout)
