# SPDX-License-Identifier: LGPL-2.1-or-later
"""System calls by which verbs ask the kernel; none of them changes anything. Only this module imports all of ctypes.

Source: include/uapi/linux/ethtool.h, dm-ioctl.h and asm-generic/unistd.h.
"""

from __future__ import annotations

import ctypes
import errno
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from socket import socket

_libc = ctypes.CDLL(None, use_errno=True)

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
