# SPDX-License-Identifier: LGPL-2.1-or-later
"""Module parameters as the kernel takes them: `name=value` words in one string.

Source: kernel/params.c (parse_args, next_arg).
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


def quote_parameter(word: str) -> str:
    """Return a parameter with a value that has a space put in double quotes, unless it is quoted."""
    name, equals, value = word.partition("=")
    if equals and " " in value and value[0] not in "'\"":
        return f'{name}="{value}"'
    return word


def parameter_word(name: str, value: str) -> str:
    """Return a parameter with its value, in double quotes if there is a blank in it; a value may have no such quote."""
    return f'{name}="{value}"' if " " in value else f"{name}={value}"


def join_parameters(words: Iterable[str]) -> str:
    """Return parameters as one string; empty ones at the beginning leave no space, as in kmod's."""
    text = ""
    for word in words:
        text = f"{text} {quote_parameter(word)}" if text else quote_parameter(word)
    return text


def parameters_text(parameters: str | Mapping[str, object]) -> str:
    """Return parameters as one string: text as it is, a mapping of names to values as `name=value` words.

    True and False become `Y` and `N`. A sequence becomes the comma-separated list that the kernel reads. Raises
    `TypeError` for anything else than text or a mapping and for bytes as a value, `ValueError` for a NUL character.
    """
    if isinstance(parameters, str):
        return _without_nul(parameters)
    if not hasattr(parameters, "items"):
        raise TypeError(f"parameters are text or a mapping of names to values, not {type(parameters).__name__}")
    return _without_nul(join_parameters([f"{name}={parameter_value(value)}" for name, value in parameters.items()]))


def _without_nul(text: str) -> str:
    """Return text that the kernel reads to its end."""
    if "\0" in text:
        raise ValueError("parameters have a NUL character, at which the kernel would stop reading them")
    return text


def parameter_value(value: object) -> str:
    """Return a value as the kernel takes it: True and False become `Y` and `N`, a sequence a comma-separated list."""
    if isinstance(value, bool):
        return "Y" if value else "N"
    if isinstance(value, (list, tuple)):
        return ",".join(map(parameter_value, value))
    if isinstance(value, (bytes, bytearray)):
        raise TypeError("values of parameters are text or numbers, not bytes")
    return str(value)
