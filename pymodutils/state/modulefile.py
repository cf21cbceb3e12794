# SPDX-License-Identifier: LGPL-2.1-or-later
"""A module file on disk: opened once, decompressed when it must be, described."""

from __future__ import annotations

import errno
import posix

from ..errors import ElfError, Error, FileError
from ..formats.compression import MAGIC_BYTES, MOST_MODULE_BYTES, detect
from ..formats.elf import HEADER_BYTES, ElfFile
from ..formats.modinfo import Field, split_modinfo
from ..formats.source import BytesSource, FileSource
from ..names import module_name
from .files import open_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from collections.abc import Callable
    from types import TracebackType
    from typing import NoReturn, Self, TypeVar

    from ..formats.elf import Section
    from ..formats.signature import Signature
    from ..formats.source import Source
    from ..formats.symbols import Symbol

    _Answer = TypeVar("_Answer")

_CLOSED = -1  # in place of a descriptor


class ModuleFile:
    """An open module file; a context manager.

    `name` is the module's name, as the file's name tells it, and `compression` is `gzip`, `xz`, `zstd` or None. An
    uncompressed file is read piece by piece, never whole. Opening raises `FileError`; questions raise `FileError`,
    a `FormatError` for damage, and `MissingSupportError` without a library that decompresses the file. All errors have
    the file's `path`.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.fd: int = _CLOSED
        """The open descriptor; -1 after `close`."""
        path = posix.fspath(path)
        self.path: str = path
        self.name: str = module_name(path)
        fd = open_file(path)
        self._file = FileSource(fd, path)
        self.fd = fd
        self._elf: ElfFile | None = None
        self._source: Source | None = None
        try:
            head = self._file.read_ahead(0, HEADER_BYTES)
            self.too_short: bool = len(head) < MAGIC_BYTES
            """Whether nobody can tell what the file is; kmod does not ask the kernel then."""
            self.compression: str | None = None if self.too_short else detect(head)
        except FileError as error:
            self.close()
            if error.errno == errno.ESPIPE:
                raise FileError("no regular file: a pipe is no module", path=path, errno=error.errno) from None
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        """Free the descriptor of a file that nobody closed."""
        if self.fd != _CLOSED:
            self.close()

    def __reduce__(self) -> NoReturn:
        """Refuse `copy` and `pickle`: the end of the copy would close the descriptor of the original."""
        raise TypeError("an open module file cannot be copied or pickled: open its path again")

    def close(self) -> None:
        """Free the descriptor; afterwards every question is an error."""
        if self.fd != _CLOSED:
            posix.close(self.fd)
        self.fd = _CLOSED
        self._file.forget()  # somebody may have kept what reads it
        self._elf = self._source = None

    def image(self) -> bytes:
        """Return the whole module, decompressed. Raises `FileError`, `CompressionError`, `MissingSupportError`."""
        from ..formats.decompress_fast import decompress_fast  # here, because not every module is compressed

        if self._file.size > MOST_MODULE_BYTES:
            raise FileError("file is too large", path=self.path, errno=errno.EFBIG)
        return self._located(lambda: decompress_fast(self._file.read(0, self._file.size)))

    def _bytes(self) -> Source:
        """Return the uncompressed bytes."""
        if self._source is None:
            self._source = BytesSource(self.image()) if self.compression else self._file
        return self._source

    def _parsed(self) -> ElfFile:
        """Return the parsed ELF file. Raises `ElfError`, and what `image` raises."""
        if self._elf is None:
            self._elf = self._located(self._parse)
        return self._elf

    def _parse(self) -> ElfFile:
        return ElfFile(self._bytes(), decompressed=bool(self.compression))

    def modinfo(self) -> list[Field]:
        """Return the strings of .modinfo, in file order. Raises `ElfError` (ENODATA) when there is no such section."""
        return [Field(key, value) for key, value in self.modinfo_strings()]

    def modinfo_strings(self) -> list[tuple[str, str]]:
        """Return the same as pairs of key and value, which is faster. Raises `ElfError`."""
        return self._located(self._modinfo_strings)

    def _modinfo_strings(self) -> list[tuple[str, str]]:
        section = self._parsed().data_of(b".modinfo")
        if section is None:
            raise ElfError("no .modinfo section", errno=errno.ENODATA)
        return split_modinfo(section)

    def signature(self) -> Signature | None:
        """Return the appended signature, None when there is none. Raises `SignatureError`."""
        from ..formats.signature import read_signature

        return self._located(lambda: read_signature(self._bytes()))

    def build_id(self) -> bytes | None:
        """Return the GNU build-id, None when there is none. Raises `ElfError`."""
        return self._located(lambda: self._parsed().build_id())

    def sections(self) -> list[Section]:
        """Return all sections in the order of the section table. Raises `ElfError`."""
        return self._located(lambda: self._parsed().sections())

    def exports(self) -> list[Symbol]:
        """Return the symbols that the module exports, in table order. Raises `ElfError`."""
        from ..formats.symbols import exports

        return self._located(lambda: exports(self._parsed()))

    def needs(self) -> list[Symbol]:
        """Return the symbols that the module needs from elsewhere, in table order. Raises `ElfError`.

        Versions that the module records, but needs for no symbol (`module_layout`), come last.
        """
        from ..formats.symbols import needs

        return self._located(lambda: needs(self._parsed()))

    def versions(self) -> list[Symbol]:
        """Return the versions that the module records of symbols it needs, in file order. Raises `ElfError`."""
        from ..formats.symbols import versions

        return self._located(lambda: versions(self._parsed()))

    def _located(self, read: Callable[[], _Answer]) -> _Answer:
        """Return what `read` returns; an error that it raises gets the file's path."""
        try:
            return read()
        except Error as error:
            error.path = error.path or self.path
            raise


def elf_of(module: ModuleFile) -> ElfFile:
    """Return the ELF file in a module file, for what reads more of it than `ModuleFile` tells. Raises `ElfError`."""
    return module._parsed()


def is_signed(path: str) -> bool | None:
    """Tell whether a module file has a signature; None when it cannot be read."""
    try:
        with ModuleFile(path) as module:
            return module.signature() is not None
    except Error:
        return None
