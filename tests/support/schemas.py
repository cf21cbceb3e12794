# SPDX-License-Identifier: LGPL-2.1-or-later
"""JSON documents against the schema files in docs/schemas."""

from __future__ import annotations

import functools
import json
from typing import Any

from jsonschema import Draft202012Validator
from referencing import Registry, Resource

from tests.support.common import REPO

SCHEMAS = REPO / "docs/schemas"


@functools.cache
def _registry() -> Registry[Any]:
    contents = [json.loads(path.read_text()) for path in SCHEMAS.glob("*.json")]
    return Registry().with_resources([(content["$id"], Resource.from_contents(content)) for content in contents])


def check_document(text: str | bytes, name: str | None = None) -> dict[str, Any]:
    """Return the document in a JSON text, checked against docs/schemas/NAME.json; by default that of its verb.

    Members that the schema does not know are wrong here, although readers have to bear them.
    """
    document: dict[str, Any] = json.loads(text)
    schema = json.loads((SCHEMAS / f"{name or document['verb']}.json").read_text())
    Draft202012Validator.check_schema(schema)
    Draft202012Validator(_closed(schema), registry=_closed_registry()).validate(document)
    return document


def check_failure(text: str | bytes) -> dict[str, Any]:
    """Return the document of a verb that has no answer at all."""
    document: dict[str, Any] = json.loads(text)
    Draft202012Validator({"$ref": "common.json#/$defs/failure"}, registry=_registry()).validate(document)
    return document


def validate_record(name: str, document: dict[str, Any]) -> None:
    """Check the members of a record by what docs/schemas/records.json has of that name."""
    schema = {"$ref": f"records.json#/$defs/{name}"}
    Draft202012Validator(schema, registry=_closed_registry()).validate(document)


@functools.cache
def _closed_registry() -> Registry[Any]:
    resources = {name: Resource.from_contents(_closed(_registry().contents(name))) for name in _registry()}
    return Registry().with_resources(list(resources.items()))


def _closed(schema: Any) -> Any:
    """Return a schema in which every object has no other members than those named."""
    if isinstance(schema, list):
        return [_closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: _closed(value) for key, value in schema.items()}
    if "properties" in schema and isinstance(schema.get("required"), list):
        is_head = "schema" in schema["properties"]  # others are added to it
        has_head = any("common.json#/$defs/head" in part.get("$ref", "") for part in schema.get("allOf", []))
        word = "unevaluatedProperties" if has_head else "additionalProperties"
        if not is_head and word not in schema:
            closed[word] = False
    return closed
