# SPDX-License-Identifier: LGPL-2.1-or-later
"""Write archives that the kernel unpacks as its first root directory: the `newc` form of cpio.

See Documentation/driver-api/early-userspace/buffer-format.rst in the kernel. Everything belongs to root and has
time 0, so that equal content gives equal bytes.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from typing import IO


class Writer:
    """One archive being written to a file opened for binary output."""

    def __init__(self, output: IO[bytes]) -> None:
        self._output = output
        self._inode = 0
        self._directories: set[str] = set()

    def directory(self, name: str, mode: int = 0o755) -> None:
        """A directory; those above it are made too."""
        name = name.strip("/")
        if name in self._directories or not name:
            return
        self.directory(os.path.dirname(name))
        self._directories.add(name)
        self._header(name, stat.S_IFDIR | mode, 0)

    def file(self, name: str, content: bytes | Path, mode: int = 0o644) -> None:
        """A regular file, from bytes or from a file of the host."""
        self._parent(name)
        if isinstance(content, bytes):
            self._header(name.strip("/"), stat.S_IFREG | mode, len(content))
            self._output.write(content)
            self._pad(len(content))
            return
        size = content.stat().st_size
        self._header(name.strip("/"), stat.S_IFREG | mode, size)
        with open(content, "rb") as source:
            shutil.copyfileobj(source, self._output, 1 << 20)
        self._pad(size)

    def symlink(self, name: str, target: str) -> None:
        self._parent(name)
        data = os.fsencode(target)
        self._header(name.strip("/"), stat.S_IFLNK | 0o777, len(data))
        self._output.write(data)
        self._pad(len(data))

    def character_device(self, name: str, major: int, minor: int, mode: int = 0o600) -> None:
        self._parent(name)
        self._header(name.strip("/"), stat.S_IFCHR | mode, 0, major, minor)

    def tree(self, source: Path, rename: Callable[[str], str | None]) -> None:
        """All below the folder `source`; rename(relative path) gives the path in the archive, None leaves it out."""
        for path in sorted(source.rglob("*")):
            name = rename(str(path.relative_to(source)))
            if name is None:
                continue
            if path.is_symlink():
                self.symlink(name, os.readlink(path))
            elif path.is_dir():
                self.directory(name)
            else:
                self.file(name, path, 0o755 if os.access(path, os.X_OK) else 0o644)

    def close(self) -> None:
        """End the archive. The kernel takes several, one after the other."""
        self._header("TRAILER!!!", 0, 0)

    def _parent(self, name: str) -> None:
        self.directory(os.path.dirname(name.strip("/")))

    def _header(self, name: str, mode: int, size: int, major: int = 0, minor: int = 0) -> None:
        self._inode += 1
        encoded = os.fsencode(name) + b"\0"
        links = 2 if stat.S_ISDIR(mode) else 1
        fields = (self._inode, mode, 0, 0, links, 0, size, 0, 0, major, minor, len(encoded), 0)
        header = b"070701" + b"".join(b"%08X" % field for field in fields) + encoded
        self._output.write(header)
        self._pad(len(header))

    def _pad(self, written: int) -> None:
        self._output.write(bytes(-written % 4))
