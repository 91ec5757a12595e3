"""A factory of unusual rasters with the label and nodata that every pixel must get.

The label of a pixel is its value (0..5) and nodata is known by construction, so that no code of
segtasks is needed to read them back. ``GOOD`` must be segmented, ``BAD`` must be refused in one
line.
"""

import shutil
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio
import rasterio.shutil
from rasterio.control import GroundControlPoint
from rasterio.enums import ColorInterp
from rasterio.errors import NotGeoreferencedWarning
from rasterio.rpc import RPC
from rasterio.transform import Affine

Bools = npt.NDArray[np.bool_]
Labels = npt.NDArray[np.uint8]
Image = npt.NDArray[Any]
NORTH_UP = Affine(0.5, 0, 500000, 0, -0.5, 5000000)
UTM = "EPSG:32633"
SHAPE = (97, 130)
GREY, ALPHA = ColorInterp.gray, ColorInterp.alpha
RGB = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
POINTS = [
    GroundControlPoint(0.5, 0.25, 13.1, 52.3, 31.5),
    GroundControlPoint(0, 130, 13.2, 52.31, 30),
    GroundControlPoint(97, 0, 13.11, 52.2, 29),
    GroundControlPoint(97, 130, 13.21, 52.21, 28),
]
COEFFICIENTS = [0.001 * i for i in range(20)]
RATIONAL = RPC(
    height_off=100.0,
    height_scale=500.0,
    lat_off=52.0,
    lat_scale=0.1,
    line_den_coeff=[1.0, *COEFFICIENTS[1:]],
    line_num_coeff=COEFFICIENTS,
    line_off=48.0,
    line_scale=49.0,
    long_off=13.0,
    long_scale=0.1,
    samp_den_coeff=[1.0, *COEFFICIENTS[1:]],
    samp_num_coeff=COEFFICIENTS,
    samp_off=65.0,
    samp_scale=66.0,
)


@dataclass(frozen=True, kw_only=True)
class Odd:
    """A raster on disk and its expected mask.

    Attributes:
        labels: class of each pixel; ``None`` for lossy files, whose values are read back.
        nodata: pixels at which the mask must be 255; all others must not be 255.
        bands: number of bands of the model; the last of them holds the labels.
        job: settings that this raster needs.
    """

    source: str
    labels: Labels | None
    nodata: Bools
    bands: int = 1
    job: Mapping[str, Any] = field(default_factory=dict)


Maker = Callable[[Path], Odd]


