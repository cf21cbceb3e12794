# SPDX-License-Identifier: LGPL-2.1-or-later
"""The table of parameters in a module file: what /sys will show of each, its type, and the value it starts with.

`.modinfo` tells names, types and descriptions alone. The table that the kernel itself reads, `__param`, leads to the
variables, so that defaults need not be guessed. Only files of 64 bits with relocations as the kernel builds them are
read; of all others nothing is known here.

Source: include/linux/moduleparam.h (struct kernel_param, kparam_string, kparam_array), kernel/params.c (param_get_*).
"""

from __future__ import annotations

from struct import Struct

from ..errors import ElfError
from ..names import decode
from ..records import Record
from .elf import SHN_UNDEF, SHT_NOBITS, ElfFile, Section
from .parametervalues import ARRAY_OF, NO_TEXT

_TABLE = b"__param"
_ENTRY_BYTES = 40
_NAME, _OPS, _PERMISSIONS, _ARGUMENT = 0, 16, 24, 32
"""Offsets in struct kernel_param."""

_ABSOLUTE = {62: 1, 183: 257, 243: 2, 21: 38, 22: 22, 258: 2}
"""By machine, the relocation that puts a whole address in place: x86-64, arm64, riscv, ppc64, s390, loongarch."""

_SHT_RELA = 4
_OPS_OF_TYPES = "param_ops_"
_OPS_OF_ARRAYS = "param_array_ops"
_FORMATS = {
    "bool": "B", "invbool": "B", "bint": "i", "byte": "B", "short": "h", "ushort": "H", "int": "i", "uint": "I",
    "long": "q", "ulong": "Q", "ullong": "Q", "hexint": "I",
}  # fmt: skip

MOST_PARAMETERS = 4096
MOST_ELEMENTS = 1 << 16
"""Of all arrays together."""
MOST_RELOCATION_BYTES = 1 << 25
"""Of one section; of all in Debian's modules the most have a tenth of it."""
MOST_TEXT_BYTES = 4096
"""Of a name or a text; sysfs shows no more."""


class ParameterSlot(Record):
    """What the table in a module file says of one parameter.

    `mode` are the permissions of its file in /sys, 0 for one without. `type` is a type of the kernel, None for one that
    the module reads itself. `default` is the value it starts with, as /sys would show it; None when that is not known.
    `most` is how many elements an array can have, or bytes a text of fixed length; None for all others.
    """

    name: str
    mode: int
    type: str | None
    default: str | None
    most: int | None = None


def parameter_slots(elf: ElfFile) -> dict[str, ParameterSlot] | None:
    """Return the parameters of a module by name; None when the table of this file cannot be read."""
    relocation = _ABSOLUTE.get(elf.machine)
    if not elf.is64 or relocation is None:
        return None
    try:
        table = elf.data_of(_TABLE)
        return _Reader(elf, relocation).slots(table) if table else {}
    except (ElfError, _UnreadableError):
        return None


class _UnreadableError(Exception):
    """The table is not as the kernel builds it."""


class _Target:
    """A place in a section, or a symbol of the kernel."""

    def __init__(self, section: int, offset: int, symbol: str) -> None:
        self.section = section
        self.offset = offset
        self.symbol = symbol


