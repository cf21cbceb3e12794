# SPDX-License-Identifier: LGPL-2.1-or-later
"""TOML of our own files, with whatever is wrong with a text as one kind of error."""

from __future__ import annotations

from ..errors import FormatError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MOST_KEY_PARTS = 64
"""Parts of a dotted key; Python's reader takes time with their square, and no table of ours has more than three."""

_KEY_PART = r"""[\w"'-]++[ \t]*+"""
_LONG_KEY = rf"""(?<![\w"'-]){_KEY_PART}(?:\.[ \t]*+{_KEY_PART}){{{MOST_KEY_PARTS}}}"""


def parse_toml(text: str, path: str | None = None) -> dict[str, Any]:
    """Return the tables that a text has. Raises `FormatError`."""
    import re
    import tomllib  # which takes half as long as all the rest of a verb's start

    if text.count(".") >= MOST_KEY_PARTS and re.search(_LONG_KEY, text):
        raise FormatError("nested too deeply", path=path)
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise FormatError(f"no TOML: {error}", path=path) from None
    except RecursionError:
        raise FormatError("nested too deeply", path=path) from None
    except ValueError:  # of more digits than Python reads
        raise FormatError("a number is too long", path=path) from None