def pattern(bands: int = 1, shape: tuple[int, int] = SHAPE) -> Labels:
    """Return values 0..5 (C, H, W) with another pattern in each band."""
    band, row, col = np.indices((bands, *shape))
    return np.asarray((row // 3 * 5 + col // 2 + 2 * band) % 6, np.uint8)


def holes(shape: tuple[int, int] = SHAPE) -> Bools:
    """Return nodata with a collar, a hole across tile borders and a single pixel."""
    hidden = np.zeros(shape, bool)
    hidden[:5], hidden[:, -7:], hidden[40:70, 50:75], hidden[-1, 0] = True, True, True, True
    return hidden


def write(
    path: Path,
    image: Image,
    *,
    colorinterp: tuple[ColorInterp, ...] | None = None,
    colormap: Mapping[int, tuple[int, ...]] | None = None,
    mask: Bools | None = None,
    placed: bool = True,
    **profile: Any,  # noqa: ANN401 - GDAL's creation options
) -> None:
    """Write ``image`` (C, H, W) with rasterio."""
    settings: dict[str, Any] = {"driver": "GTiff", "dtype": image.dtype.name}
    if placed:
        settings |= {"crs": UTM, "transform": NORTH_UP}
    count, height, width = image.shape
    shape = {"count": count, "height": height, "width": width}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(path, "w", **(settings | shape | profile)) as dataset:
            if colorinterp:
                dataset.colorinterp = colorinterp
            if colormap:
                dataset.write_colormap(1, colormap)
            dataset.write(image)
            if mask is not None:
                dataset.write_mask(mask)


def plain(
    folder: Path,
    *,
    name: str = "odd.tif",
    bands: int = 1,
    used: int = 1,
    dtype: str = "uint8",
    shape: tuple[int, int] = SHAPE,
    hidden_as: float | None = None,
    lossy: bool = False,
    **options: Any,  # noqa: ANN401 - of write
) -> Odd:
    """Write a raster with GDAL's creation options and the value ``hidden_as`` in its holes."""
    image = pattern(bands, shape).astype(dtype)
    hidden = np.zeros(shape, bool)
    if hidden_as is not None:
        hidden = holes(shape)
        image[:, hidden] = np.array(hidden_as).astype(dtype)
    write(folder / name, image, **options)
    return _odd(folder / name, image, hidden, used=used, lossy=lossy)


def _odd(path: Path, image: Image, hidden: Bools, *, used: int = 1, lossy: bool = False) -> Odd:
    labels = None if lossy else np.where(hidden, 0, image[used - 1]).astype(np.uint8)
    job = {} if image.dtype == np.uint8 else {"stretch": (0, 255)}
    return Odd(source=str(path), labels=labels, nodata=hidden, bands=used, job=job)


def alpha(folder: Path, *, bands: int, dtype: str = "uint8", **options: Any) -> Odd:  # noqa: ANN401
    """Colour bands and alpha; half-transparent pixels are data."""
    colours = pattern(bands).astype(dtype)
    opaque = np.full(SHAPE, np.iinfo(dtype).max, dtype)
    opaque[20:30] = 1 if dtype == "uint8" else 300
    opaque[holes()] = 0
    kinds = (*(RGB if bands == 3 else (GREY,)), ALPHA)
    path = folder / "alpha.tif"
    write(path, np.concatenate([colours, opaque[None]]), colorinterp=kinds, **options)
    return _odd(path, colours, holes(), used=bands)


def masked(folder: Path, *, internal: bool, bands: int = 3) -> Odd:
    """A mask inside the file or in a .msk beside it."""
    image = pattern(bands)
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=internal):
        write(folder / "masked.tif", image, mask=~holes())
    assert (folder / "masked.tif.msk").exists() is not internal
    return _odd(folder / "masked.tif", image, holes())


def palette(
    folder: Path,
    *,
    transparent: bool = False,
    dtype: str = "uint8",
    **options: Any,  # noqa: ANN401
) -> Odd:
    """Colour indices; the red of colour i is label (i + 2) % 6."""
    index = pattern()[0]
    opacity = {i: 0 if transparent and i == 3 else 255 for i in range(6)}
    colours = {i: ((i + 2) % 6, 9, 9, opacity[i]) for i in range(6)}
    hidden = (index == 3) if transparent else np.zeros(SHAPE, bool)
    if options.get("nodata") is not None:
        hidden = hidden | (index == options["nodata"])
    if transparent:
        return _palette_vrt(folder, index, colours, hidden)
    path = folder / "palette.tif"
    write(
        path,
        index[None].astype(dtype),
        colormap=colours,
        colorinterp=(ColorInterp.palette,),
        photometric="palette",
        **options,
    )
    return Odd(source=str(path), labels=((index + 2) % 6).astype(np.uint8), nodata=hidden)


def _palette_vrt(
    folder: Path, index: Labels, colours: Mapping[int, tuple[int, ...]], hidden: Bools
) -> Odd:
    """A GeoTIFF's palette keeps no alpha, a VRT's does."""
    write(folder / "index.tif", index[None])
    entries = "".join(
        f'<Entry c1="{r}" c2="{g}" c3="{b}" c4="{a}"/>' for r, g, b, a in colours.values()
    )
    band = f"<ColorInterp>Palette</ColorInterp><ColorTable>{entries}</ColorTable>"
    path = vrt(folder / "palette.vrt", [("Byte", band, "index.tif", 1)])
    return Odd(source=str(path), labels=((index + 2) % 6).astype(np.uint8), nodata=hidden)


def vrt(path: Path, bands: list[tuple[str, str, str, int]], *, relative: bool = True) -> Path:
    """A VRT of bands (GDAL type, more XML, source file, its band)."""
    height, width = SHAPE
    rows = []
    for number, (kind, xml, name, band) in enumerate(bands, start=1):
        source = name if relative else str(path.parent / name)
        rows.append(
            f'<VRTRasterBand dataType="{kind}" band="{number}">{xml}<SimpleSource>'
            f'<SourceFilename relativeToVRT="{int(relative)}">{source}</SourceFilename>'
            f"<SourceBand>{band}</SourceBand></SimpleSource></VRTRasterBand>"
        )
    path.write_text(
        f'<VRTDataset rasterXSize="{width}" rasterYSize="{height}">'
        f"<SRS>{UTM}</SRS><GeoTransform>500000, 0.5, 0, 5000000, 0, -0.5</GeoTransform>"
        f"{''.join(rows)}</VRTDataset>"
    )
    return path


def simple_vrt(folder: Path, *, relative: bool) -> Odd:
    """A VRT of one file; nodata is the VRT's own."""
    image = pattern()
    image[:, holes()] = 77
    write(folder / "part.tif", image)
    xml = "<NoDataValue>77</NoDataValue>"
    path = vrt(folder / "mosaic.vrt", [("Byte", xml, "part.tif", 1)], relative=relative)
    return _odd(path, image, holes())


def nodata_per_band(folder: Path) -> Odd:
    """A pixel is data while one band is: GDAL's rule for nodata values."""
    image = pattern(2)
    image[0, holes()] = 70
    image[1, :50][holes()[:50]] = 80
    write(folder / "part.tif", image)
    bands = [
        ("Byte", f"<NoDataValue>{value}</NoDataValue>", "part.tif", number)
        for number, value in ((1, 70), (2, 80))
    ]
    path = vrt(folder / "bands.vrt", bands)
    hidden = holes()
    hidden[50:] = False
    labels = np.where(image[0] == 70, 5, image[0]).astype(np.uint8)  # 70 is nearest to class 5
    return Odd(source=str(path), labels=labels, nodata=hidden)


def palette_without_colours(folder: Path) -> Odd:
    """Write a file that declares a palette but has none, so that its values are used."""
    write(folder / "index.tif", pattern())
    xml = "<ColorInterp>Palette</ColorInterp>"
    path = vrt(folder / "palette.vrt", [("Byte", xml, "index.tif", 1)])
    return _odd(path, pattern(), np.zeros(SHAPE, bool))


def mixed_dtypes(folder: Path) -> Odd:
    """Bands of different dtypes."""
    image = pattern(3)
    for number, dtype in enumerate(("uint8", "int16", "float32")):
        write(folder / f"{dtype}.tif", image[number : number + 1].astype(dtype))
    names = (("Byte", "uint8"), ("Int16", "int16"), ("Float32", "float32"))
    path = vrt(folder / "mixed.vrt", [(kind, "", f"{name}.tif", 1) for kind, name in names])
    odd = _odd(path, image, np.zeros(SHAPE, bool), used=3)
    return Odd(source=odd.source, labels=odd.labels, nodata=odd.nodata, bands=3, job=STRETCHED)


STRETCHED: Mapping[str, Any] = {"stretch": (0, 255)}


def unfinite(folder: Path, dtype: str, **options: Any) -> Odd:  # noqa: ANN401
    """NaN and infinities in any used band hide a pixel, whatever nodata says."""
    image = pattern(3).astype(dtype)
    hidden = np.zeros(SHAPE, bool)
    for band, row, value in ((0, 3, np.nan), (1, 50, np.inf), (2, 80, -np.inf)):
        image[band, row : row + 4, 10:90] = value
        hidden[row : row + 4, 10:90] = True
    write(folder / "unfinite.tif", image, **options)
    return _odd(folder / "unfinite.tif", image, hidden, used=3)


def copied(folder: Path, driver: str, name: str, *, bands: int = 3, **options: Any) -> Odd:  # noqa: ANN401
    """Write with a driver that can only copy."""
    image = pattern(bands)
    write(folder / "first.tif", image, placed=driver != "PNG")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        rasterio.shutil.copy(folder / "first.tif", folder / name, driver=driver, **options)
    lossy = driver == "JPEG" or options.get("compress") == "jpeg"
    return _odd(folder / name, image, np.zeros(SHAPE, bool), lossy=lossy)


def gcps_without_crs(folder: Path) -> Odd:
    """Write a VRT, since rasterio cannot write this directly."""
    write(folder / "part.tif", pattern())
    points = "".join(
        f'<GCP Id="{p.id}" Pixel="{p.col}" Line="{p.row}" X="{p.x}" Y="{p.y}" Z="{p.z}"/>'
        for p in POINTS
    )
    path = vrt(folder / "gcps.vrt", [("Byte", "", "part.tif", 1)])
    head, _, rest = path.read_text().partition("<SRS>")
    path.write_text(f"{head}<GCPList>{points}</GCPList>{rest.partition('</GeoTransform>')[2]}")
    return _odd(path, pattern(), np.zeros(SHAPE, bool))


def overviews(folder: Path) -> Odd:
    """Write a raster with overviews."""
    odd = plain(folder, hidden_as=0, nodata=0, tiled=True, blockxsize=64, blockysize=64)
    with rasterio.open(odd.source, "r+") as dataset:
        dataset.build_overviews([2, 4])
    # 0 is a label everywhere else: the whole class is nodata.
    zero = pattern()[0] == 0
    return Odd(source=odd.source, labels=odd.labels, nodata=odd.nodata | zero)


def nodata_zero(folder: Path) -> Odd:
    """Write a raster with nodata 0, a class that is easily lost."""
    image = pattern()
    write(folder / "zero.tif", image, nodata=0)
    return _odd(folder / "zero.tif", image, image[0] == 0)


def linked(folder: Path) -> Odd:
    """A symbolic link."""
    odd = plain(folder, name="real.tif")
    link = folder / "link.tif"
    link.symlink_to("real.tif")
    return Odd(source=str(link), labels=odd.labels, nodata=odd.nodata)


def subdataset(folder: Path) -> Odd:
    """One variable of a netCDF file, by GDAL's name for it."""
    odd = copied(folder, "netCDF", "cube.nc", bands=2)
    source = f"netcdf:{odd.source}:Band2"
    return Odd(source=source, labels=pattern(2)[1], nodata=odd.nodata)


def zipped(folder: Path) -> Odd:
    """A raster in an archive, by GDAL's name for it."""
    odd = plain(folder, name="inner.tif")
    shutil.make_archive(str(folder / "packed"), "zip", folder, "inner.tif")
    Path(odd.source).unlink()
    return Odd(
        source=f"/vsizip/{folder}/packed.zip/inner.tif", labels=odd.labels, nodata=odd.nodata
    )


def dtypes() -> dict[str, Maker]:
    names = ("int8", "uint16", "int16", "uint32", "int32", "uint64", "int64", "float32", "float64")
    return {f"dtype-{name}": _bound(dtype=name) for name in names}


def _bound(**options: Any) -> Maker:  # noqa: ANN401
    return lambda folder: plain(folder, **options)


def _wkt(name: str) -> str:
    return (
        f'PROJCS["{name}",GEOGCS["own",DATUM["own",SPHEROID["own",6378000,299]],'
        'PRIMEM["Greenwich",0],UNIT["degree",0.0174532925199433]],'
        'PROJECTION["Transverse_Mercator"],PARAMETER["latitude_of_origin",1],'
        'PARAMETER["central_meridian",11.25],PARAMETER["scale_factor",0.99987],'
        'PARAMETER["false_easting",12345],PARAMETER["false_northing",-54321],UNIT["metre",1]]'
    )


NODATA: dict[str, Maker] = {
    "nodata-0": nodata_zero,
    "nodata-200": _bound(hidden_as=200, nodata=200),
    "nodata-of-int16": _bound(hidden_as=-9999, nodata=-9999, dtype="int16", bands=2),
    "nodata-of-float32": _bound(hidden_as=-9999, nodata=-9999, dtype="float32", bands=3, used=3),
    "nodata-lowest-float": _bound(
        hidden_as=-3.4028234663852886e38, nodata=-3.4028234663852886e38, dtype="float32"
    ),
    "nodata-nan": _bound(hidden_as=np.nan, nodata=np.nan, dtype="float32"),
    "nodata-nan-of-float64": _bound(hidden_as=np.nan, nodata=np.nan, dtype="float64", bands=3),
    "nodata-inf": _bound(hidden_as=np.inf, nodata=np.inf, dtype="float32"),
    "nodata-inf-negative": _bound(hidden_as=-np.inf, nodata=-np.inf, dtype="float64"),
    "nodata-unused": _bound(nodata=255),
    "nodata-of-int64": _bound(hidden_as=-9999, nodata=-9999, dtype="int64"),
    "nodata-of-int8": _bound(hidden_as=-128, nodata=-128, dtype="int8"),
    "nodata-per-band": nodata_per_band,
    "nan-without-nodata": lambda folder: unfinite(folder, "float32"),
    "nan-and-nodata": lambda folder: unfinite(folder, "float64", nodata=-1),
    "alpha-grey": lambda folder: alpha(folder, bands=1),
    "alpha-rgb": lambda folder: alpha(folder, bands=3, photometric="rgb"),
    "alpha-rgb-uint16": lambda folder: alpha(folder, bands=3, dtype="uint16", photometric="rgb"),
    "alpha-and-nodata": lambda folder: alpha(folder, bands=3, nodata=250),
    "mask-inside": lambda folder: masked(folder, internal=True),
    "mask-beside": lambda folder: masked(folder, internal=False),
    "mask-inside-one-band": lambda folder: masked(folder, internal=True, bands=1),
    "palette": palette,
    "palette-uint16": lambda folder: palette(folder, dtype="uint16"),
    "palette-alpha": lambda folder: palette(folder, transparent=True),
    "palette-without-colours": palette_without_colours,
    "palette-nodata": lambda folder: palette(folder, nodata=4),
    "all-nodata": _bound(shape=(70, 80), hidden_as=None, dtype="uint8", nodata=None),
}

LAYOUT: dict[str, Maker] = {
    **{f"bands-{n}": _bound(bands=n, photometric="minisblack") for n in (1, 2, 4, 5, 13)},
    "bands-13-of-3": _bound(bands=13, used=3),
    "bits-1": lambda folder: bits(folder, 1),
    "bits-4": lambda folder: bits(folder, 4),
    "one-row-strips": _bound(blockysize=1, bands=3),
    "one-strip": _bound(blockysize=97),
    "tiled-16": _bound(tiled=True, blockxsize=16, blockysize=16),
    "tiled-512": _bound(tiled=True, blockxsize=512, blockysize=512),
    "interleave-band": _bound(interleave="band", bands=3, used=3),
    "interleave-pixel": _bound(interleave="pixel", bands=3, used=3),
    "bigtiff": _bound(bigtiff="yes"),
    "big-endian": _bound(endianness="big", dtype="uint16"),
    "lzw": _bound(compress="lzw"),
    "lzw-predictor-3": _bound(compress="lzw", predictor=3, dtype="float32"),
    "deflate-predictor-2": _bound(compress="deflate", predictor=2, bands=3),
    "zstd": _bound(compress="zstd"),
    "lerc": _bound(compress="lerc", dtype="float32"),
    "lerc-zstd": _bound(compress="lerc_zstd", dtype="float32"),
    "packbits": _bound(compress="packbits"),
    "webp-lossless": _bound(compress="webp", webp_lossless=True, bands=3, interleave="pixel"),
    "webp": _bound(compress="webp", bands=3, interleave="pixel", lossy=True),
    "jpeg-ycbcr": _bound(
        compress="jpeg", photometric="ycbcr", bands=3, interleave="pixel", lossy=True
    ),
    "cmyk": _bound(photometric="cmyk", bands=4, lossy=True),  # GDAL turns it into RGBA
    "min-is-white": _bound(photometric="miniswhite"),
    "sparse": _bound(sparse_ok=True, tiled=True, blockxsize=16, blockysize=16),
    "overviews": overviews,
    "jpeg2000": lambda folder: copied(
        folder, "JP2OpenJPEG", "a.jp2", quality="100", reversible="yes"
    ),
    "png": lambda folder: copied(folder, "PNG", "a.png"),
    "jpeg": lambda folder: copied(folder, "JPEG", "a.jpg", quality="95"),
    "erdas": lambda folder: copied(folder, "HFA", "a.img"),
    "envi": lambda folder: copied(folder, "ENVI", "a.dat"),
    "cog": lambda folder: copied(folder, "COG", "cog.tif"),
    "netcdf": lambda folder: copied(folder, "netCDF", "a.nc", bands=1),
    "netcdf-subdataset": subdataset,
    "zip": zipped,
    "vrt-relative": lambda folder: simple_vrt(folder, relative=True),
    "vrt-absolute": lambda folder: simple_vrt(folder, relative=False),
    "mixed-dtypes": mixed_dtypes,
    "1x1": _bound(shape=(1, 1)),
    "1x300": _bound(shape=(1, 300)),
    "300x1": _bound(shape=(300, 1)),
    "7x5": _bound(shape=(7, 5)),
    "64x64": _bound(shape=(64, 64)),
    "513x511": _bound(shape=(513, 511)),
}

PLACE: dict[str, Maker] = {
    "crs-geographic": _bound(crs="EPSG:4326", transform=Affine(1e-5, 0, 13, 0, -1e-5, 52)),
    "crs-own": _bound(crs=_wkt("own")),
    "crs-compound": _bound(crs="EPSG:32633+5773"),
    "crs-custom-proj": _bound(crs="+proj=ortho +lat_0=40 +lon_0=20 +R=6371000"),
    "crs-engineering": _bound(
        crs='LOCAL_CS["local",UNIT["metre",1],AXIS["x",EAST],AXIS["y",NORTH]]'
    ),
    "crs-none": _bound(placed=False, transform=NORTH_UP),
    "nowhere": _bound(placed=False),
    "crs-without-transform": _bound(placed=False, crs=UTM),
    "south-up": _bound(transform=Affine(0.5, 0, 500000, 0, 0.5, 5000000)),
    "rotated": _bound(transform=Affine(0.4, 0.3, 500000, 0.3, -0.4, 5000000)),
    "mirrored": _bound(transform=Affine(-0.5, 0, 500000, 0, -0.5, 5000000)),
    "far-away": _bound(transform=Affine(1e-3, 0, 1.2345678901234e12, 0, -1e-3, -9.87654321e12)),
    "pixel-is-point": _bound(AREA_OR_POINT="Point"),
    "oblong-pixels": _bound(transform=Affine(2, 0, 1, 0, -0.25, 3)),
    "gcps": _bound(placed=False, gcps=POINTS, crs="EPSG:4326"),
    "gcps-without-crs": gcps_without_crs,
    "rpc": _bound(placed=False, rpcs=RATIONAL),
    "unicode": _bound(name="Größe 航空 ортофото.tif"),
    "spaces-and-signs": _bound(name="a b #1 ?50% [x] & 'c'+d;e=f,g.tif"),
    "no-suffix": _bound(name="raster"),
    "link": linked,
}


def bits(folder: Path, count: int) -> Odd:
    """Fewer than eight bits per pixel."""
    image = pattern() % 2 if count == 1 else pattern()
    write(folder / "bits.tif", image, nbits=count)
    if count == 1:
        image *= 5  # GDAL gives one bit a palette of black and white: 255 is nearest to class 5
    return _odd(folder / "bits.tif", image, np.zeros(SHAPE, bool))


def all_nodata(folder: Path) -> Odd:
    """Nothing there."""
    image = np.full((1, *SHAPE), 7, np.uint8)
    write(folder / "empty.tif", image, nodata=7)
    return _odd(folder / "empty.tif", image, np.ones(SHAPE, bool))


NODATA["all-nodata"] = all_nodata
GOOD: dict[str, Maker] = {**dtypes(), **NODATA, **LAYOUT, **PLACE}


@dataclass(frozen=True, kw_only=True)
class Bad:
    """A source that must be refused, and a pattern that the message must match."""

    source: str
    message: str
    job: Mapping[str, Any] = field(default_factory=dict)


def _complex(folder: Path, dtype: str) -> Bad:
    path = folder / "complex.tif"
    write(path, np.ones((1, 20, 20), "complex64"), dtype=dtype)
    return Bad(source=str(path), message="convert them to amplitude")


def _zero_bytes(folder: Path) -> Bad:
    (folder / "zero.tif").touch()
    return Bad(source=str(folder / "zero.tif"), message="cannot be opened as a raster")


def _truncated(folder: Path, share: float, message: str) -> Bad:
    path = folder / "truncated.tif"
    noise = np.random.default_rng(0).integers(0, 6, (1, 300, 300), np.uint8)
    write(path, noise, compress="deflate", tiled=True, blockxsize=64, blockysize=64)
    with path.open("r+b") as file:
        file.truncate(int(path.stat().st_size * share))
    return Bad(source=str(path), message=message)


def _damaged(folder: Path) -> Bad:
    """Write a complete file with a damaged block."""
    path = folder / "damaged.tif"
    noise = np.random.default_rng(0).integers(0, 6, (1, 300, 300), np.uint8)
    write(path, noise, compress="deflate", tiled=True, blockxsize=64, blockysize=64)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 2000] = bytes(2000)
    path.write_bytes(data)
    return Bad(source=str(path), message="truncated or damaged")


