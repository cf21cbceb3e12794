"""A module file on disk: opened once, decompressed when it must be, described."""

from __future__ import annotations

import os

from ..errors import ElfError, Error, FileError
from ..formats.compression import LIMIT, MAGIC_LENGTH, decompress, detect
from ..formats.elf import ENODATA, ElfFile
from ..formats.modinfo import parse_modinfo
from ..formats.source import BytesSource, FileSource
from ..names import module_name
from .files import EFBIG, open_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Self, TypeVar

    from ..formats.modinfo import Field
    from ..formats.signature import Signature
    from ..formats.source import Source

    Answer = TypeVar("Answer")

CLOSED = -1
"""In place of a descriptor."""


class ModuleFile:
    """An open module file; a context manager. Opening raises `FileError`, describing it `FormatError`s and `FileError`.

    `compression` is `gzip`, `xz`, `zstd` or None. An uncompressed file is read piece by piece, never whole. All errors
    have the file's `path`.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        path = os.fspath(path)
        self.path = path
        self.name = module_name(path)
        self.fd = open_file(path, os.O_NONBLOCK)  # a pipe put there must not stop a boot
        self._elf: ElfFile | None = None
        self._source: Source | None = None
        try:
            self.compression = detect(os.pread(self.fd, MAGIC_LENGTH, 0))
        except OSError as error:
            os.close(self.fd)
            raise FileError.of(error, path) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Free the descriptor; afterwards nothing can be asked any more."""
        if self.fd != CLOSED:
            os.close(self.fd)
        self.fd = CLOSED
        if isinstance(self._source, FileSource):
            self._source.forget()  # somebody may have kept `elf` or `source`
        self._elf = self._source = None

    def image(self) -> bytes:
        """The whole module, decompressed. Raises `FileError`, `CompressionError`, `MissingSupportError`."""
        source = FileSource(self.fd, self.path)
        if source.size > LIMIT:
            raise FileError("file is too large", path=self.path, errno=EFBIG)
        return self._located(lambda: decompress(source.read(0, source.size)))

    @property
    def source(self) -> Source:
        """The uncompressed bytes."""
        if self._source is None:
            self._source = BytesSource(self.image()) if self.compression else FileSource(self.fd, self.path)
        return self._source

    @property
    def elf(self) -> ElfFile:
        """The parsed ELF file."""
        if self._elf is None:
            self._elf = self._located(lambda: ElfFile(self.source))
        return self._elf

    def modinfo(self) -> list[Field]:
        """The strings of .modinfo, in file order. Raises `ElfError` (ENODATA) when there is no such section."""
        return self._located(self._modinfo)

    def _modinfo(self) -> list[Field]:
        section = self.elf.data_of(b".modinfo")
        if section is None:
            raise ElfError("no .modinfo section", errno=ENODATA)
        return parse_modinfo(section)

    def signature(self) -> Signature | None:
        """The appended signature, None when there is none. Raises `SignatureError`."""
        from ..formats.signature import read_signature

        return self._located(lambda: read_signature(self.source))

    def _located(self, read: Callable[[], Answer]) -> Answer:
        """What `read` returns; an error that it raises gets the file's path."""
        try:
            return read()
        except Error as error:
            error.path = error.path or self.path
            raise
