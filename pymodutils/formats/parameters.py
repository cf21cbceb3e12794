# SPDX-License-Identifier: LGPL-2.1-or-later
"""Module parameters as the kernel takes them: `name=value` words in one string.

Source: kernel/params.c (parse_args, next_arg).
"""

from __future__ import annotations

from ..names import encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_BLANKS = frozenset(b" \t\n\v\f\r\xa0")
"""Bytes at which the kernel ends a word (lib/ctype.c); the last is a part of some letters in UTF-8."""

_NO_NAME = _BLANKS | frozenset(b'="')


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
    `TypeError` for anything else than text or a mapping, and for values that are no text, number or sequence of them.
    Raises `ValueError` for what the kernel would take for something else: a NUL character, and in a mapping a name with
    a blank and a value with a double quote in it.
    """
    if isinstance(parameters, str):
        return _without_nul(parameters)
    if not hasattr(parameters, "items"):
        raise TypeError(f"parameters are text or a mapping of names to values, not {type(parameters).__name__}")
    return _without_nul(" ".join([_one_word(name, value) for name, value in parameters.items()]))


def _one_word(name: object, value: object) -> str:
    """Return a parameter that the kernel reads as one, whatever the value is."""
    if not isinstance(name, str):
        raise TypeError(f"names of parameters are text, not {type(name).__name__}")
    if not name or not _NO_NAME.isdisjoint(encode(name)):
        raise ValueError(f"no name of a parameter: {name!r}")
    text = parameter_value(value)
    if text[:1] == text[-1:] == '"' and text.count('"') == 2:
        return f"{name}={text}"  # the caller has put it in quotes
    if '"' in text:
        raise ValueError(f"the value of {name} has a double quote, which the kernel would take for one around it")
    return f"{name}={text}" if _BLANKS.isdisjoint(encode(text)) else f'{name}="{text}"'


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
    if value is None or isinstance(value, (bytes, bytearray, dict, set, frozenset)):
        raise TypeError(f"values of parameters are text or numbers, not {type(value).__name__}")
    return str(value)
