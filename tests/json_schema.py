"""The parts of JSON Schema that docs/webhook.schema.json uses."""

from datetime import datetime, timedelta
from typing import Any


def validate(schema: dict[str, Any], value: object, root: dict[str, Any] | None = None) -> None:
    """Assert that a value fits a schema."""
    root = root or schema
    if "$ref" in schema:
        schema = root["$defs"][schema["$ref"].removeprefix("#/$defs/")]
    assert value == schema.get("const", value)
    names = schema.get("type", [])
    types: dict[str, type | tuple[type, ...]] = {
        "object": dict,
        "array": list,
        "string": str,
        "integer": int,
        "number": (int, float),
        "null": type(None),
    }
    kinds = [names] if isinstance(names, str) else names
    assert not kinds or any(isinstance(value, types[kind]) for kind in kinds)
    if isinstance(value, dict):
        assert set(value) == set(schema["required"]) == set(schema["properties"])
        for name, part in value.items():
            validate(schema["properties"][name], part, root)
    if isinstance(value, list):
        assert schema["minItems"] <= len(value) <= schema["maxItems"]
        for part in value:
            validate(schema["items"], part, root)
    if isinstance(value, str) and "maxLength" in schema:
        assert len(value) <= schema["maxLength"]
    if schema.get("format") == "date-time":
        assert datetime.fromisoformat(str(value)).utcoffset() == timedelta(0)
    if isinstance(value, int) and "minimum" in schema:
        assert value >= schema["minimum"]
