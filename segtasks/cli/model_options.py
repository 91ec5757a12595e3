"""Make command-line options of a pydantic model, so that options, YAML file and form agree.

An option has the name of its field: ``tiling.tile_px`` is ``--tile-px``. In ``PREFIXED`` parts the
name of the part comes first: ``crf.iterations`` is ``--crf-iterations``.
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
    """Return a decorator that gives a click command one option per field of ``model``.

    Args:
        model: its fields that are models themselves give one option per field of theirs.
        without: top-level fields for which the command has its own arguments or options.
    """

    def decorate(command: Command) -> Command:
        for path, info in reversed(list(_leaves(model))):
            if path[0] not in without:
                command = _option(path, info)(command)
        return command

    return decorate


def nested(model: type[BaseModel], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that were given as nested values for ``model``."""
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
    """Return ``base`` with the values of ``over``, merged part by part.

    Mappings that are no parts of the model, such as ``variant``, are replaced as a whole.
    """
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
    """Return the model of a field whose type is a model, or a model or ``None``."""
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
    shown = "" if default in (None, {}, (), "") else f" [default: {default}]"
    option = click.option(f"--{name}", default=None, metavar="VALUE", help=text + shown)
    if default is None or type(None) not in get_args(info.annotation):
        return option
    off = click.option(f"--no-{name}", is_flag=True, help=f"Turn off --{name}.")
    return lambda command: option(off(command))


def _is_text(info: FieldInfo) -> bool:
    return info.annotation is str or set(get_args(info.annotation)) == {str, type(None)}


def _parsed(raw: str) -> Any:  # noqa: ANN401 - the model checks it
    """Parse a value as YAML, in which ``1,2,3`` is a list as well as ``[1, 2, 3]``."""
    try:
        # In YAML a colour, #rrggbb, would be a comment.
        value = raw if raw.startswith("#") else yaml.safe_load(raw)
    except yaml.YAMLError:
        return raw
    if isinstance(value, str) and "," in value:
        return [_parsed(item) for item in value.split(",")]
    return value
