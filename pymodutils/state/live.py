"""The running kernel: which modules it has, who holds them, what it can load (contract 2, "The kernel side")."""

from __future__ import annotations

import os

from ..errors import FileError
from ..names import decode, encode
from ..roots import Roots
from .files import read_file, read_or_none

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..formats.procmodules import LoadedModule

ENODEV = 19
MOST_BYTES = 255  # of a file's name
_COMPRESSIONS = ("gzip", "xz", "zstd")


def _is_name(name: str) -> bool:
    """Whether NAME can be a file in /sys/module, or in a directory there."""
    return name not in ("", ".", "..") and "/" not in name and "\0" not in name and len(encode(name)) <= MOST_BYTES


class LiveKernel:
    """/proc/modules and /sys/module. Nothing is remembered: every question is asked anew.

    All questions raise `FileError` for what cannot be read; a module that goes away meanwhile is not loaded.
    """

    def __init__(self, roots: Roots | None = None) -> None:
        roots = roots or Roots()
        self._proc = roots.proc
        self._sys = roots.sys

    def modules(self) -> list[LoadedModule]:
        """All loaded modules, each once, newest first. Raises `FileError`, `FormatError`."""
        from ..formats.procmodules import parse_proc_modules  # here, because modprobe asks for single modules only

        path = f"{self._proc}/modules"
        return parse_proc_modules(read_file(path), path)

    def attribute(self, name: str, attribute: str) -> str | None:
        """The text of /sys/module/NAME/ATTRIBUTE without its newline; None when there is no such file.

        ATTRIBUTE may be in a directory there: `parameters/debug`.
        """
        try:
            return self._attribute(name, attribute)
        except FileError as error:
            if error.errno == ENODEV:
                return None
            raise

    def _attribute(self, name: str, attribute: str) -> str | None:
        """As `attribute`; raises `FileError` with ENODEV for a module that went away between open and read."""
        if not _is_name(name) or not all(map(_is_name, attribute.split("/"))):
            return None
        data = read_or_none(f"{self._sys}/module/{name}/{attribute}")
        return None if data is None else decode(data).rstrip("\n")

    def state(self, name: str) -> str | None:
        """`live`, `coming` or `going`; None when not loaded.

        A directory without `initstate` belongs to a module that is just being set up, or to a builtin one: ask
        `ModuleTree.is_builtin` first.
        """
        try:
            state = self._attribute(name, "initstate")
        except FileError as error:
            if error.errno == ENODEV:
                return None
            raise
        if state is None and _is_name(name) and os.path.isdir(f"{self._sys}/module/{name}"):
            return "coming"
        return state

    def refcount(self, name: str) -> int | None:
        """How many users the module has; None when it is not loaded or the kernel does not count."""
        text = self.attribute(name, "refcnt")
        try:
            return None if text is None else int(text)
        except ValueError:
            return None

    def holders(self, name: str) -> list[str]:
        """The modules that use this one, in the order of /sys/module/NAME/holders."""
        if not _is_name(name):
            return []
        try:
            return os.listdir(f"{self._sys}/module/{name}/holders")
        except OSError as error:
            if error.errno in (2, 20, ENODEV):
                return []
            raise FileError.of(error, f"{self._sys}/module/{name}/holders") from None

    def compression(self) -> str | None:
        """The format that finit_module decompresses by itself (`gzip`, `xz`, `zstd`), None for none."""
        data = read_or_none(f"{self._sys}/module/compression")
        name = decode(data or b"").strip()
        return name if name in _COMPRESSIONS else None
