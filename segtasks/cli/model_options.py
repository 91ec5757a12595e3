"""Command-line options made from a pydantic model, so that model, file, form and options agree.

A field of a part becomes an option by its own name: ``tiling.tile_px`` is ``--tile-px``; names in
``PREFIXED`` parts keep their part's: ``crf.iterations`` is ``--crf-iterations``.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, get_args

import click
import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

PREFIXED = {"crf", "augmentation", "vectors"}
RENAMED = {"compute.kind": "compute"}
Path = tuple[str, ...]
Command = Callable[..., Any]


def options(model: type[BaseModel], *, without: frozenset[str] = frozenset()) -> Command:
    """Decorator that gives a click command one option per field of ``model``.

    Args:
        model: fields that are models become groups of options.
        without: top-level fields that are arguments of the command instead.
    """

    def decorate(command: Command) -> Command:
        for path, info in reversed(list(_leaves(model))):
            if path[0] not in without:
                command = _option(path, info)(command)
        return command

    return decorate


def nested(model: type[BaseModel], given: Mapping[str, Any]) -> dict[str, Any]:
    """The options that were given, as nested values for ``model``."""
    values: dict[str, Any] = {}
    for path, info in _leaves(model):
        name = _name(path).replace("-", "_")
        is_off = given.get(f"no_{name}", False)
        raw: Any = None if is_off else given.get(name)
        if raw is None and not is_off:
            continue
        part = values
        for key in path[:-1]:
            part = part.setdefault(key, {})
        is_kept = raw is None or _is_text(info) or isinstance(raw, bool)
        part[path[-1]] = raw if is_kept else _parsed(raw)
    return values


def merged(
    model: type[BaseModel], base: Mapping[str, Any], over: Mapping[str, Any]
) -> dict[str, Any]:
    """``base`` with the values of ``over``, part by part; other mappings are one value each."""
    result = dict(base)
    for key, value in over.items():
        result[key] = _over(model.model_fields.get(key), result.get(key), value)
    return result


def _over(info: FieldInfo | None, old: object, value: object) -> object:
    part = _part(info) if info else None
    if part and isinstance(old, Mapping) and isinstance(value, Mapping):
        return merged(part, old, value)
    return value


def _leaves(model: type[BaseModel], path: Path = ()) -> Iterator[tuple[Path, FieldInfo]]:
    for name, info in model.model_fields.items():
        part = _part(info)
        if part:
            yield from _leaves(part, (*path, name))
        else:
            yield (*path, name), info


def _part(info: FieldInfo) -> type[BaseModel] | None:
    """The model of a field that is one (or one or nothing)."""
    kinds = [info.annotation, *get_args(info.annotation)]
    parts = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)]
    is_container = info.annotation not in parts and type(None) not in kinds
    return parts[0] if parts and not is_container else None


def _name(path: Path) -> str:
    if (renamed := RENAMED.get(".".join(path))) is not None:
        return renamed
    words = path if path[0] in PREFIXED else path[-1:]
    return "-".join(words).replace("_", "-")


def _option(path: Path, info: FieldInfo) -> Command:
    name = _name(path)
    text = info.description or ""
    if info.annotation is bool:
        return click.option(f"--{name}/--no-{name}", default=None, help=text)
    default = info.get_default(call_default_factory=True) if not info.is_required() else None
    shown = "" if default in (None, {}, ()) else f" [default: {default}]"
    option = click.option(f"--{name}", default=None, metavar="VALUE", help=text + shown)
    if default is None or type(None) not in get_args(info.annotation):
        return option
    off = click.option(f"--no-{name}", is_flag=True, help=f"No {path[-1]}.")
    return lambda command: option(off(command))


def _is_text(info: FieldInfo) -> bool:
    return info.annotation is str or set(get_args(info.annotation)) == {str, type(None)}


def _parsed(raw: str) -> Any:  # noqa: ANN401 - the model says what it must be
    """YAML, where commas alone make a list: ``1,2,3`` as well as ``[1, 2, 3]``."""
    try:
        # YAML takes a colour, #rrggbb, for a comment.
        value = raw if raw.startswith("#") else yaml.safe_load(raw)
    except yaml.YAMLError:
        return raw
    if isinstance(value, str) and "," in value:
        return [_parsed(item) for item in value.split(",")]
    return value
