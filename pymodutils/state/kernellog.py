# SPDX-License-Identifier: LGPL-2.1-or-later
"""The kernel log of this boot, as far as this process may read it.

/dev/kmsg is read without waiting. Where it cannot be opened (no such file in a container), syslog(2) is asked; where
that is forbidden as well (`dmesg_restrict`, no CAP_SYSLOG), the log has no records and a `problem` that says so.
A line that still lacks its newline cannot be read by anybody (docs/behaviour/7-kernel-facts.md, fact 15).
"""

from __future__ import annotations

import errno
import os

from ..formats.kernellog import parse_kmsg, parse_log_text
from ..records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..formats.kernellog import LogRecord

KMSG = "/dev/kmsg"
KERNEL_LOG = "kernel log"
"""The source of evidence from here."""

MOST_RECORDS = 1 << 17
"""Records to read: a log that grows while it is read has an end all the same. The largest log buffer has fewer."""
_RECORD_BYTES = 1 << 13  # PRINTK_MESSAGE_MAX is 2048; escapes take four times as much


class KernelLog(Record):
    """What was read of the kernel log, oldest first.

    `problem` says why it could not be read, None if it could. `lost` tells that the kernel had overwritten records
    before they were read. `is_since_call` tells that all of them are younger than the call in question.
    """

    records: tuple[LogRecord, ...]
    problem: str | None = None
    lost: bool = False
    is_since_call: bool = False


def read_kernel_log(position: int | None = None) -> KernelLog:
    """Read the log: all of it, or what came after `position`, a descriptor of /dev/kmsg that was left at its end then.

    The descriptor stays open.
    """
    if position is not None:
        return _read_kmsg(position).replace(is_since_call=True)
    try:
        fd = os.open(KMSG, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        return _read_text(error)
    try:
        return _read_kmsg(fd)
    finally:
        os.close(fd)


def _read_kmsg(fd: int) -> KernelLog:
    records: list[LogRecord] = []
    lost = False
    for _ in range(MOST_RECORDS):
        try:
            data = os.read(fd, _RECORD_BYTES)
        except OSError as error:
            if error.errno == errno.EPIPE:  # overwritten meanwhile; the next read goes on behind the gap
                lost = True
                continue
            if error.errno == errno.EAGAIN:
                return KernelLog(tuple(records), None, lost)
            return KernelLog(tuple(records), _why(error), lost)
        if not data:
            break
        records += parse_kmsg(data)
    return KernelLog(tuple(records), None, lost)


def _read_text(refusal: OSError) -> KernelLog:
    """Ask syslog(2) for the log after /dev/kmsg was refused."""
    from .. import querycalls

    try:
        data = querycalls.read_kernel_log()
    except OSError as error:
        return KernelLog((), _why(refusal if error.errno == errno.ENOSYS else error))
    return KernelLog(tuple(parse_log_text(data)))


def _why(error: OSError) -> str:
    if error.errno in (errno.EPERM, errno.EACCES):
        return "the kernel log may not be read without CAP_SYSLOG (kernel.dmesg_restrict)"
    return f"the kernel log cannot be read: {error.strerror or error}"
