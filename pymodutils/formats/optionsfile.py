# SPDX-License-Identifier: LGPL-2.1-or-later
"""Write the parameters of a module as a line of modprobe.d."""

from __future__ import annotations

from .parameters import parameter_word

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


def options_line(name: str, values: Mapping[str, str]) -> str:
    """Return the `options` line of a module, with its newline; nothing without values.

    A backslash is doubled, since modprobe.d takes one away.
    """
    if not values:
        return ""
    words = [parameter_word(key, value) for key, value in values.items()]
    return f"options {name} {' '.join(words)}\n".replace("\\", "\\\\")
