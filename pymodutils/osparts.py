# SPDX-License-Identifier: LGPL-2.1-or-later
"""The few parts of `os` that the everyday commands need and the builtin `posix` does not have.

To import `os` takes as long as a fifth of a bare interpreter's whole start (docs/architecture.md, "Start-up is a
feature"). System calls come from `posix`, which is what `os` has them from.
"""

from __future__ import annotations

import posix
import sys
from _stat import S_ISDIR, S_ISREG  # `stat` is this one and constants in Python

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from typing_extensions import TypeIs


def encode(text: str) -> bytes:
    """Return the bytes of a file name or a variable, as `os.fsencode` does."""
    return text.encode(sys.getfilesystemencoding(), sys.getfilesystemencodeerrors())


def decode(data: bytes) -> str:
    """Return the text of a file name or a variable, as `os.fsdecode` does."""
    return data.decode(sys.getfilesystemencoding(), sys.getfilesystemencodeerrors())


def is_path_like(value: object) -> TypeIs[os.PathLike[str]]:
    """Tell whether a value is an `os.PathLike`, a `pathlib.Path` for instance."""
    return hasattr(type(value), "__fspath__")


def basename(path: str) -> str:
    """Return what follows the last slash, as `os.path.basename` does."""
    return path.rpartition("/")[2]


def absolute(path: str) -> str:
    """Return the path from the root, with nothing resolved: `../x` in /tmp is `/tmp/../x`."""
    return path if path.startswith("/") else f"{_working_directory()}/{path}"


def _working_directory() -> str:
    """Return the way by which the shell came to the working directory ($PWD), as kmod does, if it still leads there."""
    try:
        way = environ().get("PWD", "")
        if way.startswith("/") and _is_same(posix.stat(way), posix.stat(".")):
            return way
    except (OSError, ValueError):
        pass
    try:
        return posix.getcwd()
    except OSError as error:  # it is gone
        raise OSError(error.errno, error.strerror, "the working directory") from None


def _is_same(one: posix.stat_result, other: posix.stat_result) -> bool:
    return (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino)


def exists(path: str) -> bool:
    """Tell whether there is something at the end of a path, as `os.path.exists` does."""
    return _mode(path) is not None


def is_file(path: str) -> bool:
    """Tell whether a path leads to a regular file, as `os.path.isfile` does."""
    mode = _mode(path)
    return mode is not None and S_ISREG(mode)


def is_directory(path: str) -> bool:
    """Tell whether a path leads to a directory, as `os.path.isdir` does."""
    mode = _mode(path)
    return mode is not None and S_ISDIR(mode)


def _mode(path: str) -> int | None:
    try:
        return posix.stat(path).st_mode
    except (OSError, ValueError):  # ValueError: a NUL in the path
        return None


def environ() -> Mapping[str, str]:
    """Return the environment variables: `os.environ` if something has imported `os`, which may have changed them."""
    if "os" in sys.modules:
        known: Mapping[str, str] = sys.modules["os"].environ
        return known
    return {decode(name): decode(value) for name, value in posix.environ.items()}
