"""A module file on disk: opened once, decompressed when it must be, described."""

from __future__ import annotations

import os

from ..errors import ElfError, FileError
from ..formats.compression import LIMIT, MAGIC_LENGTH, decompress, detect
from ..formats.elf import ENODATA, ElfFile
from ..formats.modinfo import parse_modinfo
from ..formats.source import BytesSource, FileSource
from ..names import module_name
from .files import EFBIG, open_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from ..formats.modinfo import Field
    from ..formats.signature import Signature
    from ..formats.source import Source


class ModuleFile:
    """An open module file; a context manager. Opening raises `FileError`, describing it `FormatError`s.

    `compression` is `gzip`, `xz`, `zstd` or None. An uncompressed file is read piece by piece, never whole.
    """

    def __init__(self, path: str) -> None:
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
        os.close(self.fd)

    def image(self) -> bytes:
        """The whole module, decompressed. Raises `FileError`, `CompressionError`, `MissingSupportError`."""
        try:
            size = os.fstat(self.fd).st_size
            if size > LIMIT:
                raise FileError("file is too large", path=self.path, errno=EFBIG)
            return decompress(os.pread(self.fd, size, 0))
        except OSError as error:
            raise FileError.of(error, self.path) from None

    @property
    def source(self) -> Source:
        """The uncompressed bytes."""
        if self._source is None:
            self._source = BytesSource(self.image()) if self.compression else FileSource(self.fd)
        return self._source

    @property
    def elf(self) -> ElfFile:
        """The parsed ELF file."""
        if self._elf is None:
            self._elf = ElfFile(self.source)
        return self._elf

    def modinfo(self) -> list[Field]:
        """The strings of .modinfo, in file order. Raises `ElfError` (ENODATA) when there is no such section."""
        section = self.elf.data_of(b".modinfo")
        if section is None:
            raise ElfError("no .modinfo section", errno=ENODATA)
        return parse_modinfo(section)

    def signature(self) -> Signature | None:
        """The appended signature, None when there is none. Raises `SignatureError`."""
        from ..formats.signature import read_signature

        return read_signature(self.source)
