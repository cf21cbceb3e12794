# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a run starts from: the modules in their order, and the files that the kernel's build lays with them."""

from __future__ import annotations

import errno
import os

from ..diagnostics import ERROR, WARNING, Diagnostic
from ..errors import FileError
from ..records import Record
from ..state.files import read_or_none
from .scan import scan, scan_files, sort_modules

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .observer import RunObserver
    from .scan import Duplicate, NamedPath
    from .settings import DepmodSettings

BUILD_FILES = ("modules.order", "modules.builtin", "modules.builtin.modinfo")
"""Files of the module directory, laid there by the kernel's build, that the indexes depend on."""


class Inputs(Record):
    """The modules of one directory in their order, duplicates and directories as in `ScanResult`.

    `elsewhere` says where those files are that lie over the directory, by their paths in it.
    """

    directory: str
    modules: list[NamedPath]
    duplicates: list[Duplicate]
    directories: list[bytes]
    elsewhere: Mapping[bytes, bytes] = {}

    @property
    def real_paths(self) -> list[bytes]:
        """Where the modules' files are."""
        return [self.elsewhere.get(path, path) for _, path in self.modules]

    def full_path(self, path: bytes) -> str:
        """Return a path in the directory in full: where its file is."""
        shown = os.fsdecode(self.elsewhere.get(path, path))
        return shown if shown.startswith("/") else f"{self.directory}/{shown}"

    @property
    def names(self) -> list[bytes]:
        """The modules' names."""
        return [name for name, _ in self.modules]

    @property
    def paths(self) -> list[bytes]:
        """The modules' paths as modules.dep shows them."""
        return [path for _, path in self.modules]


def gather_inputs(
    directory: str, settings: DepmodSettings, paths: Sequence[bytes] | None, observer: RunObserver
) -> Inputs:
    """Scan and order the modules: all, or those at `paths`.

    Raises `FileError` when the directory or one of `paths` is missing.
    """
    where = os.fsencode(directory)
    observer.begin("scan")
    if paths is None:
        found = scan(where, settings, lambda directories: observer.progress(directories, 0, "directories"))
    else:
        found = scan_files(where, paths)
    problems = list(found.problems)
    order = read_build_file(directory, "modules.order", problems)
    modules = sort_modules(found.modules, order, f"{directory}/modules.order", problems)
    for problem in problems:
        observer.diagnostic(problem)
    return Inputs(directory, modules, found.duplicates, found.directories)


def read_build_file(directory: str, name: str, problems: list[Diagnostic]) -> bytes | None:
    """Return the contents of one of `BUILD_FILES`; None when there is none, which is added to `problems`."""
    path = f"{directory}/{name}"
    try:
        data = read_or_none(path)
    except FileError as error:
        problems.append(Diagnostic("unreadable-file", ERROR, error.reason, file=path, errno=error.errno))
        return None
    if data is None:
        text = os.strerror(errno.ENOENT)
        problems.append(Diagnostic("missing-build-file", WARNING, text, file=path, errno=errno.ENOENT))
    return data
