# SPDX-License-Identifier: LGPL-2.1-or-later
"""What depmod says: problems in words, the lines of -v, the progress line, and the result."""

from __future__ import annotations

import errno
import os
import time

from ... import IndexUpdate, IndexWriteError, KernelSymbolsError, ModuleOperandError, Observer
from ..console import ERROR, WARNING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ... import CycleError, Diagnostic, FileError, MissingSupportError
    from ..console import Console
    from .options import DepmodOptions

PACKED = ("gzip: ", "xz: ", "zstd: ")
"""How reasons begin that are a decompressor's."""

UNTOUCHED = "the old files are left in place"
MIXED = "some files are new and some are old: run depmod again"

STAGES = {
    "scan": "looking for modules",
    "extract": "reading modules",
    "resolve": "finding out what needs what",
    "order": "finding out what needs what",
    "render": "making the indexes",
    "publish": "writing the indexes",
}
"""What the progress line says of each stage."""

LEVELS = {"error": ERROR, "warning": WARNING}
"""Severity of a diagnostic -> level of the message."""

SHOWN_OF_LONG_KEY = 60

WORDS: dict[str, Callable[[Diagnostic], str]] = {
    # --- depmod.d
    "bad-configuration-line": lambda it: f"{it.file}:{it.line}: ignoring bad line starting with '{it.subject}'",
    "carriage-return": lambda it: f"{it.file}:{it.line}: {it.text}",
    "bad-kernel-pattern": lambda it: f"{it.file}:{it.line}: {it.text}",
    "unreadable-configuration": lambda it: f"{it.file}: {it.text}",
    "unreadable-directory": lambda it: f"{it.file}: {it.text}",
    "unusable-entry": lambda it: (
        f"Directories inside directories are not supported: {it.file}"
        if it.errno == errno.EISDIR
        else f"Cannot stat directory entry: {it.file}"
    ),
    # --- the kernel's own symbols
    "no-symbol-file": lambda it: (
        f"{it.file} has no line of the right form: is it a System.map (-F), or a Module.symvers (-E)?"
    ),
    "bad-symbol-line": lambda it: f"{it.file}:{it.line}: invalid line: {it.subject}",
    "bad-symbol-version": lambda it: f"{it.file}:{it.line} Invalid symbol version {it.subject}",
    "no-needed-symbols": lambda it: (
        f"{it.file} has none of the symbols that modules need: try -E with Module.symvers of the kernel's headers"
    ),
    "other-symbol-versions": lambda it: (
        f"{it.file} has another version of every symbol that modules need: it is that of another kernel"
    ),
    "unknown-symbol": lambda it: f"{it.file} needs unknown symbol {it.subject}",
    "wrong-symbol-version": lambda it: f"{it.file} disagrees about version of symbol {it.subject}",
    # --- the module directory
    "waiting": lambda it: it.text,
    "unreadable-file": lambda it: f"could not read {it.file}: {error_of(it)}",
    "dangling-link": lambda it: f"could not follow the link {it.file} to {it.subject}: {error_of(it)}",
    "unreadable-external-directory": lambda it: f"could not open directory {it.file}: {error_of(it)}",
    "no-regular-file": lambda it: f"unsupported file type {it.file}: {it.subject}",
    "missing-build-file": lambda it: (
        f"could not open {os.path.basename(it.file or '')} at {os.path.dirname(it.file or '')}: {error_of(it)}"
    ),
    "bad-order-file": lambda it: f"{it.file}:{it.line} {it.text}",
    "bad-builtin-line": lambda it: f"Invalid modules.builtin line: {it.subject}",
    # --- modules
    "broken-module": lambda it: f"failed to load symbols from {it.file}: {error_of(it)}",
    "incomplete-device": lambda it: (
        f"Module '{it.module}' has devname ({it.subject}) but lacks major and minor information. Ignoring."
    ),
    "unmatched-bracket": lambda it: f"Unmatched bracket in {it.subject}",
    "key-too-long": lambda it: f"{it.text}; left out: {(it.subject or '')[:SHOWN_OF_LONG_KEY]}...",
    "key-not-ascii": lambda it: f"{it.text}; left out: {it.subject}",
    "duplicate-alias": lambda it: "duplicate module alias:",
}
"""Code of a diagnostic -> the message."""