def _text(folder: Path) -> Bad:
    (folder / "text.tif").write_text("this is not a raster\n" * 100)
    return Bad(source=str(folder / "text.tif"), message="cannot be opened as a raster")


def _folder(folder: Path) -> Bad:
    (folder / "folder.tif").mkdir()
    return Bad(source=str(folder / "folder.tif"), message="cannot be opened as a raster")


def _missing_part(folder: Path) -> Bad:
    path = vrt(folder / "torn.vrt", [("Byte", "", "absent.tif", 1)])
    return Bad(source=str(path), message=r"absent\.tif.*repair")


def _dangling(folder: Path) -> Bad:
    (folder / "link.tif").symlink_to("absent.tif")
    return Bad(source=str(folder / "link.tif"), message="no such file")


def _subdatasets(folder: Path) -> Bad:
    copied(folder, "netCDF", "cube.nc", bands=2)
    return Bad(source=str(folder / "cube.nc"), message="subdatasets, e.g. ")


def _only_alpha(folder: Path) -> Bad:
    write(folder / "only.tif", pattern(), colorinterp=(ALPHA,))
    return Bad(source=str(folder / "only.tif"), message="has only an alpha band")


def _of(folder: Path, message: str, job: Mapping[str, Any] | None = None, **options: Any) -> Bad:  # noqa: ANN401
    return Bad(source=plain(folder, **options).source, message=message, job=job or {})


