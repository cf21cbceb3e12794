# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a module file says that decides whether a kernel takes it, and what is wrong with the file itself."""

from __future__ import annotations

import errno
import os
import stat

from ..errors import CompressionError, Error, FileError, MissingSupportError, SignatureError
from ..formats.modinfo import Field, parse_parameters
from ..formats.symbols import Symbol, needed_names
from ..names import decode, normalize_name
from ..records import Record
from .modulefile import ModuleFile, elf_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..formats.modinfo import Parameter
    from ..formats.signature import Signature

MISSING, NO_FILE, UNREADABLE, EMPTY, NO_LIBRARY, DAMAGED_COMPRESSION, DAMAGED = (
    "missing", "no-file", "unreadable", "empty", "no-library", "damaged-compression", "damaged",
)  # fmt: skip
"""Words of `ModuleReading.problem`."""

MODULE_LAYOUT = "module_layout"
"""The symbol whose version stands for the layout of the kernel's own structures: every module records it."""

_GPL = ("GPL", "GPL v2", "GPL and additional rights", "Dual BSD/GPL", "Dual MIT/GPL", "Dual MPL/GPL")
"""Licences that the kernel takes for compatible with its own (include/linux/license.h)."""

_OBJECT_FILE = 1  # ET_REL


class ModuleReading(Record):
    """What a module file says.

    `problem` is a word for what is wrong with the file, None for nothing, and `why` says it in English. `name` is the
    name by which the kernel's log calls the module. `needs` are the symbols that it needs, `versions` those of which it
    records a version. `signature` is None for an unsigned module; `bad_signature` says why one cannot be read.
    `machine` is ELF's number of the machine, with 32 or 64 `bits`.
    """

    path: str
    problem: str | None = None
    why: str | None = None
    name: str | None = None
    vermagic: str | None = None
    license: str | None = None
    imports: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    needs: tuple[Symbol, ...] = ()
    versions: tuple[Symbol, ...] = ()
    exports: tuple[Symbol, ...] = ()
    signature: Signature | None = None
    bad_signature: str | None = None
    compression: str | None = None
    machine: int | None = None
    bits: int | None = None

    @property
    def layout_version(self) -> int | None:
        """The version that it records of the kernel's own structures."""
        return self.version_of(MODULE_LAYOUT)

    @property
    def is_gpl(self) -> bool:
        """Whether the kernel lets it use symbols that are for GPL modules only."""
        return self.license in _GPL

    @property
    def is_readable(self) -> bool:
        """Whether the file is a module that could be read."""
        return self.problem is None

    def version_of(self, symbol: str) -> int | None:
        """Return the version that it records of a symbol."""
        return next((version.crc for version in self.versions if version.name == symbol), None)

    def parameter(self, name: str) -> Parameter | None:
        """Return one of its parameters; dashes count as underscores."""
        wanted = normalize_name(name)
        return next((known for known in self.parameters if normalize_name(known.name) == wanted), None)


def read_module(path: str, *, symbols: bool = True) -> ModuleReading:
    """Read a module file, with its `symbols` or without; what cannot be read of it is its `problem`."""
    try:
        found = os.stat(path)
        if not stat.S_ISREG(found.st_mode):
            return ModuleReading(path, NO_FILE, "it is no regular file")
        if not found.st_size:
            return ModuleReading(path, EMPTY, "the file is empty")
        with ModuleFile(path) as module:
            return _read(module, symbols=symbols)
    except (OSError, FileError) as error:
        word = MISSING if error.errno in (errno.ENOENT, errno.ENOTDIR) else UNREADABLE
        return ModuleReading(path, word, error.strerror or str(error))
    except ValueError as error:  # a NUL in the path
        return ModuleReading(path, MISSING, str(error))
    except MissingSupportError as error:
        return ModuleReading(path, NO_LIBRARY, error.reason)
    except CompressionError as error:
        return ModuleReading(path, DAMAGED_COMPRESSION, error.reason)
    except Error as error:
        return ModuleReading(path, DAMAGED, error.reason)


def _read(module: ModuleFile, *, symbols: bool) -> ModuleReading:
    """Read an open module. Raises `Error` for damage."""
    elf = elf_of(module)
    if elf.type != _OBJECT_FILE:
        return ModuleReading(module.path, DAMAGED, "an ELF file, but no module: it is no object file")
    fields = module.modinfo()
    signature, bad_signature = _signature(module)
    reading = ModuleReading(
        path=module.path,
        name=_first(fields, "name") or module.name,
        vermagic=_first(fields, "vermagic"),
        license=_first(fields, "license"),
        imports=tuple([field.value for field in fields if field.key == "import_ns"]),
        aliases=tuple([field.value for field in fields if field.key == "alias"]),
        parameters=tuple(parse_parameters(fields)),
        signature=signature,
        bad_signature=bad_signature,
        compression=module.compression,
        machine=elf.machine,
        bits=64 if elf.is64 else 32,
    )
    if not symbols:
        return reading
    needs = [Symbol(decode(name), None, weak=weak) for name, _, weak in needed_names(elf, with_versions=False)]
    return reading.replace(needs=tuple(needs), versions=tuple(module.versions()), exports=tuple(module.exports()))


def _first(fields: Iterable[Field], key: str) -> str | None:
    return next((field.value for field in fields if field.key == key), None)


def _signature(module: ModuleFile) -> tuple[Signature | None, str | None]:
    try:
        return module.signature(), None
    except SignatureError as error:
        return None, error.reason
