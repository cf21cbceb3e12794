# SPDX-License-Identifier: LGPL-2.1-or-later
"""The JSON that documents are written in (docs/json.md)."""

from __future__ import annotations

import json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

SCHEMA = "pymodutils/1"
LARGEST_EXACT = 1 << 53
"""Integers up to this one survive in every JSON reader; JavaScript and jq round larger ones."""


def render(document: Mapping[str, object]) -> str:
    """Return `document`, made of what JSON has, as JSON text with the schema's name first.

    Text that is no UTF-8 survives as lone surrogates. Integers beyond 2^53 become text like "0xffffffffc0000000".
    """
    return json.dumps({"schema": SCHEMA, **_exact(document)}, indent=2) + "\n"


def render_line(document: Mapping[str, object]) -> str:
    """Return `document` as one line of JSON, for streams."""
    return json.dumps({"schema": SCHEMA, **_exact(document)}) + "\n"


def _exact(document: Mapping[str, object]) -> dict[str, object]:
    return {key: _with_large_integers_as_text(value) for key, value in document.items()}


def _with_large_integers_as_text(value: object) -> object:
    if isinstance(value, dict):
        return {key: _with_large_integers_as_text(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_large_integers_as_text(item) for item in value]
    if isinstance(value, int) and abs(value) > LARGEST_EXACT:
        return hex(value)
    return value
