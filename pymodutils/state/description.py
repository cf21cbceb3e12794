# SPDX-License-Identifier: LGPL-2.1-or-later
"""Everything a module says of itself, as one typed value."""

from __future__ import annotations

from ..errors import SignatureError
from ..formats.modinfo import PARAMETER_KEYS, Field, names_list, parse_parameters
from ..formats.softdep import Softdep, parse_softdep
from ..names import with_underscores
from ..records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable
    from typing import Any

    from ..formats.modinfo import Parameter
    from ..formats.signature import Signature
    from .modulefile import ModuleFile


class ModuleInfo(Record):
    """A module's description; None or an empty tuple where the module says nothing.

    `filename` is None for a builtin module. `softdeps` gathers all softdep strings. Names of other modules (`depends`,
    `softdeps`, `weakdeps`) have `_`; `raw` holds every string of .modinfo as it is, in file order. `build_id` is the
    GNU build-id.
    """

    name: str
    filename: str | None
    builtin: bool
    compression: str | None
    version: str | None = None
    srcversion: str | None = None
    vermagic: str | None = None
    description: str | None = None
    authors: tuple[str, ...] = ()
    license: str | None = None
    aliases: tuple[str, ...] = ()
    depends: tuple[str, ...] = ()
    softdeps: Softdep = Softdep((), ())
    weakdeps: tuple[str, ...] = ()
    firmware: tuple[str, ...] = ()
    import_ns: tuple[str, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    intree: bool = False
    staging: bool = False
    retpoline: bool = False
    build_id: bytes | None = None
    signature: Signature | None = None
    raw: tuple[Field, ...] = ()


def describe_file(module: ModuleFile, fields: Collection[str] | None = None) -> ModuleInfo:
    """Return the description of an open module file. Raises `FormatError`s, `FileError` and `MissingSupportError`.

    With `fields`, names of fields of `ModuleInfo`, only what these take is read; of the others, those are set that
    cost nothing. Raises ValueError for a name that is no field.
    """
    wanted = _chosen(fields)
    known: dict[str, Any] = {}
    if not wanted.isdisjoint(_FROM_STRINGS):
        known = _described(module.modinfo_strings(), wanted)
    if "build_id" in wanted:
        known["build_id"] = module.build_id()
    if "signature" in wanted:
        known["signature"] = _signature(module)
    return ModuleInfo(module.name, module.path, False, module.compression, **known)


def describe_builtin(name: str, strings: Iterable[Field], fields: Collection[str] | None = None) -> ModuleInfo:
    """Return the description of a module in the kernel image, from its strings in modules.builtin.modinfo.

    `fields` means what it means for `describe_file`.
    """
    known = _described([(field.key, field.value) for field in strings], _chosen(fields))
    return ModuleInfo(name, None, True, None, **known)


def _signature(module: ModuleFile) -> Signature | None:
    try:
        return module.signature()
    except SignatureError:
        return None  # as the kernel and kmod see it: a trailer that does not fit is no signature


def _chosen(fields: Collection[str] | None) -> frozenset[str]:
    if fields is None:
        return _ALL
    wanted = frozenset(fields)
    if not wanted <= _ALL:
        raise ValueError(f"ModuleInfo has no field named {', '.join(sorted(wanted - _ALL))}")
    return wanted


def _described(strings: list[tuple[str, str]], wanted: frozenset[str]) -> dict[str, Any]:
    """Return the wanted fields that the strings of .modinfo tell."""
    values: dict[str, list[str]] = {}
    for key, value in strings:
        values.setdefault(key, []).append(value)
    known: dict[str, Any] = {}
    for name, (key, read) in _FROM_KEYS.items():
        if key in values and name in wanted:
            known[name] = read(values[key])
    if "parameters" in wanted:
        known["parameters"] = tuple(
            parse_parameters([Field(key, value) for key, value in strings if key in PARAMETER_KEYS])
        )
    if "raw" in wanted:
        known["raw"] = tuple([Field(key, value) for key, value in strings])
    return known


def _first(values: list[str]) -> str:
    return values[0]


def _is_yes(values: list[str]) -> bool:
    return values[0] == "Y"


def _names(values: list[str]) -> tuple[str, ...]:
    return tuple([with_underscores(name) for text in values for name in names_list(text)])


def _softdeps(values: list[str]) -> Softdep:
    found = [parse_softdep(text) for text in values]
    return Softdep(
        tuple([with_underscores(name) for softdep in found for name in softdep.pre]),
        tuple([with_underscores(name) for softdep in found for name in softdep.post]),
    )


# Which key of .modinfo a field comes from, and what makes it of the values.
_FROM_KEYS: dict[str, tuple[str, Callable[[list[str]], object]]] = {
    "version": ("version", _first),
    "srcversion": ("srcversion", _first),
    "vermagic": ("vermagic", _first),
    "description": ("description", _first),
    "authors": ("author", tuple),
    "license": ("license", _first),
    "aliases": ("alias", tuple),
    "depends": ("depends", lambda values: _names(values[:1])),
    "softdeps": ("softdep", _softdeps),
    "weakdeps": ("weakdep", _names),
    "firmware": ("firmware", tuple),
    "import_ns": ("import_ns", tuple),
    "intree": ("intree", _is_yes),
    "staging": ("staging", _is_yes),
    "retpoline": ("retpoline", _is_yes),
}
_FROM_STRINGS = frozenset((*_FROM_KEYS, "parameters", "raw"))
_ALL = frozenset(ModuleInfo.__match_args__)
