"""Put a set of files into a directory: whole or not at all (contract 4, "Output"). The only code that does so.

All files are written beside their places and flushed before the first is renamed. A run that was killed leaves at most
temporaries, which the next run removes. Everything goes through one descriptor of the directory, so a directory
replaced meanwhile cannot lead a file elsewhere.
"""

from __future__ import annotations

import os
from contextlib import suppress

from ..errors import FileError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType
    from typing import Self

_TEMPORARY = ".depmod-new."
"""How the names of temporaries begin."""


def no_hook(_boundary: str) -> None:
    """Do nothing at a boundary between two steps; tests put a fault there."""


class Directory:
    """A directory to publish into, created if missing, and locked against other runs. A context manager.

    Raises `FileError`. A file system without locks goes unlocked.
    """

    def __init__(self, path: str, hook: Callable[[str], None] = no_hook) -> None:
        self.path = path
        self._hook = hook
        try:
            os.makedirs(path, mode=0o755, exist_ok=True)
            self.fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise FileError.of(error, path) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self.fd)

    def lock(self, waiting: Callable[[], None] = lambda: None) -> None:
        """Wait until no other run works in this directory; `waiting` is called if there is one."""
        from fcntl import LOCK_EX, LOCK_NB, flock

        try:
            try:
                flock(self.fd, LOCK_EX | LOCK_NB)
            except BlockingIOError:
                waiting()
                flock(self.fd, LOCK_EX)
        except OSError:
            pass

    def publish(self, files: Mapping[str, bytes]) -> None:
        """Put all `files` (name: bytes) in place, in their order. Raises `FileError`; the old ones are there then."""
        self._clean()
        written: list[str] = []
        try:
            for name, data in files.items():
                written.append(name)
                self._write(name, data)
            for name in files:
                self._hook(f"before rename {name}")
                self._rename(name)
                written.remove(name)
            self._hook("before flush")
            os.fsync(self.fd)
        except OSError as error:
            raise FileError.of(error, self.path) from None
        finally:
            for name in written:
                self._remove(_TEMPORARY + name)

    def _write(self, name: str, data: bytes) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            self._hook(f"before create {name}")
            fd = os.open(_TEMPORARY + name, flags, 0o644, dir_fd=self.fd)
            try:
                self._hook(f"before write {name}")
                view = memoryview(data)
                while view:
                    view = view[os.write(fd, view) :]
                self._hook(f"before sync {name}")
                os.fsync(fd)
            finally:
                os.close(fd)
        except OSError as error:
            raise FileError.of(error, f"{self.path}/{name}") from None

    def _rename(self, name: str) -> None:
        try:
            os.rename(_TEMPORARY + name, name, src_dir_fd=self.fd, dst_dir_fd=self.fd)
        except OSError as error:
            raise FileError.of(error, f"{self.path}/{name}") from None

    def _clean(self) -> None:
        """Remove what a killed run left."""
        for name in os.listdir(self.fd):
            if name.startswith(_TEMPORARY):
                self._remove(name)

    def _remove(self, name: str) -> None:
        with suppress(OSError):
            os.unlink(name, dir_fd=self.fd)
