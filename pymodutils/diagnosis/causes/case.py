# SPDX-License-Identifier: LGPL-2.1-or-later
"""One failure, or one request that has not been made yet: all that was collected about it, and what an answer is."""

from __future__ import annotations

from ...diagnostics import Evidence
from ...names import normalize_name
from ...planning.lookup import names_file
from ...records import Record
from ...state.kernelfacts import NOT_KNOWN as NO_KERNEL_FACTS
from ...state.kernellog import KERNEL_LOG, KernelLog
from ...state.processfacts import NOT_KNOWN as NO_PROCESS_FACTS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ...diagnostics import Place
    from ...state.kernelfacts import KernelFacts
    from ...state.modulereading import ModuleReading
    from ...state.processfacts import ProcessFacts

LOAD, UNLOAD, DESCRIBE = ACTIONS = ("load", "unload", "describe")
"""Words of `Case.action`."""

KERNEL, COMMAND, LOOKUP, FILE, NOBODY = "kernel", "command", "lookup", "file", "nobody"
"""Words of `Case.refused_by`: the kernel refused; an install or remove command failed; nothing of that name was found;
a file cannot be read; nothing has failed (yet)."""

ON_HOST = "  # on the host"
"""Stands behind a command that helps outside of this container only; it can be pasted with it."""

IN_SOURCE = " M=$PWD modules  # in the directory of its source"
"""Ends a command that builds a module again; it can be pasted there."""

SAID, HEARD, SHOWN, FITS = 4, 3, 2, 1
"""Words of `Cause.strength`: the kernel's log says so of this module; it says so without the module's name, at a time
that leaves no other attempt; files, or what the kernel shows, prove it; it would explain the failure, and so may other
things."""


class Explanation(Record):
    """One cause of a failure, or one thing in the way.

    `module` is empty where no module was asked for, and the module directory is not there. `code` is a word for its
    kind (docs/explain.md), which never changes. `certain` is False where the facts leave room for another cause.
    `errno` is the answer that it explains, None if nothing has failed. `text` says it in English, `evidence` what that
    rests on, `next` are commands to go on with. `asked` is the name or path in the request.
    """

    module: str
    code: str
    certain: bool
    errno: int | None
    text: str
    evidence: tuple[Evidence, ...]
    next: tuple[str, ...]
    asked: str


class Cause(Record):
    """What a function of this package has found: an `Explanation` without its certainty, and how strong it is."""

    code: str
    text: str
    evidence: tuple[Evidence, ...]
    next: tuple[str, ...] = ()
    strength: int = SHOWN
    module: str | None = None


class Provider(Record):
    """A module that exports a symbol, by the index: is it loaded, and which rule keeps it out?"""

    name: str
    state: str | None
    denied_by: Place | None = None


class NeededSymbol(Record):
    """A symbol that a module needs, and who could provide it.

    `in_kernel` tells whether the kernel itself exports it, None if that is not known. `gpl_only` and `namespace` are
    those of the export, `crc` its version, where known.
    """

    name: str
    providers: tuple[Provider, ...] = ()
    in_kernel: bool | None = None
    gpl_only: bool | None = None
    namespace: str | None = None
    crc: int | None = None

    @property
    def is_available(self) -> bool | None:
        """Whether the kernel has it now, itself or in a loaded module; None if that is not known."""
        if self.in_kernel or any(provider.state == "live" for provider in self.providers):
            return True
        return None if self.in_kernel is None and not self.providers else False


class Dependency(Record):
    """A module that the one in question depends on: its file, where it stands, and the install rule for it.

    `has_file` tells whether the file is there, None if that is not known.
    """

    name: str
    path: str | None
    has_file: bool | None
    state: str | None
    rule: Place | None = None


class FittingDevice(Record):
    """A device that the module's aliases fit, and the module of the driver that it has; None for no driver."""

    path: str
    modalias: str
    driver: str | None
    driver_module: str | None


