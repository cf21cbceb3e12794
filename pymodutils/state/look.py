# SPDX-License-Identifier: LGPL-2.1-or-later
"""A look at /proc and /sys: what is there, and what could not be read.

What is not there, or went away meanwhile, is an answer: the kernel has no such thing. What cannot be read is none.
"""

from __future__ import annotations

import errno
import os
import stat

from ..errors import FileError
from ..names import decode
from .files import read_or_none

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..roots import Roots

GONE = frozenset({
    errno.ENOENT, errno.ENOTDIR, errno.ENODEV, errno.ENXIO, errno.ESRCH, errno.EINVAL, errno.ENAMETOOLONG,
})  # fmt: skip
"""What the system says of something that is not there, has ended, has no value, or is no link."""


class Look:
    """Reads files of /proc and /sys. `unread` has what could not be read, by path, with the system's answer."""

    def __init__(self, roots: Roots) -> None:
        self.roots = roots
        self.proc: str = roots.proc
        self.sys: str = roots.sys
        self.unread: dict[str, FileError] = {}

    def names(self, directory: str) -> list[str]:
        """Return the names in a directory, sorted; none when there is no such directory."""
        try:
            return sorted(os.listdir(directory))
        except OSError as error:
            self.note(error, directory)
            return []

    def data(self, path: str) -> bytes | None:
        """Return the bytes of a file; None when there is no such file."""
        try:
            return read_or_none(path)
        except OSError as error:
            self.note(error, path)
            return None

    def text(self, path: str) -> str | None:
        """Return the text of a file without blanks around it; None when there is no such file."""
        data = self.data(path)
        return None if data is None else decode(data).strip()

    def target(self, path: str) -> str | None:
        """Return what a link leads to; None when it is no link."""
        try:
            return os.readlink(path)
        except ValueError:  # a NUL in the path
            return None
        except OSError as error:
            self.note(error, path)
            return None

    def target_name(self, path: str) -> str | None:
        """Return the last part of what a link leads to; None when it is no link."""
        target = self.target(path)
        return None if target is None else target.rpartition("/")[2]

    def has(self, path: str) -> bool:
        """Tell whether there is something, or a link that leads nowhere."""
        try:
            os.lstat(path)
        except ValueError:
            return False
        except OSError as error:
            self.note(error, path)
            return False
        return True

    def is_directory(self, path: str) -> bool:
        """Tell whether there is a directory, or a link to one."""
        try:
            return stat.S_ISDIR(os.stat(path).st_mode)
        except ValueError:
            return False
        except OSError as error:
            self.note(error, path)
            return False

    def node_number(self, path: str) -> str | None:
        """Return the number MAJOR:MINOR of a device node; None when there is no such file."""
        try:
            number = os.stat(path).st_rdev
        except ValueError:
            return None
        except OSError as error:
            self.note(error, path)
            return None
        return f"{os.major(number)}:{os.minor(number)}"

    def note(self, error: OSError, path: str) -> None:
        """Remember that something could not be read, unless it is not there."""
        if error.errno not in GONE and path not in self.unread:
            self.unread[path] = error if isinstance(error, FileError) else FileError.of(error, path)
