# SPDX-License-Identifier: LGPL-2.1-or-later
"""What udev loads: the rules that run its `kmod load`, or modprobe."""

from __future__ import annotations

from ..diagnostics import ERROR, Diagnostic
from ..errors import FileError
from ..formats.udevrules import MATCHES, parse_udev_rules
from ..records import Record
from .config import UNREADABLE_FILE
from .configdirs import config_files
from .files import inside, read_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..formats.udevrules import UdevRule, UdevToken
    from ..roots import Roots
    from .configdirs import ShadowedFile

_RUNNING = {"RUN": ("builtin", "program", ""), "IMPORT": ("builtin", "program"), "PROGRAM": ("",)}
"""Keys that run something, and the attributes with which they do."""

_QUOTING = "\"'\\#"
"""Characters that mean more than themselves in a command."""

_OF_THE_DEVICE = ("$env{MODALIAS}", "%E{MODALIAS}", "$attr{modalias}", "%s{modalias}")
"""Spellings of the modalias of the device at hand."""


class UdevLoad(Record):
    """One udev rule that loads modules.

    `modules` are the names or aliases that it loads; udev puts a value in where there is a `$` or `%`. `by_modalias`
    tells whether it loads what the device's own modalias stands for. `builtin` tells whether udev's own libkmod loads
    it, not a program. `condition` has the rule's matches, `command` what it runs.
    """

    modules: tuple[str, ...]
    by_modalias: bool
    builtin: bool
    condition: str
    command: str
    file: str
    line: int

    @property
    def origin(self) -> str:
        """The place as `FILE:LINE`."""
        return f"{self.file}:{self.line}"


class UdevLoads(Record):
    """All udev rules that load modules, in reading order; the files read, those shadowed, what is wrong in them."""

    loads: tuple[UdevLoad, ...]
    files: tuple[str, ...]
    shadowed: tuple[ShadowedFile, ...]
    problems: tuple[Diagnostic, ...]


def read_udev_loads(roots: Roots) -> UdevLoads:
    """Read the udev rules of a system, and return those that load modules."""
    found = config_files(roots.config_dirs("udev/rules.d"), suffix=".rules", root=roots.config_root)
    problems = list(found.problems)
    loads: list[UdevLoad] = []
    for file in found.files:
        try:
            rules, bad = parse_udev_rules(read_file(inside(roots.config_root, file)), file)
        except FileError as error:
            problems.append(Diagnostic(UNREADABLE_FILE, ERROR, error.reason, file=file, errno=error.errno))
            continue
        problems += bad
        loads += [load for rule in rules for load in _loads(rule)]
    return UdevLoads(tuple(loads), found.files, found.shadowed, tuple(problems))


def _loads(rule: UdevRule) -> Iterator[UdevLoad]:
    condition = ", ".join([token.render() for token in rule.tokens if token.operator in MATCHES])
    for token in rule.tokens:
        names = _names(token)
        if names is not None:
            modules = tuple([name for name in names if name not in _OF_THE_DEVICE])
            yield UdevLoad(
                modules=modules,
                by_modalias=len(modules) < len(names) or not names,
                builtin=token.attribute == "builtin",
                condition=condition,
                command=token.value,
                file=rule.file,
                line=rule.line,
            )


def _names(token: UdevToken) -> list[str] | None:
    """Return what a token loads, none for the device's own modalias; None when it loads nothing."""
    if token.attribute not in _RUNNING.get(token.key, ()):
        return None
    if "kmod" not in token.value and "modprobe" not in token.value:
        return None
    words = _words(token.value)
    program = words[0].rpartition("/")[2] if words else ""
    if token.attribute == "builtin":
        return words[2:] if words[:2] == ["kmod", "load"] else None
    if program != "modprobe" or any(word in ("-r", "--remove") for word in words):
        return None
    names = [word for word in words[1:] if not word.startswith("-")]
    return names[: None if {"-a", "--all"} & set(words) else 1] or None


def _words(value: str) -> list[str]:
    """Split a command as udev does: quotes keep blanks together."""
    if value.isascii() and value.isprintable() and not any(char in value for char in _QUOTING):
        return value.split()
    import shlex  # which imports re: a fifth of a verb's start

    try:
        return shlex.split(value, posix=True)
    except ValueError:  # a quote that is never closed
        return value.split()
