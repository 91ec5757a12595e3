"""Check settings of a command line or file by their model; an error is one line."""

import difflib
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from segtasks.errors import JobError

M = TypeVar("M", bound=BaseModel)


def validated(model: type[M], values: dict[str, Any]) -> M:
    """Return ``values`` as a ``model``.

    Raises:
        JobError: the first error with its key, and how many more there are, in one line.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise JobError(_fault(error, model)) from None


def read_job_file(path: str) -> dict[str, Any]:
    """Return the values of a YAML (or JSON) job file.

    Raises:
        JobError: it cannot be read, is not YAML or is not a mapping.
    """
    values = read_yaml(path)
    if not isinstance(values, dict):
        raise JobError(f"{path}: is not a mapping of settings; write lines such as 'source: a.tif'")
    return values


def read_yaml(path: str) -> Any:  # noqa: ANN401 - any YAML value
    """Return the content of a YAML (or JSON) file.

    Raises:
        JobError: it cannot be read or is not YAML.
    """
    try:
        return yaml.safe_load(read_text(path))
    except yaml.YAMLError as error:
        raise JobError(f"{path}: not YAML: {' '.join(str(error).split())}") from None


def read_text(path: str) -> str:
    """Return the content of a text file in UTF-8.

    Raises:
        JobError: it cannot be read, or is not UTF-8.
    """
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise JobError(f"{path}: cannot be read ({error.strerror}); check the path") from None
    except UnicodeDecodeError as error:
        raise JobError(f"{path}: cannot be read, it is not UTF-8 ({error}); convert it") from None


def _fault(error: ValidationError, model: type[BaseModel]) -> str:
    """Return one line for the first error of a validation."""
    errors = error.errors()
    # A key is often missing because another was mistyped, which is the more helpful error.
    mistyped = [e for e in errors if e["type"] == "extra_forbidden" and len(e["loc"]) == 1]
    first, others = (mistyped or errors)[0], errors[1:]
    # Members of a union appear in the location as type names, which no user wrote.
    keys = [str(key) for key in first["loc"] if str(key).replace("_", "").isalnum()]
    more = f" (and {len(others)} more)" if others else ""
    if first["type"] == "extra_forbidden":
        return f"{'.'.join(keys)}: unknown key{_nearest(keys[-1], model)}{more}"
    message = first["msg"].removeprefix("Value error, ")
    # The validators of segtasks state the value themselves.
    is_shown = keys and first["type"] not in {"missing", "value_error"}
    value = f" (got {first['input']!r:.80})" if is_shown else ""
    return f"{'.'.join(keys) or 'job'}: {message}{value}{more}"


def _nearest(key: str, model: type[BaseModel]) -> str:
    schema = model.model_json_schema()
    parts = [schema, *schema.get("$defs", {}).values()]
    known = sorted({name for part in parts for name in part.get("properties", {})})
    near = difflib.get_close_matches(key, known, n=1)
    return (
        f"; did you mean {near[0]}?" if near else f"; known keys: {', '.join(model.model_fields)}"
    )
