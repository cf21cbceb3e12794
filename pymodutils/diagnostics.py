# SPDX-License-Identifier: LGPL-2.1-or-later
"""What was wrong and did not stop the work, as values; what did stop it is an exception (errors.py)."""

from __future__ import annotations

from .records import Record

ERROR, WARNING, NOTE = "error", "warning", "note"
"""The words of `Diagnostic.severity`."""


class Diagnostic(Record):
    """One thing that was wrong and did not stop the work.

    `code` is one word for its kind, which never changes; `severity` is `error`, `warning` or `note`; `text` says in
    English what is wrong. `module`, `file` and `line` say where. `subject` is the word, key or symbol that is wrong.
    `errno` is the operating system's answer. Each is None where there is none.
    """

    code: str
    severity: str
    text: str
    module: str | None = None
    file: str | None = None
    line: int | None = None
    subject: str | None = None
    errno: int | None = None


class Place(Record):
    """Where a rule stands, and what stands there.

    `line` is None where lines have no number (the kernel command line).
    """

    file: str
    line: int | None
    text: str

    @property
    def origin(self) -> str:
        """The place as `FILE:LINE`, or only the file where lines have no number."""
        return f"{self.file}:{self.line}" if self.line else self.file


class Evidence(Record):
    """One fact that an answer rests on: what was seen, `text`, and where, `source` (a file, the kernel log)."""

    source: str
    text: str
