# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is not the same in two builds of one module, as values."""

from __future__ import annotations

from ..formats.modinfo import names_list, parse_parameters
from ..formats.softdep import parse_softdep
from ..formats.symbols import exported_names, needed_names, recorded_versions
from ..names import decode
from ..records import Record
from ..state.modulefile import elf_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ..formats.elf import ElfFile
    from ..formats.modinfo import Field
    from ..state.modulefile import ModuleFile

ADDED, REMOVED, CHANGED = "added", "removed", "changed"
"""Words of `Change.kind`."""

MODULE, PATH, EXPORT, NEED, PARAMETER = "module", "path", "export", "need", "parameter"
"""Words of `Change.field` besides those of .modinfo."""

KERNEL = "vmlinux"
"""Name of the kernel itself where its exports are compared."""

_LISTS = ("alias", "firmware", "import_ns", "author")
_APART = ("parm", "parmtype", "name")


class Change(Record):
    """One thing that is not the same in two builds of a module.

    `kind` is `added`, `removed` or `changed`. `field` is `module` (the module as a whole), `path`, `export`, `need`,
    `parameter`, `depends`, `softdep pre`, `softdep post`, `weakdep`, or a key of .modinfo. `name` is the symbol, the
    parameter or the member of a list, None for a field with one value. `before` and `after` are the values: of symbols
    their CRCs, None where there is none.
    """

    module: str
    kind: str
    field: str
    name: str | None
    before: str | None
    after: str | None


class Compared(Record):
    """What is compared of a module: (field, name) to value."""

    name: str
    values: Mapping[tuple[str, str | None], str | None]


def compared_module(module: ModuleFile) -> Compared:
    """Return what is compared of an open module file. Raises `FormatError` and `FileError`."""
    values: dict[tuple[str, str | None], str | None] = {}
    for field, name, value in (*_of_strings(module.modinfo()), *_of_symbols(elf_of(module))):
        values[field, name] = value
    return Compared(module.name, values)


def _of_strings(fields: list[Field]) -> Iterator[tuple[str, str | None, str | None]]:
    for parameter in parse_parameters(fields):
        yield PARAMETER, parameter.name, parameter.type
    for field in fields:
        key, value = field.key, field.value
        if key in _LISTS:
            yield key, value, None
        elif key in ("depends", "weakdep"):
            for name in names_list(value):
                yield key, name, None
        elif key == "softdep":
            softdep = parse_softdep(value)
            for kind, names in (("pre", softdep.pre), ("post", softdep.post)):
                for name in names:
                    yield f"softdep {kind}", name, None
        elif key not in _APART:
            yield key, None, value


def _of_symbols(elf: ElfFile) -> Iterator[tuple[str, str | None, str | None]]:
    if elf.data_of(b"__ksymtab_strings"):
        for name, crc in exported_names(elf):
            yield EXPORT, decode(name), _crc(crc)
    recorded = recorded_versions(elf)
    for name, crc in recorded:
        yield NEED, decode(name), _crc(crc)
    if not recorded:  # then only the symbol table, which takes long to read, tells
        for name, _crc_unknown, _weak in needed_names(elf, with_versions=False):
            yield NEED, decode(name), None


def compared_kernel(exported: Mapping[bytes, int]) -> Compared:
    """Return what is compared of the kernel itself: its exported symbols with their CRCs."""
    return Compared(KERNEL, {(EXPORT, decode(name)): _crc(crc) for name, crc in exported.items()})


def _crc(crc: int | None) -> str | None:
    return None if crc is None else f"0x{crc:08x}"


def changes_between(before: Compared, after: Compared) -> Iterator[Change]:
    """Yield what is not the same, by field and name in the order of the first module, then what only the second has."""
    old, new = before.values, after.values
    if old == new:
        return
    for (field, name), value in old.items():
        if (field, name) not in new:
            yield Change(before.name, REMOVED, field, name, value if name is None or value else name, None)
        elif new[field, name] != value:
            yield Change(before.name, CHANGED, field, name, value, new[field, name])
    for (field, name), value in new.items():
        if (field, name) not in old:
            yield Change(before.name, ADDED, field, name, None, value if name is None or value else name)