def error_of(diagnostic: Diagnostic) -> str:
    """Return what the system says of the errno; without one, the text."""
    return os.strerror(diagnostic.errno) if diagnostic.errno else diagnostic.text


class DepmodReporter(Observer):
    """Follows a run and tells the user."""

    def __init__(self, console: Console, options: DepmodOptions) -> None:
        self._console = console
        self._options = options
        self._progress = _Progress(console)

    # --- as the run goes on

    def step_started(self, step: object) -> None:
        """Show what is being done from now on."""
        self._progress.what = STAGES.get(str(step), "")
        self._progress.show()

    def progress(self, done: int, total: int, what: str) -> None:
        """Show how far it is."""
        self._progress.show(done, total)

    def diagnostic(self, diagnostic: Diagnostic) -> None:
        """Say what is wrong, and for -v which module needs which."""
        console, code = self._console, diagnostic.code
        if code == "symbol-use":
            console.write(f"{diagnostic.file} {diagnostic.text}\n")
            return
        if code == "no-cache":
            if self._options.wants_cache:
                console.warning(f"could not keep a cache in {diagnostic.file}: {error_of(diagnostic)}")
            return
        if code == "broken-module" and diagnostic.text.startswith(PACKED):
            console.error(diagnostic.text)
        console.log(LEVELS[diagnostic.severity], WORDS[code](diagnostic))
        if code == "duplicate-alias":
            console.write_stderr_line(f"{diagnostic.subject} {diagnostic.module}")

    # --- the end

    def result(self, update: IndexUpdate) -> None:
        """Show what was made, if that is wanted."""
        if self._options.json:
            self._console.write(update.to_json())
        else:
            for text in update.texts.values():
                self._console.write(text)

    def cycles(self, error: CycleError) -> None:
        """Say which modules need one another."""
        for cycle in error.cycles:
            self._console.error(f"Cycle detected: {' -> '.join(cycle)}")
        self._console.error(error.reason)
        if self._options.json and isinstance(error.update, IndexUpdate):
            self._console.write(error.update.to_json())

    def failure(self, error: FileError) -> None:
        """Say that the modules could not be found or read, or the files not be written."""
        console = self._console
        if isinstance(error, IndexWriteError) and error.path == self._options.job.out_directory:
            action = "open" if os.path.isdir(error.path) else "create"
            console.fatal(f"could not {action} directory {error.path}: {error.strerror}")
        elif isinstance(error, IndexWriteError):
            console.error(f"could not write {error.path}: {error.strerror}; {MIXED if error.mixed else UNTOUCHED}")
        elif isinstance(error, KernelSymbolsError):
            console.fatal(f"could not load {error.path}: {error.strerror}")
        elif isinstance(error, ModuleOperandError):
            what = "add" if error.module else "create"
            console.fatal(f"could not {what} module {error.path}: {error.strerror}")
        elif error.path == self._options.job.directory:
            console.error(f"could not open directory {error.path}: {error.strerror}")
            console.fatal(f"could not search modules: {error.strerror}")
        else:
            console.error(f"could not read {error.path}: {error.strerror}; {UNTOUCHED}")

    def missing_support(self, error: MissingSupportError) -> None:
        """Say that nobody here can read what the modules are compressed with."""
        self._console.error(f"could not read {error.path}: {error.reason}; {UNTOUCHED}")


class _Progress:
    """One line on a terminal, from half a second after the start on; it says `what` is being done."""

    AFTER = 0.5
    EVERY = 0.1

    def __init__(self, console: Console) -> None:
        self.what = ""
        self._console = console
        self._next = time.monotonic() + self.AFTER

    def show(self, done: int = 0, total: int = 0) -> None:
        now = time.monotonic()
        if now < self._next:
            return
        if not self._console.has_terminal():
            self._next = float("inf")
            return
        self._next = now + self.EVERY
        self._console.status_line(f"{self.what}: {done} of {total}" if total else self.what)
