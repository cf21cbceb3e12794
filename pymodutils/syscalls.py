# SPDX-License-Identifier: LGPL-2.1-or-later
"""The three system calls on modules, the one that reads the kernel log, and what verbs ask the kernel by ioctl.

This is the only module that imports ctypes, which takes 3 ms.

Source: kernel/module/main.c; numbers from arch/*/entry/syscalls/*.tbl and include/uapi/asm-generic/unistd.h.
"""

from __future__ import annotations

import ctypes
import errno
import os
import sys

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
"""The numbers of init_module, delete_module and finit_module, by `os.uname().machine`."""

# MIPS has one table per calling convention and one machine name; the pointer size tells o32 from n64.
_MIPS_O32 = (4128, 4129, 4348)
_MIPS_N64 = (5168, 5169, 5307)

# A 32-bit program on a 64-bit kernel calls by its own table, not by the kernel's machine name.
_COMPAT_32BIT = {"x86_64": "i686", "aarch64": "armv7l", "ppc64": "ppc"}

_INIT, _DELETE, _FINIT = range(3)
_SYMBOLS = ("init_module", "delete_module", "finit_module")

_libc = ctypes.CDLL(None, use_errno=True)


def numbers(machine: str, pointer_bits: int) -> tuple[int, int, int] | None:
    """Return the numbers of init_module, delete_module and finit_module, or None for an unknown machine."""
    if machine.startswith("mips"):
        return _MIPS_N64 if pointer_bits == 64 else _MIPS_O32
    if pointer_bits == 32:
        machine = _COMPAT_32BIT.get(machine, machine)
    return NUMBERS.get(machine)


def _call(which: int, *arguments: object) -> None:
    """Make the call by libc's symbol when libc has one, else by number. Raises OSError with the kernel's errno."""
    function = getattr(_libc, _SYMBOLS[which], None)
    if function is None:
        table = numbers(os.uname().machine, ctypes.sizeof(ctypes.c_void_p) * 8)
        if table is None:
            raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
        function = _libc.syscall
        arguments = (ctypes.c_long(table[which]), *arguments)
    function.restype = ctypes.c_long
    if function(*arguments) != 0:
        answer = ctypes.get_errno()
        raise OSError(answer, os.strerror(answer))


def init_module(image: bytes, parameters: bytes) -> None:
    """Load the module whose bytes are `image`. Raises OSError."""
    _call(_INIT, ctypes.c_char_p(image), ctypes.c_ulong(len(image)), ctypes.c_char_p(parameters))


def finit_module(fd: int, parameters: bytes, flags: int = 0) -> None:
    """Load the module file that is open as `fd`. Raises OSError.

    `flags` is a sum of `IGNORE_MODVERSIONS`, `IGNORE_VERMAGIC` and `COMPRESSED_FILE`.
    """
    _call(_FINIT, ctypes.c_int(fd), ctypes.c_char_p(parameters), ctypes.c_int(flags))


def delete_module(name: bytes, flags: int) -> None:
    """Unload a module. Raises OSError.

    `flags` is a sum of `os.O_NONBLOCK` and `os.O_TRUNC`; the second forces the removal.
    """
    _call(_DELETE, ctypes.c_char_p(name), ctypes.c_uint(flags))


_READ_ALL, _BUFFER_SIZE = 3, 10  # actions of syslog(2)
_MOST_LOG_BYTES = 1 << 24


def read_kernel_log() -> bytes:
    """Return the text of the kernel log by syslog(2), which the C library calls klogctl. Raises OSError."""
    function = getattr(_libc, "klogctl", None)
    if function is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    function.restype = ctypes.c_int
    size = function(ctypes.c_int(_BUFFER_SIZE), None, ctypes.c_int(0))
    if size >= 0:
        buffer = ctypes.create_string_buffer(min(size, _MOST_LOG_BYTES) + 1)
        size = function(ctypes.c_int(_READ_ALL), buffer, ctypes.c_int(len(buffer) - 1))
        if size >= 0:
            return buffer.raw[:size]
    answer = ctypes.get_errno()
    raise OSError(answer, os.strerror(answer))


# --- what verbs ask the kernel; none of it changes anything

_SIOCETHTOOL, _ETHTOOL_GDRVINFO = 0x8946, 0x03
_DRVINFO_SIZE = 196


def interface_driver(interface: str) -> str | None:
    """Return the name by which the driver of a network interface calls itself; None when the kernel does not say.

    It asks about the network namespace of the calling thread. Source: include/uapi/linux/ethtool.h.
    """
    import fcntl
    import socket

    answer = ctypes.create_string_buffer(_DRVINFO_SIZE)
    ctypes.memmove(answer, _ETHTOOL_GDRVINFO.to_bytes(4, sys.byteorder), 4)
    request = os.fsencode(interface)[:15].ljust(16, b"\0") + ctypes.addressof(answer).to_bytes(
        ctypes.sizeof(ctypes.c_void_p), sys.byteorder
    )
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as asker:
            fcntl.ioctl(asker, _SIOCETHTOOL, request.ljust(40, b"\0"))
    except OSError:
        return None
    return os.fsdecode(answer.raw[4:36].partition(b"\0")[0]) or None
