# SPDX-License-Identifier: LGPL-2.1-or-later
"""The running kernel: which modules it has, who holds them, what it can load (docs/behaviour/2-formats.md)."""

from __future__ import annotations

import errno
import posix
import sys

from ..errors import FileError, LiveKernelNotAskedError
from ..names import decode, encode, normalize_name
from ..osparts import is_directory
from ..roots import Roots
from .files import can_reach, read_attribute, read_file, read_or_none

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..formats.procmodules import LoadedModule

LIVE, COMING, GOING = "live", "coming", "going"
"""States of a module that the kernel has."""

MOST_NAME_BYTES = 255
_NOTE_HEAD, _GNU_BUILD_ID = 12, 3
_COMPRESSIONS = ("gzip", "xz", "zstd")


def _is_file_name(name: str) -> bool:
    """Tell whether `name` can be a file in /sys/module, or in a directory there."""
    if name in ("", ".", "..") or "/" in name or "\0" in name:
        return False
    return 4 * len(name) <= MOST_NAME_BYTES or len(encode(name)) <= MOST_NAME_BYTES  # no character takes more than 4


def _text_or_none(path: str) -> str | None:
    """Return the text of a file of /sys without its newline; None when there is no such file. Raises `FileError`."""
    data = read_attribute(path)
    return None if data is None else decode(data).rstrip("\n")


class LiveKernel:
    """The running kernel, as /proc/modules and /sys/module show it.

    It remembers nothing: every question reads the files again. Dashes count as underscores in names. Questions raise
    `FileError` for what cannot be read. A module that goes away while it is looked at counts as not loaded.
    """

    def __init__(self, roots: Roots | None = None) -> None:
        roots = roots or Roots()
        self._proc = roots.proc
        self._sys = roots.sys
        self._directories: dict[str, str] = {}  # where `state` looks for modules: nothing that the kernel has said
        self._can_search = False  # whether `can_reach` has said yes of the directory that holds them all

    @property
    def is_asked(self) -> bool:
        """Whether answers come from a kernel; `NoLiveKernel` has none."""
        return True

    @property
    def is_forbidden(self) -> bool:
        """Whether the program wants no kernel asked; not so here."""
        return False

    def modules(self) -> list[LoadedModule]:
        """Return all loaded modules, each once, newest first. Raises `FileError`, `FormatError`."""
        from ..formats.procmodules import parse_proc_modules  # here, because modprobe asks for single modules only

        path = f"{self._proc}/modules"
        return parse_proc_modules(read_file(path), path)

    def attribute(self, name: str, attribute: str) -> str | None:
        """Return the text of /sys/module/NAME/ATTRIBUTE without its newline; None when there is no such file.

        ATTRIBUTE may be in a directory there: `parameters/debug`.
        """
        try:
            return self._attribute(name, attribute)
        except FileError as error:
            if error.errno == errno.ENODEV:
                return None
            raise

    def _attribute(self, name: str, attribute: str) -> str | None:
        """Return what `attribute` does. Raises `FileError`, with ENODEV for a module that went away meanwhile."""
        if not _is_file_name(name) or not all(map(_is_file_name, attribute.split("/"))):
            return None
        return _text_or_none(f"{self._module(name)}/{attribute}")

    def _module(self, name: str) -> str:
        return f"{self._sys}/module/{normalize_name(name)}"

    def state(self, name: str) -> str | None:
        """Return `live`, `coming` or `going`; None when the module is not loaded.

        A directory without `initstate` belongs to a module that is just being set up, or to a builtin one: ask
        `ModuleTree.is_builtin` first.
        """
        directory = self._directories.get(name)
        if directory is None:
            if not _is_file_name(name):
                return None
            directory = self._directories[name] = self._module(name)
        if not can_reach(directory):
            # "No" counts where such questions get a true answer, which is asked until it is so.
            self._can_search = self._can_search or can_reach(f"{self._sys}/module", posix.X_OK)
            if self._can_search:
                return None  # the usual answer
        try:
            state = _text_or_none(f"{directory}/initstate")
        except FileError as error:
            if error.errno == errno.ENODEV:
                return None
            raise
        if state is None and is_directory(directory):
            return COMING
        return state if state in (LIVE, COMING, GOING) else None

    def refcount(self, name: str) -> int | None:
        """Return how many users the module has; None when it is not loaded or the kernel does not count."""
        text = self.attribute(name, "refcnt")
        try:
            return None if text is None else int(text)
        except ValueError:
            return None

    def holders(self, name: str) -> list[str]:
        """Return the modules that use this one, in the order of /sys/module/NAME/holders."""
        if not _is_file_name(name):
            return []
        path = f"{self._module(name)}/holders"
        try:
            return posix.listdir(path)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ENODEV):
                return []
            raise FileError.of(error, path) from None

    def build_id(self, name: str) -> bytes | None:
        """Return the GNU build-id of a loaded module; None when it is not loaded or has none."""
        if not _is_file_name(name):
            return None
        return _build_id_in(read_or_none(f"{self._module(name)}/notes/.note.gnu.build-id") or b"")

    def kernel_build_id(self) -> bytes | None:
        """Return the GNU build-id of the kernel itself; None when it has none."""
        return _build_id_in(read_or_none(f"{self._sys}/kernel/notes") or b"")

    def parameters(self, name: str) -> dict[str, str | None]:
        """Return the parameters of a module or of a builtin one, by name; None for one that cannot be read."""
        path = f"{self._module(name)}/parameters"
        try:
            names = sorted(posix.listdir(path)) if _is_file_name(name) else []
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ENODEV):
                return {}
            raise FileError.of(error, path) from None
        return {parameter: self._parameter(name, parameter) for parameter in names}

    def known_parameters(self, name: str, *, builtin: bool = False) -> dict[str, str | None] | None:
        """Return what `parameters` does; None where /sys does not show the module, so that nobody can tell.

        A module that is part of the kernel, `builtin`, is shown only if it has some. Raises `FileError`.
        """
        found = self.parameters(name)
        if found or self.has_directory(name):
            return found
        return found if builtin and is_directory(f"{self._sys}/module") else None

    def _parameter(self, name: str, parameter: str) -> str | None:
        try:
            return self.attribute(name, f"parameters/{parameter}")
        except FileError:  # most often one that root alone may read, or nobody
            return None

    def parameter_mode(self, name: str, parameter: str) -> int | None:
        """Return the permissions of a parameter's file in /sys; None when it has none."""
        if not _is_file_name(name) or not _is_file_name(parameter):
            return None
        try:
            return posix.stat(f"{self._module(name)}/parameters/{parameter}").st_mode & 0o7777
        except OSError:
            return None

    def parameter_owners(self) -> list[str]:
        """Return the names below /sys/module that have parameters there, builtin modules' too, in byte order.

        One that nobody may look into, so that it may have some, is among them. Raises `FileError`.
        """
        path = f"{self._sys}/module"
        try:
            names = posix.listdir(path)
        except OSError as error:
            raise FileError.of(error, path) from None
        return sorted(name for name in names if _may_have(f"{path}/{name}", "parameters"))

    def has_directory(self, name: str) -> bool:
        """Tell whether there is a /sys/module/NAME: of a loaded module, or of a builtin one with parameters."""
        return _is_file_name(name) and is_directory(self._module(name))

    def text(self, path: str) -> str | None:
        """Return the text of a file below /proc; None when there is no such file, or it cannot be read."""
        try:
            data = read_or_none(f"{self._proc}/{path}")
        except FileError:
            return None
        return None if data is None else decode(data)

    def compression(self) -> str | None:
        """Return the format that finit_module decompresses by itself (`gzip`, `xz`, `zstd`), None for none."""
        data = read_or_none(f"{self._sys}/module/compression")
        name = decode(data or b"").strip()
        return name if name in _COMPRESSIONS else None


