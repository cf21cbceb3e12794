# SPDX-License-Identifier: LGPL-2.1-or-later
"""A command's results on standard output, its messages on standard error or in syslog, and how it ends."""

from __future__ import annotations

import errno
import posix
import sys

from ..errors import MissingTreeError
from ..osparts import environ

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import BinaryIO, Protocol

    from ..diagnostics import Diagnostic
    from ..errors import Error

    class MessageStream(Protocol):
        """What a console needs of a stream for its messages."""

        def write(self, data: bytes, /) -> object:
            """Take bytes."""
            ...

        def flush(self) -> object:
            """Hand them on."""
            ...

        def isatty(self) -> bool:
            """Tell whether a person sees them."""
            ...


# Severities of syslog(3); a message appears when its severity is at most the console's level.
CRITICAL, ERROR, WARNING, NOTICE = 2, 3, 4, 5
SILENT = 0

EXPLAIN = "PYMODUTILS_EXPLAIN"
"""Environment variable with the value of --explain for commands that do not have the option."""

KMSG = "/dev/kmsg"  # also in state.kernellog, which a command that loads a module has no time to import
_SEEK_END = 2  # as in `io`, which the interpreter has not imported by itself since Python 3.14
MOST_NEW_RECORDS = 200
"""Records of the kernel's log that are looked through after a success."""

_LABELS = {CRITICAL: "FATAL", ERROR: "ERROR", WARNING: "WARNING", NOTICE: "NOTICE"}


class OutputError(OSError):
    """Standard output cannot be written to. No `Error`: it ends the command, whatever it is working on."""


class CommandExit(Exception):
    """Ends the command with `status`; everything has been said. `reason` is what was said, for a document to repeat."""

    def __init__(self, status: int, reason: str | None = None) -> None:
        super().__init__(status)
        self.status = status
        self.reason = reason


