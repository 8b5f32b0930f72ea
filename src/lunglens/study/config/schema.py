"""Every key of the configuration with its type, default and meaning, as the pydantic models have them."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from lunglens.text import markdown_table

_Schema = dict[str, Any]
_TYPES = {
    "integer": "whole number",
    "number": "number",
    "string": "text",
    "boolean": "true or false",
    "null": "nothing",
}
_LIMITS = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<", "multipleOf": "times"}


@dataclass(frozen=True)
class _Key:
    """A key of a table: `default` as TOML writes it, "" where there is none, "required" where one must be given."""

    name: str
    type: str
    default: str
    meaning: str


@dataclass(frozen=True)
class Table:
    """A table of the configuration: its dotted name, what it is for, and its keys."""

    name: str
    meaning: str
    keys: tuple[_Key, ...]


def tables_of(model: type[BaseModel]) -> list[Table]:
    """The tables of a configuration, each before those inside it."""
    schema = model.model_json_schema()
    return [table for table in _tables("", schema, {}, schema.get("$defs", {})) if table.keys]


def markdown(model: type[BaseModel]) -> str:
    """A page with a section a table."""
    lines = [
        "# Configuration",
        "",
        "Every key of a `--config` file (`lunglens config schema` writes this page). What a file does not say has the",
        'default. `--set key=value` takes the same keys with dots between. A table may say `extends = "NAME"`: what it',
        "does not say it then takes from that table of NAME.",
    ]
    for table in tables_of(model):
        rows = [(f"`{key.name}`", key.type, f"`{key.default}`" * bool(key.default), key.meaning) for key in table.keys]
        lines += ["", f"## {table.name}", "", table.meaning, ""]
        lines += markdown_table(("key", "type", "default", "meaning"), rows)
    return "\n".join(lines) + "\n"


def _tables(name: str, schema: _Schema, defaults: _Schema, models: _Schema) -> Iterator[Table]:
    keys: list[_Key] = []
    inner: list[Table] = []
    for key, value in schema["properties"].items():
        default = defaults.get(key, value.get("default"))
        parts = [models[part] for part in _models_of(value)]
        for part in parts:
            kind = part["properties"].get("kind", {}).get("const")
            place = ".".join(filter(None, (name, key, kind)))
            inner += _tables(place, part, default if isinstance(default, dict) else {}, models)
        if not parts:
            needed = key in schema.get("required", ()) and key not in defaults
            text = "required" if needed else _toml(default)
            keys.append(_Key(key, _type(value), text, value.get("description", "")))
    yield Table(name, " ".join(schema.get("description", "").split()), tuple(keys))
    yield from inner


def _models_of(value: _Schema) -> list[str]:
    """Names of the models that a value holds, alone, as one of several, or in a list."""
    options = [value, *value.get("anyOf", ()), *value.get("oneOf", ())]
    here = [option["$ref"].rpartition("/")[2] for option in options if "$ref" in option]
    return here + (_models_of(value["items"]) if isinstance(value.get("items"), dict) else [])


def _type(value: _Schema) -> str:
    if "const" in value or "enum" in value:
        return " or ".join(_toml(option) for option in value.get("enum", [value.get("const")]))
    if "anyOf" in value:
        return " or ".join(_type(option) for option in value["anyOf"])
    if value["type"] == "array":
        items = value.get("items") or value["prefixItems"][0]
        number = f"{value['maxItems']} of " if value.get("minItems", 0) == value.get("maxItems", -1) else "list of "
        return f"{number}{_type(items)}"
    if value["type"] == "object":
        return f"table of {_type(value['additionalProperties'])}"
    limits = [f"{sign} {value[limit]}" for limit, sign in _LIMITS.items() if limit in value]
    return ", ".join([_TYPES[value["type"]], *limits])


def _toml(value: Any) -> str:
    """A value as TOML writes it; JSON does the same but for tables."""
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{key} = {_toml(inner)}' for key, inner in value.items())} }}" if value else "{}"
    return "" if value is None else json.dumps(value, ensure_ascii=False)