def _may_have(directory: str, name: str) -> bool:
    """Tell whether a directory has a directory of this name, or hides whether it does."""
    path = f"{directory}/{name}"
    return is_directory(path) or (is_directory(directory) and not can_reach(directory, posix.X_OK))


def _build_id_in(notes: bytes) -> bytes | None:
    """Return the GNU build-id in the notes of an ELF file of this machine: three words, then name and contents."""
    at = 0
    while at + _NOTE_HEAD <= len(notes):
        name, length, kind = (
            int.from_bytes(notes[start : start + 4], sys.byteorder) for start in range(at, at + 12, 4)
        )
        content = at + _NOTE_HEAD + (name + 3 & ~3)
        if kind == _GNU_BUILD_ID and notes[at + _NOTE_HEAD : at + _NOTE_HEAD + name] == b"GNU\0":
            return notes[content : content + length] or None
        at = content + (length + 3 & ~3)
    return None


class NoLiveKernel(LiveKernel):
    """Stands where no kernel is asked: for another system or another release, nothing is loaded as far as one knows."""

    def __init__(self, roots: Roots | None = None, *, forbidden: bool = False) -> None:
        super().__init__(roots)
        self._forbidden = forbidden

    @property
    def is_asked(self) -> bool:
        """False."""
        return False

    @property
    def is_forbidden(self) -> bool:
        """Whether the program wants it so: then nothing at all of this machine is looked at."""
        return self._forbidden

    def modules(self) -> list[LoadedModule]:
        """Raise `LiveKernelNotAskedError`, since an empty list would be a false answer."""
        raise LiveKernelNotAskedError("this is another system or release than the running one: its kernel is not asked")

    def _attribute(self, name: str, attribute: str) -> str | None:
        return None

    def state(self, name: str) -> str | None:
        """Return None."""
        return None

    def holders(self, name: str) -> list[str]:
        """Return no modules."""
        return []

    def build_id(self, name: str) -> bytes | None:
        """Return None."""
        return None

    def kernel_build_id(self) -> bytes | None:
        """Return None."""
        return None

    def parameters(self, name: str) -> dict[str, str | None]:
        """Return no parameters."""
        return {}

    def known_parameters(self, name: str, *, builtin: bool = False) -> dict[str, str | None] | None:
        """Return None."""
        return None

    def parameter_mode(self, name: str, parameter: str) -> int | None:
        """Return None."""
        return None

    def parameter_owners(self) -> list[str]:
        """Return no modules."""
        return []

    def has_directory(self, name: str) -> bool:
        """Return False."""
        return False

    def text(self, path: str) -> str | None:
        """Return None."""
        return None

    def compression(self) -> str | None:
        """Return None."""
        return None
