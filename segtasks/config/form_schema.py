"""How a model's fields look in a form that is made of its JSON schema, such as Prefect's.

Prefect's forms (3.8, both of its UIs) show a field's title and description, and one button per
member of a union, named by the member's title or else by its Python type. They do not show
examples, and they send back every default that they show.
"""

from typing import Any

from pydantic.fields import ComputedFieldInfo, FieldInfo

Schema = dict[str, Any]

ADVANCED: Schema = {"position": 1}
"""Extra of a field's schema that puts it below those that have none."""

UNITS = {"px": "px", "gib": "GiB", "m": "m", "m2": "m²", "seconds": "s"}
WORDS = {"array": "list", "boolean": "yes / no", "integer": "number", "null": "none"}
CHOICES_ON_A_BUTTON = 3


def title(name: str, _info: FieldInfo | ComputedFieldInfo) -> str:
    """``tile_px`` is "Tile (px)"."""
    *words, last = name.split("_")
    if words and last in UNITS:
        return f"{' '.join(words).capitalize()} ({UNITS[last]})"
    return name.replace("_", " ").capitalize()


def simplify_schema(schema: Schema) -> None:
    """Make a model's schema, in place, one that a form shows well."""
    for name, field in schema.get("properties", {}).items():
        _merge_choices(field)
        if name not in schema.get("required", ()):
            _leave_empty(field)
        # Of the two, Prefect's older pages know this one; members that refuse unknown keys differ.
        if "oneOf" in (items := field.get("items", {})):
            items["anyOf"] = items.pop("oneOf")
        for member in field.get("anyOf", ()):
            _name(member)
        # Those of a group's own fields do; sent as one value they would hide what a preset gives.
        if isinstance(field.get("default"), dict):
            del field["default"]
        if field.get("examples") and "description" in field:
            field["description"] += f" Example: {field['examples'][0]}"


def without_default(field: Schema) -> None:
    """Leave a field empty, and so unsent, whose value comes from elsewhere."""
    field.pop("default", None)


def _choices(member: Schema) -> list[str] | None:
    """The words that a member of a union allows; ``None`` where it allows more than words."""
    if "const" in member:
        return [member["const"]]
    found: list[str] | None = member.get("enum")
    return found


def _merge_choices(field: Schema) -> None:
    """One list to choose from, where every member of a union is one."""
    found = [_choices(member) for member in field.get("anyOf", ())]
    if found and all(found):
        del field["anyOf"]
        field.update(type="string", enum=[word for words in found for word in words or ()])


def _leave_empty(field: Schema) -> None:
    """A value or none, and none by default: a plain field, which is not sent when left empty.

    Of the two buttons a form would press "none", and show no field. Prefect's server takes null for
    what is neither required nor has a default (`schema_tools.validation`), but not among words.
    """
    members = field.get("anyOf", [])
    kinds = [member for member in members if member.get("type") != "null"]
    is_plain = len(kinds) == 1 < len(members) and "type" in kinds[0] and not _choices(kinds[0])
    if is_plain and field.get("default") is None:
        del field["anyOf"]
        field.pop("default", None)
        field.update(kinds[0])


def _name(member: Schema) -> None:
    """What is written on a member's button; a constant can be chosen like any other word."""
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
