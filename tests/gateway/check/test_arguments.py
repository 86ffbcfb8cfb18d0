"""Made-up arguments for tools."""

from gateway.check.arguments import make_arguments


def test_arguments_fit_their_schema() -> None:
    schema = {
        "$defs": {"Where": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}},
        "type": "object",
        "properties": {
            "text": {"type": "string", "default": "x"},
            "kind": {"enum": ["a", "b"]},
            "when": {"type": "string", "format": "date-time"},
            "count": {"type": "integer", "minimum": 5},
            "maybe": {"anyOf": [{"type": "null"}, {"type": "number"}]},
            "where": {"$ref": "#/$defs/Where"},
            "many": {"type": "array", "items": {"type": "boolean"}, "minItems": 2},
            "short": {"type": "string", "maxLength": 3},
        },
    }
    assert make_arguments(schema, "marked") == {
        "text": "marked",
        "kind": "a",
        "when": "2026-01-02T03:04:05Z",
        "count": 5,
        "maybe": 1,
        "where": {"city": "marked"},
        "many": [True, True],
        "short": "sam",
    }
    assert make_arguments(schema)["text"] == "x"
