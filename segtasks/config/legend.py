"""The legend: the classes of a mask, and how label files are read as class ids."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import PurePath
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from segtasks.config.base import ConfigModel, OneOrMore
from segtasks.config.loading import read_text, read_yaml
from segtasks.errors import JobError
from segtasks.raster.labels import NODATA

COLORS = ("#000000", "#e6194b", "#3cb44b", "#ffe119", "#4363d8", "#f58231", "#911eb4", "#46f0f0")
"""Default colours by class id; they repeat after the last."""

HexColor = Annotated[str, Field(pattern=r"^#[0-9a-fA-F]{6}$")]


class ClassEntry(BaseModel):
    """One row of the legend: class id, name and colour."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: int = Field(ge=0, le=NODATA - 1, description=f"Class id in the mask; {NODATA} is nodata.")
    name: str = Field(min_length=1, description="Name of the class.")
    color: HexColor = Field(description="Colour, #rrggbb.")


Classes = tuple[ClassEntry, ...]


def _numbered(classes: Classes) -> Classes:
    ids = [entry.id for entry in classes]
    if ids != list(range(len(ids))):
        raise ValueError(f"class ids are {ids}; number them 0 … {len(ids) - 1} in order")
    return classes


def _distinctly_named(classes: Classes) -> Classes:
    names = Counter(entry.name for entry in classes)
    if len(names) < len(classes):
        raise ValueError(f"two classes are named {names.most_common(1)[0][0]!r}; rename one")
    return classes


NumberedClasses = Annotated[Classes, AfterValidator(_numbered)]
"""Classes with the ids 0 … K-1 in order, as a model file lists them."""
Legend = Annotated[NumberedClasses, AfterValidator(_distinctly_named)]
"""The classes that a user gives a job: numbered, and each with a name of its own."""


NAME_COLUMN = 5  # of a colour table


class LabelRules(ConfigModel):
    """How label files are read, in addition to the legend."""

    void_colors: Annotated[tuple[HexColor, ...], OneOrMore] = Field(
        default=(), description="Colours in label images that stand for no class, #rrggbb."
    )
    label_values: tuple[int, ...] = Field(
        default=(),
        description="Values of label rasters that stand for classes 0, 1 …, e.g. 0,255. Default: "
        "values are class ids.",
    )
    label_column: str | None = Field(
        default=None,
        description="Column of vector labels with class names or ids. Default: all "
        "features are class 1.",
    )
    uncovered: Literal["first_class", "ignore"] = Field(
        default="first_class", description="What pixels outside all features of vector labels are."
    )
    all_touched: bool = Field(
        default=False,
        description="Vector features cover all pixels that they touch, not only those whose "
        "centre is inside.",
    )


def read_legend(path: str) -> tuple[list[dict[str, Any]], list[str]]:
    """Read the classes (id, name, color) and the void colours of a legend file.

    YAML or JSON: a list of ``{id, name, color}``; ``{void: true, color}`` names a void colour, and
    ``void_colors`` in any entry a list of them. An entry without ``id`` gets its place in the list,
    one without ``color`` a default colour. ``.txt`` and ``.clr``: a colour table as QGIS and GDAL
    write it, one ``id,r,g,b[,alpha[,name]]`` per line.

    Raises:
        JobError: the file cannot be read or is no such list.
    """
    is_table = PurePath(path).suffix.lower() in {".txt", ".clr"}
    entries = _table(path) if is_table else read_yaml(path)
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise JobError(
            f"{path}: is not a list of classes; write lines such as '- {{id: 0, name: road}}'"
        )
    void = [color for entry in entries for color in _void(entry)]
    classes = [entry for entry in entries if not entry.get("void") and "name" in entry]
    return [_class(i, entry) for i, entry in enumerate(classes)], void


def _void(entry: Mapping[str, Any]) -> list[str]:
    own = [entry["color"]] if entry.get("void") and "color" in entry else []
    return [*own, *entry.get("void_colors", [])]


def _class(place: int, entry: Mapping[str, Any]) -> dict[str, Any]:
    color = COLORS[place % len(COLORS)]
    stated = {key: entry[key] for key in entry if key not in {"void", "void_colors"}}
    return {"id": place, "color": color} | stated


def _table(path: str) -> list[dict[str, Any]]:
    """Read a colour table, without its comments and QGIS's ``INTERPOLATION:EXACT``."""
    lines = [line.strip() for line in read_text(path).splitlines()]
    rows = [line for line in lines if line and not line.startswith(("#", "INTERPOLATION"))]
    return [_row(path, re.split(r"[,\s]+", row, maxsplit=NAME_COLUMN)) for row in rows]


def _row(path: str, fields: list[str]) -> dict[str, Any]:
    try:
        class_id, *color = (int(field) for field in fields[:4])
        red, green, blue = bytes(color)
    except ValueError:
        raise JobError(
            f"{path}: line {' '.join(fields)!r} is no row of a colour table; write "
            "id,red,green,blue,alpha,name with numbers 0 … 255"
        ) from None
    name = fields[NAME_COLUMN] if len(fields) > NAME_COLUMN else f"class {class_id}"
    return {"id": class_id, "name": name, "color": f"#{red:02x}{green:02x}{blue:02x}"}


def default_legend(names: Iterable[str]) -> list[dict[str, Any]]:
    """Return classes (id, name, color) with default colours, numbered in the order of ``names``."""
    return [
        {"id": i, "name": name, "color": COLORS[i % len(COLORS)]} for i, name in enumerate(names)
    ]
