"""Adapt the JSON schema of a model to forms that are generated from it, such as Prefect's.

Prefect's forms (3.8, both of its UIs) show a field's title and description, and one button per
member of a union, labelled with the member's title or else with its Python type. They do not show
examples, and they send back every default that they show.
"""

from typing import Any

from pydantic.fields import ComputedFieldInfo, FieldInfo

Schema = dict[str, Any]

ADVANCED: Schema = {"position": 1}
"""Schema extra that puts a field below those without a position."""

UNITS = {"px": "px", "gib": "GiB", "m": "m", "m2": "m²", "seconds": "s"}
WORDS = {"array": "list", "boolean": "yes / no", "integer": "number", "null": "none"}
CHOICES_ON_A_BUTTON = 3


def title(name: str, _info: FieldInfo | ComputedFieldInfo) -> str:
    """Return the title of a field: "Tile (px)" for ``tile_px``."""
    *words, last = name.split("_")
    if words and last in UNITS:
        return f"{' '.join(words).capitalize()} ({UNITS[last]})"
    return name.replace("_", " ").capitalize()


def simplify_schema(schema: Schema) -> None:
    """Change the schema of a model, in place, so that a form shows it well."""
    for name, field in schema.get("properties", {}).items():
        _merge_choices(field)
        if name not in schema.get("required", ()):
            _leave_empty(field)
        # Prefect's older pages know only anyOf; models that refuse unknown keys exclude each other.
        if "oneOf" in (items := field.get("items", {})):
            items["anyOf"] = items.pop("oneOf")
        for member in field.get("anyOf", ()):
            _name(member)
        # The group's fields have their own defaults; sent as one value they would hide a preset.
        if isinstance(field.get("default"), dict):
            del field["default"]
        if field.get("examples") and "description" in field:
            field["description"] += f" Example: {field['examples'][0]}"


def without_default(field: Schema) -> None:
    """Remove the default of a field whose value comes from elsewhere, so that forms omit it."""
    field.pop("default", None)


def _choices(member: Schema) -> list[str] | None:
    """Return the words that a member of a union allows; ``None`` if it allows other values."""
    if "const" in member:
        return [member["const"]]
    found: list[str] | None = member.get("enum")
    return found


def _merge_choices(field: Schema) -> None:
    """Merge the members of a union into one list if each of them is a list of words."""
    found = [_choices(member) for member in field.get("anyOf", ())]
    if found and all(found):
        del field["anyOf"]
        field.update(type="string", enum=[word for words in found for word in words or ()])


def _leave_empty(field: Schema) -> None:
    """Turn "a value or none, by default none" into a plain field, which is not sent if empty.

    With two buttons a form would select "none" and show no field. Prefect's server accepts null for
    a field that is not required and has no default (`schema_tools.validation`), but not if the
    field is a list of words.
    """
    members = field.get("anyOf", [])
    kinds = [member for member in members if member.get("type") != "null"]
    is_plain = len(kinds) == 1 < len(members) and "type" in kinds[0] and not _choices(kinds[0])
    if is_plain and field.get("default") is None:
        del field["anyOf"]
        field.pop("default", None)
        field.update(kinds[0])


def _name(member: Schema) -> None:
    """Set the text of a member's button; a constant becomes a list of one word."""
    choices = _choices(member)
    if choices:
        member.pop("const", None)
        member["enum"] = choices
    if "title" in member or "$ref" in member:
        return
    if choices and len(choices) <= CHOICES_ON_A_BUTTON:
        member["title"] = " / ".join(choices)
    else:
        kind = member.get("type", "value")
        member["title"] = "text" if kind == "string" else WORDS.get(kind, kind)
