"""The `.modinfo` section: NUL-separated `key=value` strings, and what their values mean.

Source: include/linux/moduleparam.h and include/linux/module.h (MODULE_INFO and friends); contract 2, "Module files".
"""

from __future__ import annotations

from ..errors import FormatError
from ..names import decode
from ..records import Record

STRING_LIMIT = 1 << 18
"""Strings of one module; Debian's longest list of aliases has a hundredth of them."""


class Field(Record):
    """One string of .modinfo; `value` is empty when the string has no `=`."""

    key: str
    value: str


class Parameter(Record):
    """A module parameter: `type` and `description` are None when the module does not state them."""

    name: str
    type: str | None
    description: str | None


class Softdep(Record):
    """Soft dependencies: modules wanted before and after."""

    pre: list[str]
    post: list[str]


def parse_modinfo(section: bytes) -> list[Field]:
    """All strings of a .modinfo section, in file order; runs of NULs count as one, the last NUL may be missing.

    Raises `FormatError` for more than STRING_LIMIT.
    """
    if section.count(b"\0") > STRING_LIMIT:
        raise FormatError(f".modinfo has more than {STRING_LIMIT} strings")
    fields = []
    for string in section.split(b"\0"):
        if string:
            key, _, value = decode(string).partition("=")
            fields.append(Field(key, value))
    return fields


def values_of(fields: list[Field], key: str) -> list[str]:
    """The values of every string with that key, in order."""
    return [field.value for field in fields if field.key == key]


def parameters(fields: list[Field]) -> list[Parameter]:
    """The module's parameters in order of first appearance, `parm` and `parmtype` strings joined by name.

    A `parm` string is `NAME:DESCRIPTION`, a `parmtype` string `NAME:TYPE`; ones without a colon are left out.
    """
    found: dict[str, Parameter] = {}
    for field in fields:
        if field.key not in ("parm", "parmtype"):
            continue
        name, colon, text = field.value.partition(":")
        if not colon:
            continue
        parameter = found.setdefault(name, Parameter(name, None, None))
        if field.key == "parm":
            found[name] = parameter.replace(description=text)
        else:
            found[name] = parameter.replace(type=text)
    return list(found.values())


def parse_softdep(text: str) -> Softdep:
    """The value of a `softdep` string or line: `pre: a b post: c`; words before either label are ignored."""
    pre: list[str] = []
    post: list[str] = []
    target: list[str] | None = None
    for word in text.split():
        if word == "pre:":
            target = pre
        elif word == "post:":
            target = post
        elif target is not None:
            target.append(word)
    return Softdep(pre, post)


def names_list(text: str) -> list[str]:
    """A comma- or space-separated list of module names (`depends`, `weakdep`, `import_ns`)."""
    return [name for name in text.replace(",", " ").split() if name]
