"""Make up arguments that fit a tool's JSON Schema."""

from collections.abc import Mapping
from typing import Any

SAMPLE = "sample"
FORMATS = {
    "date-time": "2026-01-02T03:04:05Z",
    "date": "2026-01-02",
    "time": "03:04:05Z",
    "duration": "PT1H",
    "email": "someone@example.com",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
    "ipv4": "192.0.2.1",
    "binary": "c2FtcGxl",
}
DEEPEST = 6  # nested levels of objects and arrays


def make_arguments(schema: Mapping[str, Any], text: str = SAMPLE) -> dict[str, Any]:
    """Return arguments that fit a tool's schema: all of its properties, with `text` wherever any string is allowed.

    The schema is JSON Schema: https://json-schema.org/draft/2020-12
    """
    made = _make(schema, schema.get("$defs", {}), text, 0)
    return made if isinstance(made, dict) else {}


def _make(schema: Mapping[str, Any], definitions: Mapping[str, Any], text: str, depth: int) -> Any:
    if "$ref" in schema:
        schema = definitions.get(schema["$ref"].rpartition("/")[2], {})
    if "const" in schema:
        return schema["const"]
    if schema.get("default") is not None and (text == SAMPLE or not _takes_any_string(schema)):
        return schema["default"]
    if "enum" in schema:
        return schema["enum"][0]
    for choices in ("anyOf", "oneOf", "allOf"):
        if schema.get(choices):
            real = [choice for choice in schema[choices] if choice.get("type") != "null"]
            return _make((real or schema[choices])[0], definitions, text, depth)
    kind = schema.get("type", "object" if "properties" in schema else "string")
    if isinstance(kind, list):
        kind = next((name for name in kind if name != "null"), "null")
    return _MAKERS.get(kind, _make_null)(schema, definitions, text, depth)


def _takes_any_string(schema: Mapping[str, Any]) -> bool:
    return schema.get("type") == "string" and not {"enum", "format", "examples", "pattern"} & schema.keys()


def _make_null(schema: Mapping[str, Any], definitions: Mapping[str, Any], text: str, depth: int) -> Any:
    return None


def _make_string(schema: Mapping[str, Any], definitions: Mapping[str, Any], text: str, depth: int) -> Any:
    if "format" in schema:
        return FORMATS.get(schema["format"], SAMPLE)
    if schema.get("examples"):
        return schema["examples"][0]
    longest = schema.get("maxLength", len(text))
    made = text if len(text) <= longest else SAMPLE[:longest]
    return made.ljust(schema.get("minLength", 0), "x")


def _make_integer(schema: Mapping[str, Any], definitions: Mapping[str, Any], text: str, depth: int) -> Any:
    step = schema.get("multipleOf", 1)
    lowest = schema.get("minimum", schema.get("exclusiveMinimum", 0) + ("exclusiveMinimum" in schema))
    highest = schema.get("maximum", schema.get("exclusiveMaximum", lowest + 2) - ("exclusiveMaximum" in schema))
    number = min(max(1, lowest), max(highest, lowest))
    return -(-number // step) * step


def _make_boolean(schema: Mapping[str, Any], definitions: Mapping[str, Any], text: str, depth: int) -> Any:
    return True


def _make_array(schema: Mapping[str, Any], definitions: Mapping[str, Any], text: str, depth: int) -> Any:
    if depth > DEEPEST:
        return []
    if prefix := schema.get("prefixItems"):
        return [_make(item, definitions, text, depth + 1) for item in prefix]
    return [_make(schema.get("items") or {}, definitions, text, depth + 1)] * max(1, schema.get("minItems", 1))


def _make_object(schema: Mapping[str, Any], definitions: Mapping[str, Any], text: str, depth: int) -> Any:
    wanted = schema.get("properties", {})
    if depth > DEEPEST:
        wanted = {name: wanted[name] for name in schema.get("required", ())}
    return {name: _make(each, definitions, text, depth + 1) for name, each in wanted.items()}


_MAKERS = {
    "string": _make_string,
    "integer": _make_integer,
    "number": _make_integer,
    "boolean": _make_boolean,
    "array": _make_array,
    "object": _make_object,
}
