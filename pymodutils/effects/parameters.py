# SPDX-License-Identifier: LGPL-2.1-or-later
"""Write parameters of modules in the running kernel."""

from __future__ import annotations

import errno
import posix

from ..errors import FileError
from ..names import encode, normalize_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..roots import Roots


def parameter_path(roots: Roots, module: str, parameter: str) -> str:
    """Return the path of a parameter's file in /sys."""
    return f"{roots.sys}/module/{normalize_name(module)}/parameters/{parameter}"


def write_parameter(roots: Roots, module: str, parameter: str, value: str) -> None:
    """Give a parameter a value, without a newline, which would become part of a text. Raises `FileError`."""
    path = parameter_path(roots, module, parameter)
    try:
        fd = posix.open(path, posix.O_WRONLY | posix.O_TRUNC | posix.O_CLOEXEC)
        try:
            data = encode(value) or b"\n"  # nothing at all would not reach the kernel
            if posix.write(fd, data) < len(data):  # a page at most reaches it, as a value of its own
                raise OSError(errno.EFBIG, "longer than the kernel takes at once")
        finally:
            posix.close(fd)
    except OSError as error:
        raise FileError.of(error, path) from None