class _Reader:
    """Follows the addresses in one file."""

    def __init__(self, elf: ElfFile, relocation: int) -> None:
        self._elf = elf
        self._relocation = relocation
        self._sections: list[Section] = elf.sections()
        symbols, strings = elf.data_of(b".symtab"), elf.data_of(b".strtab")
        if symbols is None or strings is None:
            raise _UnreadableError
        self._symbols = symbols
        self._strings = strings
        self._symbol = Struct(elf.order + "I2xHQ8x")
        self._left = MOST_ELEMENTS
        self._relocations: dict[int, dict[int, tuple[int, int]]] = {}
        self._contents: dict[int, bytes] = {}
        self._rela = Struct(elf.order + "QQq")

    def slots(self, table: bytes) -> dict[str, ParameterSlot]:
        section = self._elf.section(_TABLE)
        if section is None or len(table) % _ENTRY_BYTES or len(table) // _ENTRY_BYTES > MOST_PARAMETERS:
            raise _UnreadableError
        found = {}
        for at in range(0, len(table), _ENTRY_BYTES):
            slot = self._slot(section.index, table, at)
            found[slot.name] = slot
        return found

    def _slot(self, section: int, table: bytes, at: int) -> ParameterSlot:
        name = self._text(self._target(section, at + _NAME))
        ops = self._target(section, at + _OPS)
        if name is None or ops is None:
            raise _UnreadableError
        (mode,) = Struct(self._elf.order + "H").unpack_from(table, at + _PERMISSIONS)
        argument = self._target(section, at + _ARGUMENT)
        if ops.symbol == _OPS_OF_ARRAYS:
            return self._array(name, mode, argument)
        if not ops.symbol.startswith(_OPS_OF_TYPES):
            return ParameterSlot(name, mode, None, None)
        kind = ops.symbol.removeprefix(_OPS_OF_TYPES)
        if kind == "string":
            return self._fixed_text(name, mode, argument)
        return ParameterSlot(name, mode, kind, self._value(kind, argument))

    def _fixed_text(self, name: str, mode: int, argument: _Target | None) -> ParameterSlot:
        """Read a struct kparam_string: the length, and where the text is."""
        most = self._number("I", argument)
        default = self._text(self._target(argument.section, argument.offset + 8)) if argument else None
        return ParameterSlot(name, mode, "string", default, None if most is None else max(most - 1, 0))

    def _array(self, name: str, mode: int, argument: _Target | None) -> ParameterSlot:
        """Read a struct kparam_array: how many elements at most, their size, their count, their type, the elements."""
        most, size = self._number("I", argument), self._number("I", argument, 4)
        if argument is None or most is None or size is None:
            return ParameterSlot(name, mode, None, None)
        ops = self._target(argument.section, argument.offset + 16)
        if ops is None or not ops.symbol.startswith(_OPS_OF_TYPES):
            return ParameterSlot(name, mode, None, None, most)
        kind = ops.symbol.removeprefix(_OPS_OF_TYPES)
        counter = self._target(argument.section, argument.offset + 8)
        count = self._number("I", counter) if counter else most
        first = self._target(argument.section, argument.offset + 24)
        default = None
        if first and count is not None and count <= min(most, self._left):
            self._left -= count
            places = [_Target(first.section, first.offset + number * size, "") for number in range(count)]
            values = [self._value(kind, place) for place in places]
            default = None if None in values else ",".join(value or "" for value in values)
        return ParameterSlot(name, mode, ARRAY_OF + kind, default, most)

    def _value(self, kind: str, place: _Target | None) -> str | None:
        """Return the value of a variable as /sys shows it."""
        if place is None or place.section == SHN_UNDEF:
            return None
        if kind == "charp":
            target = self._target(place.section, place.offset)
            return NO_TEXT if target is None else self._text(target)
        number = self._number(_FORMATS[kind], place) if kind in _FORMATS else None
        if number is None:
            return None
        if kind == "bool":
            return "Y" if number else "N"
        if kind == "invbool":
            return "N" if number else "Y"
        # as printf's %#08x, which puts no 0x before a zero
        return str(number) if kind != "hexint" else f"{number:#08x}" if number else "0" * 8

    def _number(self, letter: str, place: _Target | None, offset: int = 0) -> int | None:
        """Return the number at a place; 0 in a section without bytes in the file."""
        if place is None or place.section == SHN_UNDEF or place.section >= len(self._sections):
            return None
        if self._sections[place.section].type == SHT_NOBITS:
            return 0
        layout = Struct(self._elf.order + letter)
        data, at = self._data(place.section), place.offset + offset
        if at < 0 or at + layout.size > len(data):
            return None
        number: int = layout.unpack_from(data, at)[0]
        return number

    def _text(self, place: _Target | None) -> str | None:
        """Return the text that begins at a place."""
        if place is None or place.section == SHN_UNDEF or place.section >= len(self._sections):
            return None
        if self._sections[place.section].type == SHT_NOBITS:
            return ""
        data = self._data(place.section)
        end = data.find(b"\0", place.offset, place.offset + MOST_TEXT_BYTES) if 0 <= place.offset < len(data) else -1
        return None if end < 0 else decode(data[place.offset : end])

    def _data(self, section: int) -> bytes:
        if section not in self._contents:
            self._contents[section] = self._elf.data_at(section)
        return self._contents[section]

    def _target(self, section: int, offset: int) -> _Target | None:
        """Return where the address at a place of a section leads; None for none."""
        found = self._relocations_of(section).get(offset)
        if found is None:
            return None
        number, addend = found
        if (number + 1) * self._symbol.size > len(self._symbols):
            raise _UnreadableError
        name, place, value = self._symbol.unpack_from(self._symbols, number * self._symbol.size)
        end = self._strings.find(b"\0", name, name + MOST_TEXT_BYTES)
        return _Target(place, value + addend, decode(self._strings[name : max(end, name)]))

    def _relocations_of(self, section: int) -> dict[int, tuple[int, int]]:
        """Return (symbol, addend) of each address in a section, by offset."""
        if section not in self._relocations:
            found: dict[int, tuple[int, int]] = {}
            tables = [one for one in self._sections if one.type == _SHT_RELA and one.info == section]
            if sum(one.size for one in tables) > MOST_RELOCATION_BYTES:
                raise _UnreadableError
            for one in tables:
                data = self._elf.data(one)
                whole = len(data) // self._rela.size * self._rela.size
                for offset, info, addend in self._rela.iter_unpack(data[:whole]):
                    if info & 0xFFFFFFFF == self._relocation:
                        found[offset] = info >> 32, addend
            self._relocations[section] = found
        return self._relocations[section]