class Tree(Record):
    """What is known of the module directory, for a name that was not found.

    `unindexed` is a file of that name which the indexes do not list. `newer` is a file or directory that was changed
    after the index was made. `releases` are the kernels that have modules, newest first; those in `elsewhere` have a
    module of that name. `not_known` says why nobody can tell whether there is such a module.
    """

    directory: str
    exists: bool
    has_index: bool
    unindexed: str | None = None
    similar: tuple[str, ...] = ()
    releases: tuple[str, ...] = ()
    elsewhere: tuple[str, ...] = ()
    is_running: bool = True
    not_known: str | None = None


class Case(Record):
    """All that was collected about one failure, or about one request that may be made.

    `asked` is what was asked for, `module` the module that failed. `names` are all names by which the kernel's log may
    call it. `parameters` are those of the request, `options` the rules of the configuration that add others. `tools`
    are programs of this system that help to go on. `takes_modules` tells whether the kernel was built to take any.
    """

    action: str
    asked: str
    module: str
    errno: int | None = None
    refused_by: str = NOBODY
    path: str | None = None
    names: tuple[str, ...] = ()
    parameters: tuple[str, ...] = ()
    options: tuple[Place, ...] = ()
    file: ModuleReading | None = None
    sibling: ModuleReading | None = None
    log: KernelLog = KernelLog(())
    kernel: KernelFacts = NO_KERNEL_FACTS
    takes_modules: bool | None = None
    process: ProcessFacts = NO_PROCESS_FACTS
    release: str = ""
    machine: int | None = None
    is_live: bool = False
    state: str | None = None
    refcount: int | None = None
    holders: tuple[str, ...] = ()
    permanent: bool | None = None
    builtin: bool = False
    builtin_by: Evidence | None = None
    live_parameters: Mapping[str, str | None] | None = None
    symbols: tuple[NeededSymbol, ...] = ()
    dependencies: tuple[Dependency, ...] = ()
    devices: tuple[FittingDevice, ...] | None = None
    install: Place | None = None
    command: str | None = None
    status: int | None = None
    denied_by: Place | None = None
    denial: str | None = None
    blacklisted: Place | None = None
    by_alias: bool = False
    tree: Tree | None = None
    keys: tuple[str, ...] | None = None
    owners: tuple[tuple[str, str], ...] = ()
    tools: tuple[str, ...] = ()
    reason: str | None = None

    @property
    def by_path(self) -> bool:
        """Whether the request names the module's file, so that no rule and no dependency counts."""
        return asks_for_file(self.asked, self.path)

    @property
    def is_refusal(self) -> bool:
        """Whether the kernel refused to load the module."""
        return self.action == LOAD and self.refused_by == KERNEL

    @property
    def is_foreseen(self) -> bool:
        """Whether nothing has failed, and the question is what stands in the way of loading."""
        return self.action == LOAD and self.refused_by == NOBODY

    def answers(self, *numbers: int) -> bool:
        """Tell whether the kernel refused with one of these errnos, or was not asked yet."""
        return self.is_foreseen or (self.is_refusal and self.errno in numbers)

    def has(self, tool: str) -> bool:
        """Tell whether a program is there."""
        return tool in self.tools

    def calls_it(self, name: str) -> bool:
        """Tell whether the kernel's log means the module by this name."""
        return normalize_name(name) in (self.module, *self.names)


def asks_for_file(asked: str, path: str | None) -> bool:
    """Tell whether a request, for a module in the file at `path`, names that file; aliases have slashes, too."""
    return "/" in asked and (names_file(asked) or (path or "").endswith(asked))


def logged(text: str) -> Evidence:
    """Return a line of the kernel log as evidence."""
    return Evidence(KERNEL_LOG, text)


def listed(names: Iterable[str], most: int = 4) -> str:
    """Return names as text: those after the first few are only counted."""
    known = list(names)
    more = f" and {len(known) - most} more" if len(known) > most else ""
    return ", ".join(known[:most]) + more
