"""The JSON that commands print: records as objects, bytes as hexadecimal, everything else as it is (docs/json.md)."""

from __future__ import annotations

import json

from ..records import Record

SCHEMA = "pymodutils/1"


def render(document: dict[str, object]) -> str:
    """`document` as JSON text with the schema's name first. Text that is no UTF-8 survives as lone surrogates."""
    return json.dumps({"schema": SCHEMA, **document}, default=_plain, indent=2) + "\n"


def _plain(value: object) -> object:
    if isinstance(value, Record):
        return value.as_dict()
    if isinstance(value, bytes):
        return value.hex()
    raise TypeError(f"no JSON form for {type(value).__name__}")
