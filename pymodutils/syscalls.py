# SPDX-License-Identifier: LGPL-2.1-or-later
"""The three system calls on modules.

`ctypes` takes as long to import as half of a bare interpreter's start, so that its core `_ctypes` is used here, by the
names that `ctypes` itself takes from there.

Source: kernel/module/main.c; numbers from arch/*/entry/syscalls/*.tbl and include/uapi/asm-generic/unistd.h.
"""

from __future__ import annotations

import errno
import posix
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

IGNORE_MODVERSIONS = 1
"""Flag of `finit_module`: load a module whose symbol versions are not the kernel's."""
IGNORE_VERMAGIC = 2
"""Flag of `finit_module`: load a module that was built for another kernel version."""
COMPRESSED_FILE = 4
"""Flag of `finit_module`: the kernel decompresses the file itself."""

_GENERIC = (105, 106, 273)
_I386 = (128, 129, 350)
_ARM = (128, 129, 379)
_PPC = (128, 129, 353)
NUMBERS: dict[str, tuple[int, int, int]] = {
    "x86_64": (175, 176, 313),
    "i386": _I386,
    "i486": _I386,
    "i586": _I386,
    "i686": _I386,
    "armv6l": _ARM,
    "armv7l": _ARM,
    "armv8l": _ARM,
    "aarch64": _GENERIC,
    "riscv64": _GENERIC,
    "riscv32": _GENERIC,
    "loongarch64": _GENERIC,
    "ppc": _PPC,
    "ppc64": _PPC,
    "ppc64le": _PPC,
    "s390x": (128, 129, 344),
    "sparc64": (190, 222, 342),
}
"""The numbers of init_module, delete_module and finit_module, by `posix.uname().machine`."""

# MIPS has one table per calling convention and one machine name; the pointer size tells o32 from n64.
_MIPS_O32 = (4128, 4129, 4348)
_MIPS_N64 = (5168, 5169, 5307)

# A 32-bit program on a 64-bit kernel calls by its own table, not by the kernel's machine name.
_COMPAT_32BIT = {"x86_64": "i686", "aarch64": "armv7l", "ppc64": "ppc"}

_INIT, _DELETE, _FINIT = range(3)
_SYMBOLS = ("init_module", "delete_module", "finit_module")

try:
    from _ctypes import FUNCFLAG_CDECL, FUNCFLAG_USE_ERRNO, CFuncPtr, _SimpleCData, dlopen, dlsym, get_errno

    _libc = dlopen(None, 0)  # type: ignore[arg-type]  # None is the program itself, with its C library

    class _Long(_SimpleCData):  # type: ignore[type-arg]
        """A C long: the kernel takes each number as one."""

        _type_ = "l"

    class _Function(CFuncPtr):
        _flags_ = FUNCFLAG_CDECL | FUNCFLAG_USE_ERRNO
        _restype_ = _Long

    def libc_function(name: str) -> Any:
        """Return a function of the C library that returns a long; None when there is none of that name."""
        try:
            return _Function(dlsym(_libc, name))
        except OSError:
            return None

except (ImportError, AttributeError, TypeError):  # a Python whose `ctypes` has another core
    import ctypes
    from ctypes import get_errno

    _Long = ctypes.c_long  # type: ignore[assignment, misc]

    def libc_function(name: str) -> Any:
        """Return a function of the C library that returns a long; None when there is none of that name."""
        function = getattr(ctypes.CDLL(None, use_errno=True), name, None)
        if function is not None:
            function.restype = ctypes.c_long
        return function


def numbers(machine: str, pointer_bits: int) -> tuple[int, int, int] | None:
    """Return the numbers of init_module, delete_module and finit_module, or None for an unknown machine."""
    if machine.startswith("mips"):
        return _MIPS_N64 if pointer_bits == 64 else _MIPS_O32
    if pointer_bits == 32:
        machine = _COMPAT_32BIT.get(machine, machine)
    return NUMBERS.get(machine)


_found: dict[int, tuple[Callable[..., int], tuple[_Long, ...]]] = {}
"""The function for each call that was made, and what it takes before its own arguments: the number, or nothing."""


def _find(which: int) -> tuple[Callable[..., int], tuple[_Long, ...]]:
    """Find the function for a call: libc's symbol when libc has one, else its `syscall`. Raises OSError (ENOSYS)."""
    function = libc_function(_SYMBOLS[which])
    if function is not None:
        return function, ()
    table = numbers(posix.uname().machine, 64 if sys.maxsize > 1 << 32 else 32)
    if table is None:
        raise OSError(errno.ENOSYS, posix.strerror(errno.ENOSYS))
    return libc_function("syscall"), (_Long(table[which]),)


def _call(which: int, *arguments: object) -> None:
    """Make the call. Raises OSError with the kernel's errno."""
    if which not in _found:
        _found[which] = _find(which)
    function, before = _found[which]
    if function(*before, *arguments) != 0:
        answer = get_errno()
        raise OSError(answer, posix.strerror(answer))


def init_module(image: bytes, parameters: bytes) -> None:
    """Load the module whose bytes are `image`. Raises OSError."""
    _call(_INIT, image, _Long(len(image)), parameters)


def finit_module(fd: int, parameters: bytes, flags: int = 0) -> None:
    """Load the module file that is open as `fd`. Raises OSError.

    `flags` is a sum of `IGNORE_MODVERSIONS`, `IGNORE_VERMAGIC` and `COMPRESSED_FILE`.
    """
    _call(_FINIT, fd, parameters, flags)


def delete_module(name: bytes, flags: int) -> None:
    """Unload a module. Raises OSError.

    `flags` is a sum of `os.O_NONBLOCK` and `os.O_TRUNC`; the second forces the removal.
    """
    _call(_DELETE, name, flags)