BAD: dict[str, Callable[[Path], Bad]] = {
    "complex64": lambda folder: _complex(folder, "complex64"),
    "complex128": lambda folder: _complex(folder, "complex128"),
    "complex-int16": lambda folder: _complex(folder, "complex_int16"),
    "zero-bytes": _zero_bytes,
    "truncated-header": lambda folder: _truncated(folder, 0.001, "cannot be opened as a raster"),
    "truncated-half": lambda folder: _truncated(folder, 0.5, "truncated or damaged"),
    "truncated-end": lambda folder: _truncated(folder, 0.97, "truncated or damaged"),
    "damaged-block": _damaged,
    "text": _text,
    "folder": _folder,
    "missing": lambda folder: Bad(source=str(folder / "absent.tif"), message="check the path"),
    "in-missing-folder": lambda folder: Bad(
        source=str(folder / "absent/a.tif"), message="check the path"
    ),
    "missing-part": _missing_part,
    "dangling-link": _dangling,
    "subdatasets": _subdatasets,
    "only-alpha": _only_alpha,
    "unknown-protocol": lambda _: Bad(source="ftps9://host/a.tif", message="cannot be opened"),
    "name-too-long": lambda folder: Bad(source=f"{folder}/{'x' * 300}.tif", message="check"),
    "other-dtype": lambda folder: _of(folder, "--stretch LOW,HIGH", dtype="uint16"),
    "absent-band": lambda folder: _of(folder, "has no band 4", {"bands": (4,)}, bands=3),
    "all-nodata-auto-stretch": lambda folder: _of(
        folder,
        "--stretch LOW,HIGH",
        {"stretch": "auto"},
        nodata=7,
        dtype="int16",
        shape=(3, 3),
        hidden_as=7,
    ),
}
