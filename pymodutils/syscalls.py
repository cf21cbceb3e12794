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

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from socket import socket

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


_found: dict[int, tuple[Callable[..., int], tuple[ctypes.c_long, ...]]] = {}
"""The function for each call that was made, and what it takes before its own arguments: the number, or nothing."""


def _find(which: int) -> tuple[Callable[..., int], tuple[ctypes.c_long, ...]]:
    """Find the function for a call: libc's symbol when libc has one, else its `syscall`. Raises OSError (ENOSYS)."""
    function = getattr(_libc, _SYMBOLS[which], None)
    before: tuple[ctypes.c_long, ...] = ()
    if function is None:
        table = numbers(os.uname().machine, ctypes.sizeof(ctypes.c_void_p) * 8)
        if table is None:
            raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
        function = _libc.syscall
        before = (ctypes.c_long(table[which]),)
    function.restype = ctypes.c_long
    return function, before


def _call(which: int, *arguments: object) -> None:
    """Make the call. Raises OSError with the kernel's errno."""
    if which not in _found:
        _found[which] = _find(which)
    function, before = _found[which]
    if function(*before, *arguments) != 0:
        answer = ctypes.get_errno()
        raise OSError(answer, os.strerror(answer))


def init_module(image: bytes, parameters: bytes) -> None:
    """Load the module whose bytes are `image`. Raises OSError."""
    _call(_INIT, image, ctypes.c_ulong(len(image)), parameters)


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
_DRVINFO_SIZE, _IFREQ_SIZE = 196, 40
_PIDFD_GETFD = {"alpha": 548}.get(os.uname().machine, 438)
_CLONE_NEWNET = 0x40000000
_DM_TABLE_STATUS, _DM_STATUS_TABLE_FLAG = 0xC138FD0C, 1 << 4
_DM_HEADER, _DM_TARGET, _DM_ROOM = 312, 40, 1 << 16


def interface_driver(interface: str, asker: socket | None = None) -> str | None:
    """Return the name by which the driver of a network interface calls itself; None when the kernel does not say.

    It asks in the network namespace of the socket `asker`, by default that of the calling thread. Source:
    include/uapi/linux/ethtool.h.
    """
    import fcntl
    from socket import AF_INET, SOCK_CLOEXEC, SOCK_DGRAM, socket

    answer = ctypes.create_string_buffer(_DRVINFO_SIZE)
    ctypes.memmove(answer, _ETHTOOL_GDRVINFO.to_bytes(4, sys.byteorder), 4)
    pointer = ctypes.addressof(answer).to_bytes(ctypes.sizeof(ctypes.c_void_p), sys.byteorder)
    request = os.fsencode(interface)[:15].ljust(16, b"\0") + pointer
    try:
        with asker.dup() if asker else socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC) as used:
            fcntl.ioctl(used, _SIOCETHTOOL, request.ljust(_IFREQ_SIZE, b"\0"))
    except OSError:
        return None
    return os.fsdecode(answer.raw[4:36].partition(b"\0")[0]) or None


def socket_in(namespace: str) -> socket:
    """Return a socket in the network namespace of a file (/proc/PID/ns/net). Raises OSError.

    A thread of its own goes there, so that the caller stays where it is.
    """
    from socket import AF_INET, SOCK_CLOEXEC, SOCK_DGRAM, socket
    from threading import Thread

    results: list[socket | OSError] = []

    def make() -> None:
        try:
            fd = os.open(namespace, os.O_RDONLY | os.O_CLOEXEC)
            try:
                if _libc.setns(ctypes.c_int(fd), ctypes.c_int(_CLONE_NEWNET)):
                    number = ctypes.get_errno()
                    raise OSError(number, os.strerror(number))
            finally:
                os.close(fd)
            results.append(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC))
        except OSError as error:
            results.append(error)

    thread = Thread(target=make)
    thread.start()
    thread.join()
    (result,) = results
    if isinstance(result, OSError):
        raise result
    return result


def borrow_descriptor(pid: int, fd: int) -> int:
    """Return a copy of a descriptor of another process. Raises OSError; the caller has to be allowed to trace it."""
    process = os.pidfd_open(pid)
    try:
        number_of_call = ctypes.c_long(_PIDFD_GETFD)
        copy: int = _libc.syscall(number_of_call, ctypes.c_int(process), ctypes.c_int(fd), ctypes.c_uint(0))
    finally:
        number = ctypes.get_errno()
        os.close(process)
    if copy < 0:
        raise OSError(number, os.strerror(number))
    return copy


def mapping_targets(name: str) -> list[str] | None:
    """Return the kinds of targets in the table of a mapping of device-mapper; None when the kernel does not say.

    Source: include/uapi/linux/dm-ioctl.h.
    """
    import fcntl
    import struct

    request = bytearray(_DM_ROOM)
    struct.pack_into("=8I", request, 0, 4, 0, 0, _DM_ROOM, _DM_HEADER, 0, 0, _DM_STATUS_TABLE_FLAG)
    request[48 : 48 + len(os.fsencode(name)[:127])] = os.fsencode(name)[:127]
    try:
        fd = os.open("/dev/mapper/control", os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.ioctl(fd, _DM_TABLE_STATUS, request)
    except OSError:
        return None
    finally:
        os.close(fd)
    start, count = struct.unpack_from("=II", request, 16)
    found, at = [], start
    for _ in range(count):
        following = int.from_bytes(request[at + 20 : at + 24], sys.byteorder)
        found.append(os.fsdecode(bytes(request[at + 24 : at + 40]).partition(b"\0")[0]))
        at = start + following  # it counts from the first target
    return found
