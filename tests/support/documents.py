"""JSON documents against their shipped schemas."""

import json
from typing import Any

import jsonschema
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from tests.support.programs import REPOSITORY

_SCHEMAS = {
    path.name: json.loads(path.read_text()) for path in sorted(REPOSITORY.glob("corebox/*/schema/*.schema.json"))
}
NAMES = tuple(name.removesuffix("-1.schema.json") for name in _SCHEMAS)


def schema_of(name: str) -> dict[str, Any]:
    """A shipped schema."""
    schema: dict[str, Any] = _SCHEMAS[f"{name}-1.schema.json"]
    return schema


def validate(document: object, name: str) -> None:
    """Check against the schema; it may refer to others, by their file names."""
    registry = Registry().with_resources(
        (each, Resource.from_contents(schema, default_specification=DRAFT202012)) for each, schema in _SCHEMAS.items()
    )
    jsonschema.Draft202012Validator(schema_of(name), registry=registry).validate(document)
