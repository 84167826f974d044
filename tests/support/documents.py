"""JSON documents against their shipped schemas."""

import json
from importlib import resources
from typing import Any

import jsonschema
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012


def schema_of(name: str, package: str = "corebox.actions") -> dict[str, Any]:
    """A shipped schema."""
    text = resources.files(package).joinpath(f"schema/{name}-1.schema.json").read_text()
    schema: dict[str, Any] = json.loads(text)
    return schema


def validate(document: object, name: str) -> None:
    """Check against the schema; it may refer to others, by their file names."""
    others = [schema_of("info"), schema_of("bundle", "corebox.bundle")]
    registry = Registry().with_resources(
        (f"{each}-1.schema.json", Resource.from_contents(schema, default_specification=DRAFT202012))
        for each, schema in zip(("info", "bundle"), others, strict=True)
    )
    jsonschema.Draft202012Validator(schema_of(name), registry=registry).validate(document)
