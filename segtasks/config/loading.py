"""Settings from a command line or file, checked by their model; a fault is one line."""

import difflib
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from segtasks.errors import JobError

M = TypeVar("M", bound=BaseModel)


def validated(model: type[M], values: dict[str, Any]) -> M:
    """``values`` as a ``model``.

    Raises:
        JobError: one line with the first fault, its key, and how many more there are.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise JobError(_fault(error, model)) from None


def read_job_file(path: str) -> dict[str, Any]:
    """The values of a YAML (or JSON) job file.

    Raises:
        JobError: when it is missing, is not YAML or is not a mapping.
    """
    values = read_yaml(path)
    if not isinstance(values, dict):
        raise JobError(f"{path}: holds no mapping of settings; write lines such as 'source: a.tif'")
    return values


def read_yaml(path: str) -> Any:  # noqa: ANN401 - whatever is in it
    """What a YAML (or JSON) file holds.

    Raises:
        JobError: when it is missing or is not YAML.
    """
    try:
        return yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise JobError(f"{path}: cannot be read ({error.strerror}); check the path") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise JobError(f"{path}: not YAML: {' '.join(str(error).split())}") from None


def _fault(error: ValidationError, model: type[BaseModel]) -> str:
    """One line for the first fault of a validation."""
    first, *others = error.errors()
    # Members of a union appear in the location as type names, which a reader never wrote.
    keys = [str(key) for key in first["loc"] if str(key).replace("_", "").isalnum()]
    more = f" (and {len(others)} more)" if others else ""
    if first["type"] == "extra_forbidden":
        return f"{'.'.join(keys)}: unknown key{_nearest(keys[-1], model)}{more}"
    message = first["msg"].removeprefix("Value error, ")
    # A fault of several keys together names them; what it got is all of them.
    value = f" (got {first['input']!r:.80})" if keys and first["type"] != "missing" else ""
    return f"{'.'.join(keys) or 'job'}: {message}{value}{more}"


def _nearest(key: str, model: type[BaseModel]) -> str:
    known = sorted(_all_keys(model.model_json_schema()))
    near = difflib.get_close_matches(key, known, n=1)
    return (
        f"; did you mean {near[0]}?" if near else f"; known keys: {', '.join(model.model_fields)}"
    )


def _all_keys(schema: dict[str, Any]) -> set[str]:
    parts = [schema, *schema.get("$defs", {}).values()]
    return {key for part in parts for key in part.get("properties", {})}