class Console:
    """The standard output and error of one command called `name` (`argv0` as the user typed it).

    Text is written as the bytes it was read from, whatever they are. With `syslog` set, messages go there instead.
    """

    def __init__(
        self, argv0: str, stdout: BinaryIO | None = None, stderr: BinaryIO | None = None, *, level: int = WARNING
    ) -> None:
        self.argv0 = argv0
        self.name: str = argv0.rpartition("/")[2]
        self.level = level
        self.syslog = False
        self._stdout = stdout
        self._stderr: MessageStream | None = stderr
        self._broken = False
        self._unusable_indexes: set[str] = set()
        self._status = False  # whether a status line is shown
        self._hinted = False  # whether a hint was shown
        self.explains_all: bool = False
        """Whether failures are explained also where the message says it all."""
        self.log_position: int | None = None
        """A descriptor of the kernel's log that stands where it ended at `mark_kernel_log`."""

    @classmethod
    def standard(cls, argv0: str) -> Console:
        """Return the console of this process; a closed standard error means syslog."""
        console = cls(
            argv0,
            sys.stdout.buffer if sys.stdout is not None else None,
            sys.stderr.buffer if sys.stderr is not None else None,
        )
        console.syslog = sys.stderr is None
        return console

    def redirect(self, stdout: BinaryIO, stderr: MessageStream) -> None:
        """Print to other streams from now on."""
        self._stdout, self._stderr = stdout, stderr

    def write(self, text: str) -> None:
        """Print `text` as it is. Raises `OutputError`."""
        self.status_line("")
        if self._stdout is None:
            raise self._failed(OSError(errno.EBADF, posix.strerror(errno.EBADF)))
        try:
            self._stdout.write(text_bytes(text))
        except OSError as error:
            raise self._failed(error) from None

    def flush(self) -> None:
        """Hand everything printed to the operating system. Raises `OutputError`, once."""
        self.status_line("")
        if self._stdout is not None and not self._broken:
            try:
                self._stdout.flush()
            except OSError as error:
                raise self._failed(error) from None

    def _failed(self, error: OSError) -> OutputError:
        self._broken = True
        return OutputError(error.errno, error.strerror)

    def write_stderr_line(self, line: str) -> None:
        """Print a line that has a form of its own (getopt's sentences) on standard error."""
        self.status_line("")
        self._to_stderr(text_bytes(escape_control(line)) + b"\n")

    def _to_stderr(self, data: bytes) -> None:
        if self._stderr is not None:
            try:
                self._stderr.write(data)
                self._stderr.flush()
            except OSError:
                pass  # nobody is left to be told, and work goes on

    def log(self, severity: int, text: str) -> None:
        """Print a message of one line, or send it to syslog."""
        if severity > self.level:
            return
        if self.syslog:
            self._to_syslog(severity, f"{_LABELS[severity]}: {escape_control(text)}")
        else:
            self.write_stderr_line(f"{self.name}: {_LABELS[severity]}: {text}")

    def _to_syslog(self, severity: int, text: str) -> None:
        import syslog

        syslog.openlog(escape_surrogates(self.name), syslog.LOG_CONS, syslog.LOG_DAEMON)
        syslog.syslog(severity, escape_surrogates(text) + "\n")  # as kmod, whose messages end so everywhere

    def fatal(self, text: str) -> None:
        """Report what ends the command; the caller returns 1."""
        self.log(CRITICAL, text)

    def error(self, text: str) -> None:
        """Report a failure."""
        self.log(ERROR, text)

    def warning(self, text: str) -> None:
        """Report what the user should know although work goes on."""
        self.log(WARNING, text)

    def on_problem(self, problem: Diagnostic) -> None:
        """Report an index that cannot be used; work goes on without it, as far as that leads."""
        if problem.code == "unusable-index":  # of no module directory the command itself says that nothing is found
            self._unusable_index(f"{problem.file}: {problem.text}")

    def on_index_error(self, error: Error) -> None:
        """Report an index that cannot be used, as `on_problem` does."""
        if not isinstance(error, MissingTreeError):
            self._unusable_index(str(error))

    def _unusable_index(self, text: str) -> None:
        """Report an index once."""
        if text not in self._unusable_indexes:
            self._unusable_indexes.add(text)
            self.error(text)

    def hint(self, text: str, *, says_enough: bool = True) -> None:
        """Print a line that helps a person at a terminal. Nobody else sees it.

        `says_enough` spares an explanation of the failure.
        """
        if self.helps_a_person():
            self._hinted = self._hinted or says_enough
            self.write_stderr_line(f"  {text}")

    def helps_a_person(self) -> bool:
        """Tell whether hints are shown."""
        return not self.syslog and self.has_terminal()

    def has_terminal(self) -> bool:
        """Tell whether somebody sees messages as they come; the terminal that dpkg gives to scripts is a log."""
        return self._stderr is not None and self._stderr.isatty() and "DPKG_MAINTSCRIPT_NAME" not in environ()

    def explains(self, when: str) -> bool:
        """Tell whether failures are explained: `when` is what --explain says, empty without it."""
        when = when or environ().get(EXPLAIN, "")
        self.explains_all = when == "always"
        return self.explains_all or (when != "never" and self.helps_a_person())

    def has_hinted(self) -> bool:
        """Tell whether a hint since the last such question says enough, so that nothing else is to be explained."""
        hinted, self._hinted = self._hinted, False
        return hinted and not self.explains_all

    def mark_kernel_log(self) -> None:
        """Remember where the kernel's log ends before something is tried that may fail; this takes microseconds."""
        if self.log_position is not None:
            posix.close(self.log_position)
            self.log_position = None
        try:
            self.log_position = posix.open(KMSG, posix.O_RDONLY | posix.O_NONBLOCK | posix.O_CLOEXEC)
            posix.lseek(self.log_position, 0, _SEEK_END)
        except OSError:
            pass  # it cannot be read here, which an explanation will say

    def records_since_mark(self) -> list[bytes]:
        """Return what the kernel's log got since `mark_kernel_log`, as records of /dev/kmsg."""
        records: list[bytes] = []
        try:
            while self.log_position is not None and len(records) < MOST_NEW_RECORDS:
                records.append(posix.read(self.log_position, 8192))
        except OSError:  # the end, or records that were overwritten
            pass
        return records

    def shows_colour(self) -> bool:
        """Tell whether results may be coloured: a person sees them, whose terminal can, and who did not forbid it."""
        return (
            self._stdout is not None
            and self._stdout.isatty()
            and not environ().get("NO_COLOR")
            and environ().get("TERM", "dumb") != "dumb"
        )

    def status_line(self, text: str) -> None:
        """Show `text` on the terminal's last line in place of what it showed before; without text it disappears.

        It also disappears before the next message. A terminal that cannot move its cursor shows nothing of this.
        """
        if (text or self._status) and environ().get("TERM", "dumb") != "dumb":
            self._status = bool(text)
            line = f"{self.name}: {escape_control(text)}" if text else ""
            self._to_stderr(b"\r" + text_bytes(line) + b"\x1b[K")

    @property
    def command(self) -> str:
        """The command as one calls it: its name, or `kmod NAME`."""
        typed = self.argv0.rpartition("/")[2]
        return self.name if typed == self.name else f"{self.name} {typed}"

    def typed_name(self) -> str:
        """Return the command's name as getopt prints it.

        The kernel replaces argv[0] of a script by its full path, so a command found through PATH is named as it was
        typed: without the directory.
        """
        directory, _, name = self.argv0.rpartition("/")
        return name if directory in environ().get("PATH", "").split(":") else self.argv0


def text_bytes(text: str) -> bytes:
    """Return the bytes that text was read from, whatever they are."""
    return text.encode("utf-8", "surrogateescape")


def escape_control(text: str) -> str:
    """Escape what is not printable, so that a name cannot forge lines, move the cursor, or turn the text.

    Tabs stay, and so do bytes that are no UTF-8, but for those that are control characters in older terminals.
    """
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() or char == "\t" or "\udca0" <= char <= "\udcff" else _escaped(char) for char in text
    )


def _escaped(char: str) -> str:
    code = ord(char)
    if 0xDC80 <= code < 0xDD00:
        code -= 0xDC00  # the byte that this surrogate stands for
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def escape_surrogates(text: str) -> str:
    """Escape stray bytes, which are no text to the C library's callers: each is shown as `\\udcNN`."""
    return text.encode("utf-8", "backslashreplace").decode()
