# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is loaded at boot by name: modules-load.d, /etc/modules, and `modules_load=` on the kernel command line."""

from __future__ import annotations

import os

from ..diagnostics import ERROR, Diagnostic
from ..errors import FileError
from ..formats.cmdline import MODULES_LOAD, parse_boot_rules
from ..formats.conflines import words
from ..formats.modulesload import parse_modules_load
from ..names import encode
from ..records import Record
from .config import UNREADABLE_FILE
from .configdirs import config_files
from .files import inside, read_file, read_or_none

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..roots import Roots
    from .configdirs import ShadowedFile


class LoadLine(Record):
    """One line that has a module loaded at boot.

    `text` is the whole line: systemd takes it for the name of one module or alias. `line` is 0 where lines have no
    number (the kernel command line). `by_systemd` is False for an /etc/modules that only Debian's init script reads,
    which splits it into `name` and `arguments`.
    """

    text: str
    file: str
    line: int
    by_systemd: bool = True

    @property
    def name(self) -> str:
        """The first word."""
        return words(self.text)[0]

    @property
    def arguments(self) -> str:
        """What follows the first word."""
        return self.text.removeprefix(self.name).lstrip(" \t")

    @property
    def origin(self) -> str:
        """The place as `FILE:LINE`, or only the file where lines have no number."""
        return f"{self.file}:{self.line}" if self.line else self.file


class ModulesLoad(Record):
    """Everything that is loaded at boot by name, in the order in which it is loaded.

    `files` are those read, `shadowed` those that are not since an earlier directory has one of the same name,
    `problems` what could not be read.
    """

    lines: tuple[LoadLine, ...]
    files: tuple[str, ...]
    shadowed: tuple[ShadowedFile, ...]
    problems: tuple[Diagnostic, ...]


def read_modules_load(roots: Roots, command_line: str | None = None) -> ModulesLoad:
    """Read what is loaded at boot; `command_line` is the text of /proc/cmdline, None when it is not known.

    systemd-modules-load takes the names of the command line first, then the files of all directories in the order of
    their base names; a file shadows one of the same name in a later directory.
    """
    place = f"{roots.proc}/cmdline"
    boot_rules = parse_boot_rules(encode(command_line or ""), place)
    lines = [LoadLine(rule.name, place, 0) for rule in boot_rules if rule.parameter == MODULES_LOAD]
    found = config_files(roots.config_dirs("modules-load.d"), root=roots.config_root)
    problems = list(found.problems)
    for file in found.files:
        try:
            lines += [
                LoadLine(text, file, number)
                for number, text in parse_modules_load(read_file(inside(roots.config_root, file)))
            ]
        except FileError as error:
            problems.append(Diagnostic(UNREADABLE_FILE, ERROR, error.reason, file=file, errno=error.errno))
    own, more = _etc_modules(roots.config_root, found.files, problems)
    return ModulesLoad((*lines, *more), (*found.files, *own), found.shadowed, tuple(problems))


def _etc_modules(root: str, files: tuple[str, ...], problems: list[Diagnostic]) -> tuple[list[str], list[LoadLine]]:
    """Return /etc/modules and its lines, unless one of `files` is a link to it: then it has been read."""
    path = f"{root}/etc/modules"
    real = inside(root, path)
    if any(os.path.realpath(inside(root, file)) == os.path.realpath(real) for file in files):
        return [], []
    try:
        data = read_or_none(real)
    except FileError as error:
        problems.append(Diagnostic(UNREADABLE_FILE, ERROR, error.reason, file=path, errno=error.errno))
        return [], []
    if data is None:
        return [], []
    return [path], [LoadLine(text, path, number, by_systemd=False) for number, text in parse_modules_load(data)]
