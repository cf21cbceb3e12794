# SPDX-License-Identifier: LGPL-2.1-or-later
"""Records of the kernel log, as /dev/kmsg and syslog(2) give them.

Source: Documentation/ABI/testing/dev-kmsg; kernel/printk/printk.c.
"""

from __future__ import annotations

from ..names import decode
from ..records import Record

MICROSECONDS = 1_000_000
MOST_DIGITS = 20


class LogRecord(Record):
    """One line of the kernel log: `seconds` since boot, None where the log does not tell, and its text."""

    seconds: float | None
    text: str


def parse_kmsg(data: bytes) -> list[LogRecord]:
    """Return the lines of one record of /dev/kmsg; none for what is no record.

    A record is `PRIORITY,SEQUENCE,MICROSECONDS,FLAGS[,...];TEXT`, with `\\xNN` for what is not printable; lines that
    begin with a space follow it and say which device it is about.
    """
    head, semicolon, rest = decode(data).partition(";")
    fields = head.split(",")
    if not semicolon or len(fields) < 3 or not fields[2].isdecimal() or len(fields[2]) > MOST_DIGITS:
        return []
    text = _unescape(rest.partition("\n")[0])
    return [LogRecord(int(fields[2]) / MICROSECONDS, line) for line in text.split("\n") if line]


def _unescape(text: str) -> str:
    """Return a text with `\\xNN` turned back into the characters that they stand for."""
    if "\\x" not in text:
        return text
    head, *pieces = text.split("\\x")
    out = [head.encode("utf-8", "surrogateescape")]
    for piece in pieces:
        try:
            out.append(bytes([int(piece[:2], 16)]) + piece[2:].encode("utf-8", "surrogateescape"))
        except ValueError:
            out.append(b"\\x" + piece.encode("utf-8", "surrogateescape"))
    return decode(b"".join(out))


def parse_log_text(data: bytes) -> list[LogRecord]:
    """Return the lines of the log as syslog(2) gives it: `<6>[   12.345678] text`; the time may be missing."""
    found: list[LogRecord] = []
    for line in decode(data).split("\n"):
        text = line.partition(">")[2] if line.startswith("<") else line
        seconds, rest = _time(text)
        if rest:
            found.append(LogRecord(seconds, rest))
    return found


def _time(text: str) -> tuple[float | None, str]:
    """Return the time that a line begins with, and what follows it."""
    stamp, bracket, rest = text.partition("]")
    number = stamp.removeprefix("[").strip()
    if not text.startswith("[") or not bracket or not number.replace(".", "", 1).isdecimal():
        return None, text
    while rest.startswith("["):  # some kernels name the caller as well
        rest = rest.partition("]")[2]
    return float(number), rest.removeprefix(" ")
