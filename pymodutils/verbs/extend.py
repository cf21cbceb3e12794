# SPDX-License-Identifier: LGPL-2.1-or-later
"""kmod extend: the indexes of a module directory and what lies over it, from its own indexes."""

from __future__ import annotations

import os
import time

from ..depmod.extend import BaseIndexes, Extension, Unknown, lay_over, read_base
from ..depmod.facts import decode_failure
from ..depmod.findings import Findings
from ..depmod.inputs import gather_inputs
from ..depmod.observer import RunObserver
from ..depmod.pipeline import BuildRequest, build_files
from ..depmod.settings import read_settings
from ..diagnostics import ERROR, Diagnostic
from ..effects.publish import Directory
from ..errors import FileError
from ..frozendict import FrozenDict
from ..names import decode
from ..observer import Observer
from ..state.files import read_file
from .report import Report, head, several

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ..context import Context
    from ..depmod.extend import Overlaid

    StrPath = str | os.PathLike[str]

_LIBRARIES = ("usr/lib/modules", "lib/modules")


class ExtendReport(Report):
    """What `extend` made.

    `base`, `overlays` and `outdir` are the directories. `modules` counts what the indexes have, `base_modules` what
    those of the base have. `own` are the overlays' modules among them by name, `replaced` the modules of the base that
    are another file now, or none. `read` counts the modules of the base that were read; `reason` says why all of them
    were, None if that was not necessary. `files` has the sizes of the files written, in bytes; there are none if it was
    `refused`, as there would have been fewer modules than in the base.
    """

    base: str
    overlays: tuple[str, ...]
    outdir: str
    modules: int
    base_modules: int
    own: tuple[str, ...]
    replaced: tuple[str, ...]
    read: int
    reason: str | None
    refused: bool
    files: Mapping[str, int]


def extend(
    context: Context,
    base: StrPath,
    overlays: StrPath | Iterable[StrPath],
    outdir: StrPath,
    *,
    configuration: Sequence[str] | None = None,
    trusted: bool = False,
    force: bool = False,
    observer: Observer | None = None,
) -> ExtendReport:
    """Write the indexes of a module directory with others laid over it, all of them or none, and return what they have.

    They are those that depmod would write for the merged directory; the base is read only where its indexes leave
    something open. A directory is a module directory, or one that has it in `lib/modules` for the release of `context`.
    Of overlays the last lies on top. `configuration` has files and directories of depmod.d, by default those of the
    system. `trusted` says that the base's modules need no symbol which they lack and an overlay exports, as is true of
    a kernel as it was built. Without `force` it refuses to write fewer modules than the base has. `observer` hears of
    progress and of what is wrong. Raises `CycleError`, `IndexWriteError` and `FileError`.
    """
    places = [_directory(context, place) for place in (base, *several(overlays))]
    return _Work(context, places[0], places[1:], os.path.abspath(outdir), observer or Observer()).run(
        context.roots.config_dirs("depmod.d") if configuration is None else configuration, trusted=trusted, force=force
    )


def _directory(context: Context, place: StrPath) -> str:
    path = os.path.abspath(place)
    for library in _LIBRARIES:
        inner = f"{path}/{library}/{context.roots.kernel_release}"
        if os.path.isdir(inner):
            return inner
    try:
        os.stat(f"{path}/.")
    except OSError as error:
        raise FileError.of(error, path) from None
    return path


class _Work:
    """One run."""

    def __init__(self, context: Context, base: str, overlays: list[str], outdir: str, observer: Observer) -> None:
        self.context = context
        self.base = base
        self.overlays = overlays
        self.outdir = outdir
        self.observer = observer
        self.read = 0
        self.errors: list[Diagnostic] = []

    def run(self, configuration: Sequence[str], *, trusted: bool, force: bool) -> ExtendReport:
        """Make the indexes and write them, if they may be; return what was done."""
        settings, problems = read_settings(configuration, self.context.roots.kernel_release)
        reason: str | None = None
        indexes: BaseIndexes | None = None
        files: dict[str, bytes] = {}
        start = time.time_ns()
        try:
            indexes = read_base(self.base)
            merged = lay_over(self.base, indexes.paths, self.overlays, settings)
            extension = Extension(indexes, merged, trusted=trusted)
            files, more = extension.files()
            self.read = extension.read_of_base
            self._add_failures(extension.failures)
        except Unknown as unknown:
            reason = str(unknown)
            found = gather_inputs(self.base, settings, None, RunObserver(Observer()))
            merged = lay_over(self.base, found.paths, self.overlays, settings)
            files, more = self._read_all(merged)
        for problem in (*problems, *merged.problems, *more):
            self.observer.diagnostic(problem)
        before = _count(self.base)
        refused = len(merged.inputs.modules) < before and not force
        if not refused:
            self._publish(files, start)
        return ExtendReport(
            **head("extend", self.context, self.errors),
            base=self.base,
            overlays=tuple(self.overlays),
            outdir=self.outdir,
            modules=len(merged.inputs.modules),
            base_modules=before,
            own=tuple([decode(name) for name, path in merged.inputs.modules if path in merged.own]),
            replaced=tuple(sorted(map(decode, merged.changed))),
            read=self.read,
            reason=reason,
            refused=refused,
            files=FrozenDict({} if refused else {name: len(data) for name, data in files.items()}),
        )

    def _read_all(self, merged: Overlaid) -> tuple[dict[str, bytes], list[Diagnostic]]:
        """Make the files as depmod does, from all modules."""
        problems = _Problems(self.observer)
        findings = Findings()
        built = build_files(BuildRequest(merged.inputs, stamped=False), findings, RunObserver(problems))
        self.read = len(merged.inputs.modules) - len(merged.own)
        self.errors += [_broken(broken.path, broken.reason) for broken in findings.broken]
        return built.files, [problem for problem in problems.found if problem.code != "broken-module"]

    def _add_failures(self, failures: Iterable[tuple[bytes, bytes]]) -> None:
        self.errors += [_broken(decode(path), decode_failure(failure)[1]) for path, failure in failures]

    def _publish(self, files: Mapping[str, bytes], start: int) -> None:
        with Directory(self.outdir) as out:
            out.lock()
            for name, data in files.items():
                out.prepare(name, data, start)
            out.publish()


class _Problems(Observer):
    """Keeps what is wrong for later, and passes progress on."""

    def __init__(self, observer: Observer) -> None:
        self.found: list[Diagnostic] = []
        self._observer = observer

    def progress(self, done: int, total: int, what: str) -> None:
        """Pass it on."""
        self._observer.progress(done, total, what)

    def diagnostic(self, diagnostic: Diagnostic) -> None:
        """Keep it."""
        self.found.append(diagnostic)


def _broken(path: str, reason: str) -> Diagnostic:
    return Diagnostic("broken-module", ERROR, f"no readable module: {reason}", file=path)


def _count(directory: str) -> int:
    """Return how many modules the indexes of a directory have."""
    return sum(b":" in line for line in read_file(f"{directory}/modules.dep").split(b"\n"))
