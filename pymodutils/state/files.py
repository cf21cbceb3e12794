# SPDX-License-Identifier: LGPL-2.1-or-later
"""Small reads, with errors typed. L2 and above read files through here.

Nothing here waits for a pipe or a terminal that lies in a file's place, but for `read_chosen`. Such a pipe is refused;
/dev/null is an empty file.
"""

from __future__ import annotations

import errno
import posix

from ..errors import FileError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ..formats.source import OwnedFileSource
    from ..roots import Roots

    FileStamp = tuple[int, int, int, int, int] | None

LIMIT = 1 << 26
"""Bytes of a text file; Debian's largest (modules.alias) has a fiftieth of it."""

MOST_IMAGE_BYTES = 1 << 32
"""Bytes of an image of a kernel or of an initial file system; a kernel's with debugging data has a quarter of it."""

MOST_ATTRIBUTE_BYTES = 1 << 16
"""Bytes of a file of /sys: one page, of the machines with the largest."""

_FLAGS: int = posix.O_RDONLY | posix.O_CLOEXEC | posix.O_NOCTTY  # a terminal may not become that of this process
_NO_WAIT: int = _FLAGS | posix.O_NONBLOCK

MOST_LINKS = 40
"""Links that are followed on the way to a file; as many as the kernel follows."""

_TYPE, _PIPE = 0o170000, 0o010000  # S_IFMT, S_IFIFO; `stat` would be another module to import


def module_directory(roots: Roots) -> str:
    """Return the directory with the modules and indexes that are meant, as the system that is meant follows links."""
    return inside(roots.config_root, roots.modules)


def inside(root: str, path: str) -> str:
    """Return the path of a file of the system below `root`, as that system follows links: an absolute one is its own.

    Without a root, for a path that is not below it, and without a link on the way, that is the path itself. A link to
    /dev/null, which masks a file of configuration, leads to this machine's own: an image has an empty /dev.
    """
    if not root or not path.startswith(f"{root}/"):
        return path
    current, links = root, 0
    rest = path.removeprefix(root).split("/")[::-1]
    while rest:
        part = rest.pop()
        if part in ("", "."):
            continue
        if part == "..":
            current = current if current == root else current.rpartition("/")[0]
            continue
        try:
            target = posix.readlink(f"{current}/{part}") if links < MOST_LINKS else ""
        except (OSError, ValueError):  # no link, or nothing at all
            target = ""
        if target:
            links += 1
            current = root if target.startswith("/") else current
            rest += target.split("/")[::-1]
        else:
            current = f"{current}/{part}"
    if links and current == f"{root}/dev/null":
        return "/dev/null"
    return current if links else path


def can_reach(path: str, mode: int = posix.F_OK) -> bool:
    """Tell whether there surely is such a file, or with `mode` whether it may be read, written, searched.

    It raises nothing where there is none: to make an exception takes longer than to ask. But a sandbox that does not
    know the system call makes it say no to everything.
    """
    try:
        return posix.access(path, mode, effective_ids=True)
    except ValueError:  # a NUL in the path
        return False


def open_file(path: str, flags: int = _NO_WAIT) -> int:
    """Open an existing file for reading; return its descriptor. Raises `FileError`."""
    try:
        return posix.open(path, flags)
    except OSError as error:
        raise FileError.of(error, path) from None
    except ValueError as error:  # a NUL in the path
        raise FileError(str(error), path=path, errno=errno.ENOENT) from None


def open_image(path: str) -> OwnedFileSource:
    """Open the image of a kernel or of an initial file system. Raises `FileError`, also for what is no regular file.

    Some regular files have no end, as /proc/kcore and sparse ones: images of more than MOST_IMAGE_BYTES are refused.
    """
    from _stat import S_ISREG

    from ..formats.source import OwnedFileSource

    fd = open_file(path)
    source = OwnedFileSource(fd, path)
    if not S_ISREG(posix.fstat(fd).st_mode):
        raise FileError("no regular file: a directory, a device or a pipe is no image", path=path, errno=errno.EINVAL)
    if source.size > MOST_IMAGE_BYTES:
        raise FileError(posix.strerror(errno.EFBIG), path=path, errno=errno.EFBIG)
    return source


def read_file(path: str) -> bytes:
    """Return a file's bytes. Raises `FileError`, also for more than LIMIT bytes."""
    return _read_and_close(open_file(path), path, read_all)


def read_chosen(path: str) -> bytes:
    """Return what `read_file` does of a file that somebody named, who may write to it: a pipe is read to its end.

    It may block. For files of the user's choice alone; what lies in a place where files are looked for is no choice.
    """
    return _read_and_close(open_file(path, _FLAGS), path, _read_to_end)


def _read_and_close(fd: int, path: str, read: Callable[[int], bytes]) -> bytes:
    try:
        return read(fd)
    except OSError as error:
        raise FileError.of(error, path) from None
    finally:
        posix.close(fd)


def read_all(fd: int) -> bytes:
    """Return everything from an open descriptor (files of /proc and /sys have no size).

    Raises OSError, also for more than LIMIT bytes, and for a pipe.
    """
    status = posix.fstat(fd)
    if status.st_mode & _TYPE == _PIPE:
        raise OSError(errno.ESPIPE, "a pipe, and no file")
    if status.st_size > LIMIT:
        raise OSError(errno.EFBIG, posix.strerror(errno.EFBIG))
    return _read_to_end(fd, max(status.st_size, 1 << 16))


def _read_to_end(fd: int, length: int = 1 << 16) -> bytes:
    pieces = []
    room = LIMIT
    while piece := posix.read(fd, length):
        pieces.append(piece)
        room -= len(piece)
        if room < 0:
            raise OSError(errno.EFBIG, posix.strerror(errno.EFBIG))
    return b"".join(pieces)


def read_or_none(path: str) -> bytes | None:
    """Return a file's bytes, or None when there is no such file. Raises `FileError` for anything else."""
    return _read_or_none(path, read_all)


def read_attribute(path: str) -> bytes | None:
    """Return what `read_or_none` does of a file of /sys, which has a page at most: one read is enough."""
    return _read_or_none(path, _read_page)


def _read_page(fd: int) -> bytes:
    return posix.read(fd, MOST_ATTRIBUTE_BYTES)


def _read_or_none(path: str, read: Callable[[int], bytes]) -> bytes | None:
    try:
        fd = posix.open(path, _NO_WAIT)
    except (FileNotFoundError, NotADirectoryError, ValueError):  # the last for a NUL in the path
        return None  # no error is made for it: that takes longer than to open the file
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:  # no file has such a name
            return None
        raise FileError.of(error, path) from None
    return _read_and_close(fd, path, read)


def file_stamp(path: str) -> FileStamp:
    """Return what shows that a file was replaced or changed; None for one that is not there."""
    try:
        found = posix.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
