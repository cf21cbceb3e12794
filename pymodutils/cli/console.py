"""What a command says and where: results on standard output, messages on standard error or in syslog."""

from __future__ import annotations

import os
import sys

from ..names import encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import BinaryIO

# Severities of syslog(3); a message appears when its severity is at most the console's level.
CRITICAL, ERROR, WARNING, NOTICE, INFO, DEBUG = 2, 3, 4, 5, 6, 7
SILENT = 0

_LABELS = {CRITICAL: "FATAL", ERROR: "ERROR", WARNING: "WARNING", NOTICE: "NOTICE", INFO: "INFO", DEBUG: "DEBUG"}


class Console:
    """The standard output and error of one command called `name` (`argv0` as the user typed it).

    Text is written as the bytes it was read from, whatever they are. With `syslog` set, messages go there instead.
    """

    def __init__(
        self, argv0: str, stdout: BinaryIO | None = None, stderr: BinaryIO | None = None, *, level: int = WARNING
    ) -> None:
        self.argv0 = argv0
        self.name = argv0.rpartition("/")[2]
        self.level = level
        self.syslog = False
        self._stdout = stdout
        self._stderr = stderr

    @classmethod
    def standard(cls, argv0: str) -> Console:
        """The console of this process; a closed standard error means syslog."""
        console = cls(
            argv0,
            sys.stdout.buffer if sys.stdout is not None else None,
            sys.stderr.buffer if sys.stderr is not None else None,
        )
        console.syslog = sys.stderr is None
        return console

    def write(self, text: str) -> None:
        """Print `text` as it is. Raises OSError."""
        if self._stdout is None:
            raise OSError(9, os.strerror(9))  # EBADF
        self._stdout.write(encode(text))

    def flush(self) -> None:
        """Hand everything printed to the operating system. Raises OSError."""
        if self._stdout is not None:
            self._stdout.flush()

    def raw_error(self, line: str) -> None:
        """A line for standard error that has a form of its own (getopt's sentences)."""
        if self._stderr is not None:
            self._stderr.write(encode(printable(line)) + b"\n")
            self._stderr.flush()

    def log(self, severity: int, text: str) -> None:
        """A message of one line."""
        if severity > self.level:
            return
        if self.syslog:
            self._to_syslog(severity, f"{_LABELS[severity]}: {printable(text)}")
        else:
            self.raw_error(f"{self.name}: {_LABELS[severity]}: {text}")

    def _to_syslog(self, severity: int, text: str) -> None:
        import syslog

        syslog.openlog(self.name, syslog.LOG_CONS, syslog.LOG_DAEMON)
        syslog.syslog(severity, text)

    def fatal(self, text: str) -> None:
        """What ends the command; the caller returns 1."""
        self.log(CRITICAL, text)

    def error(self, text: str) -> None:
        """A failure."""
        self.log(ERROR, text)

    def warning(self, text: str) -> None:
        """Something the user should know although work goes on."""
        self.log(WARNING, text)

    def notice(self, text: str) -> None:
        """Something shown with -v."""
        self.log(NOTICE, text)

    def info(self, text: str) -> None:
        """Something shown with -vv."""
        self.log(INFO, text)

    def debug(self, text: str) -> None:
        """Something shown with -vvv."""
        self.log(DEBUG, text)

    def status_line(self, text: str) -> bool:
        """Show `text` on the terminal's last line instead of what it showed before; False when there is no terminal."""
        if self._stderr is None or not self._stderr.isatty():
            return False
        line = f"{self.name}: {printable(text)}" if text else ""
        self._stderr.write(b"\r" + encode(line) + b"\x1b[K")
        self._stderr.flush()
        return True

    def typed_name(self) -> str:
        """The command's name as getopt prints it.

        The kernel replaces argv[0] of a script by its full path, so a command found through PATH is named as it was
        typed: without the directory.
        """
        directory, _, name = self.argv0.rpartition("/")
        return name if directory in os.environ.get("PATH", "").split(":") else self.argv0


def printable(text: str) -> str:
    """`text` with control characters (but tab) as `\\xNN`, so that a name cannot forge lines or move the cursor."""
    if text.isprintable():
        return text
    return "".join(f"\\x{ord(char):02x}" if (char < " " and char != "\t") or char == "\x7f" else char for char in text)
