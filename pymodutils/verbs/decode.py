# SPDX-License-Identifier: LGPL-2.1-or-later
"""kmod decode: what an oops or a stack trace says, with source files and lines."""

from __future__ import annotations

import os

from ..context import Context
from ..diagnosis.oops import MISMATCH, Suspect, fitting, has_file, place_to_look_at, suspect
from ..diagnostics import NOTE, Diagnostic
from ..effects.debuginfod import cache_directory, fetch_debuginfo
from ..errors import Error, FormatError
from ..formats.dwarf import PACKAGE, SourceLine, is_readable
from ..formats.machinecode import Instruction, disassemble
from ..formats.oops import Trace, parse_oops
from ..formats.taint import Taint
from ..observer import counted
from ..records import Record
from ..state.modulecode import VMLINUX, DebugDirectories, ModuleCode
from .report import Report, head

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..formats.functions import Function
    from ..formats.oops import FoundFrame
    from ..observer import Observer

    _Builds = dict[bytes | str, list[ModuleCode]]
    """Files that may have the code of a module or of the kernel, by build-id; by path where a file has none."""

SERVERS, SERVERS_VARIABLE = "debuginfod", "DEBUGINFOD_URLS"
"""The word for the debuginfod servers that the environment names, and where it names them."""

NO_LIBRARY, NO_DEBUG, NO_FILE, NO_TREE, OTHER_TREE, OTHER_BUILD, DAMAGED, NO_SERVER = (
    "no-library", "no-debugging-data", "no-file", "no-tree", "other-tree", "other-build", "damaged", "no-server",
)  # fmt: skip
"""Codes of `DecodeReport.notes`."""


class Alternative(Record):
    """One of several functions that a frame may be about: where it is in the file, and its source lines."""

    section: str
    section_offset: int
    lines: tuple[SourceLine, ...]


class Frame(Record):
    """A place in code that a trace names; None is "not known".

    `text` is its line, `line` the number of that, `trace` the number of the trace. `kind` is `pc` (the instruction
    itself), `call` (where a call returns to), `lock` or `mention`; `reliable` is false for what was only found on the
    stack. `symbol`, `offset`, `length`, `module`, `build_id` and `address` are what the text says; `module` is None for
    the kernel itself, `address` for a place that has a symbol. `file` is the file of the module or of the kernel that
    it was looked up in, `section` and `section_offset` the place there. `lines` are the source lines, from
    the innermost inlined call to the function itself; of a call those of the call, not of what follows it.

    `match` is `exact`, `ambiguous` (several functions have that name and length: `alternatives`), `mismatch` (the file
    is another build, by length or build-id, and has no lines for this), or None when there is no file.
    """

    text: str
    kind: str
    symbol: str | None
    offset: int | None
    length: int | None
    module: str | None
    build_id: str | None
    address: int | None
    file: str | None
    section: str | None
    section_offset: int | None
    lines: tuple[SourceLine, ...]
    match: str | None
    alternatives: tuple[Alternative, ...]
    reliable: bool
    trace: int
    line: int


class DecodeReport(Report):
    """What a log says.

    `traces` are the reports of the kernel in it, `frames` the places in code that they name. `taint` and `suspect` are
    those of the first trace that has any, `suspects` has one for each trace with frames. `instructions` are the
    machine code around the faults, None when capstone is not installed. `notes` say what else could be known, and how.
    """

    traces: tuple[Trace, ...]
    frames: tuple[Frame, ...]
    taint: Taint | None
    suspect: Suspect | None
    suspects: tuple[Suspect, ...]
    instructions: tuple[Instruction, ...] | None
    notes: tuple[Diagnostic, ...]


def decode(
    context: Context,
    text: str,
    *,
    debug: str | Iterable[str] = (),
    vmlinux: str | None = None,
    observer: Observer | None = None,
) -> DecodeReport:
    """Return what the oopses and stack traces in a log say.

    Modules are looked up in the tree of the release that a trace names, unless the context is for another one by its
    roots. Debugging data is taken from a module's file, from /usr/lib/debug, and from `debug`: directories (searched by
    build-id and by name), addresses of debuginfod servers, or `debuginfod` for those that the environment names.
    `vmlinux` is the kernel's own file as it was linked; without it, it is looked for in the same places. An address
    without a symbol is not looked up, since each boot puts the kernel elsewhere.
    `observer` hears of progress. Blocks while a server answers. Raises `Error` for a `vmlinux` that cannot be read.
    """
    return _Work(context, [debug] if isinstance(debug, str) else list(debug), vmlinux, observer).report(text)


class _Build:
    """The files of one build of a module or the kernel (None): those with its code, none where `file` is of another."""

    def __init__(self, module: str | None, file: str | None, codes: list[ModuleCode]) -> None:
        self.module = module
        self.file = file
        self.codes = codes


class _Work:
    """One log."""

    def __init__(self, context: Context, debug: list[str], vmlinux: str | None, observer: Observer | None) -> None:
        self.context = context
        self.observer = observer
        self.servers = [word for word in debug if word.startswith(("http://", "https://"))]
        if SERVERS in debug:
            self.servers += os.environ.get(SERVERS_VARIABLE, "").split()
        places = [os.path.abspath(word) for word in debug if word not in (*self.servers, SERVERS)]
        self.directories = DebugDirectories(context.roots.base, places)
        self.notes: dict[Diagnostic, None] = {}
        self._contexts: dict[str, Context | None] = {}
        self._codes: dict[str, ModuleCode | None] = {}
        self._files: dict[tuple[str | None, str, str | None], _Builds] = {}
        self._fetched: dict[str, str | None] = {}
        self._chosen: dict[tuple[object, ...], _Build] = {}
        self._frames: dict[tuple[object, ...], Frame] = {}
        self._vmlinux: str | None = None
        if vmlinux is not None:
            self._vmlinux = os.path.abspath(vmlinux)
            code = self._codes[self._vmlinux] = ModuleCode(self._vmlinux)
            if code.is_module:
                raise FormatError("a module, not the kernel as it was linked", path=self._vmlinux)
        if SERVERS in debug and not self.servers:
            self._note(NO_SERVER, f"{SERVERS_VARIABLE} names no debuginfod server")

    def report(self, text: str) -> DecodeReport:
        """Return what the log says."""
        traces, found = parse_oops(text)
        by_trace: dict[int, list[FoundFrame]] = {}
        for frame in found:
            by_trace.setdefault(frame.trace, []).append(frame)
        frames: list[Frame] = []
        suspects: list[Suspect] = []
        for number, trace in enumerate(counted(traces, "traces", self.observer)):
            own = by_trace.get(number, [])
            frames += self._of_trace(own, trace)
            named = suspect(trace, number, own)
            if named is not None:
                suspects.append(named)
        taints = [trace.tainted for trace in traces if trace.tainted is not None]
        return DecodeReport(
            **head("decode", self.context),
            traces=tuple(traces),
            frames=tuple(frames),
            taint=taints[0] if taints else None,
            suspect=suspects[0] if suspects else None,
            suspects=tuple(suspects),
            instructions=_instructions(traces),
            notes=tuple(self.notes),
        )

    # --- frames

    def _of_trace(self, found: list[FoundFrame], trace: Trace) -> list[Frame]:
        """Return the places that one trace names, each looked up in its build."""
        by_module: dict[tuple[str | None, str | None], list[FoundFrame]] = {}
        for frame in found:
            if has_file(frame):
                by_module.setdefault((frame.module, frame.build_id), []).append(frame)
        builds = {
            (module, build_id): self._build(module, trace.kernel, build_id if module else trace.build_id, frames)
            for (module, build_id), frames in by_module.items()
        }
        return [
            self._decoded(frame, builds[frame.module, frame.build_id] if has_file(frame) else None) for frame in found
        ]

    def _build(self, module: str | None, release: str | None, build_id: str | None, frames: list[FoundFrame]) -> _Build:
        """Return the files of the build that a trace is of; those of the kernel without a module.

        Without a build-id in the text it is the first one that has all functions of the module that the trace names,
        with their lengths. One that lacks some is another build, and all that it says of lines may be wrong.
        """
        wanted = frozenset((frame.symbol, frame.length) for frame in frames)
        key = module, release, build_id, wanted
        if key not in self._chosen:
            self._chosen[key] = self._choose(module, release, build_id, wanted)
        return self._chosen[key]

    def _choose(
        self,
        module: str | None,
        release: str | None,
        build_id: str | None,
        wanted: Iterable[tuple[str | None, int | None]],
    ) -> _Build:
        """Look for the build that `_build` returns, and note why there is none."""
        builds = self._builds(module, release, build_id)
        if not builds:
            if module is not None:
                self._note(NO_FILE, "no file of the module is known; --debug=DIR looks in DIR", module)
            return _Build(module, None, [])
        for codes in builds.values():
            is_named = build_id is not None and codes[0].build_id is not None and codes[0].build_id.hex() == build_id
            if is_named or (build_id is None and _may_be(codes, release, wanted)):
                return _Build(module, codes[0].path, codes)
        other = next(iter(builds.values()))[0].path
        advice = "--debug=DIR looks in DIR" if module else "--vmlinux=FILE names the right one"
        self._note(OTHER_BUILD, f"another build than the one that failed; {advice}", module or VMLINUX, other)
        return _Build(module, other, [])

    def _decoded(self, found: FoundFrame, build: _Build | None) -> Frame:
        """Return a place as a frame; the same place in another trace is not looked up again."""
        key = (found.symbol, found.offset, found.length, found.kind, build)
        known = self._frames.get(key)
        if known is None:
            known = self._frames[key] = self._looked_up(found, build)
        return known.replace(
            text=found.text, trace=found.trace, line=found.line, reliable=found.reliable, address=found.address
        )

    def _looked_up(self, found: FoundFrame, build: _Build | None) -> Frame:
        """Return a place with its source lines, as far as they are known."""
        frame = Frame(
            text=found.text,
            kind=found.kind,
            symbol=found.symbol,
            offset=found.offset,
            length=found.length,
            module=found.module,
            build_id=found.build_id,
            address=found.address,
            file=None,
            section=None,
            section_offset=None,
            lines=(),
            match=None,
            alternatives=(),
            reliable=found.reliable,
            trace=found.trace,
            line=found.line,
        )
        if build is None or build.file is None or found.symbol is None or found.offset is None or found.length is None:
            return frame
        frame = frame.replace(file=build.file, match=MISMATCH)
        for code in build.codes:
            match, functions = fitting(code.functions.get(found.symbol, ()), found.offset, found.length)
            if match == MISMATCH:
                continue
            located = self._located(frame, match, code, functions, place_to_look_at(found), found.offset)
            if frame.match == MISMATCH:
                frame = located
            if located.lines or any(other.lines for other in located.alternatives):
                return located
        if frame.match != MISMATCH:
            self._say_why_no_lines(build)
        return frame

    def _located(
        self, frame: Frame, match: str, code: ModuleCode, functions: list[Function], place: int, offset: int
    ) -> Frame:
        places = [
            Alternative(function.section_name, function.value + offset, code.lines(function, place))
            for function in functions
        ]
        if len(places) > 1:
            return frame.replace(file=code.path, match=match, alternatives=tuple(places))
        (only,) = places
        return frame.replace(
            file=code.path,
            match=match,
            section=only.section,
            section_offset=only.section_offset,
            lines=only.lines,
        )

    def _say_why_no_lines(self, build: _Build) -> None:
        damaged = next((code for code in build.codes if code.damage), None)
        name = build.module or VMLINUX
        if damaged and damaged.damage:
            self._note(DAMAGED, damaged.damage.reason, name, damaged.path)
        elif not any(code.has_debug for code in build.codes):
            self._note(NO_DEBUG, "no debugging data: install those of the distribution, or see --debug", name)
        elif not is_readable():
            text = f"kmod decode needs the Python package {PACKAGE} for source lines, which is not installed"
            self._note(NO_LIBRARY, text)

    # --- files of a module or the kernel

    def _builds(self, module: str | None, release: str | None, build_id: str | None) -> _Builds:
        """Return the files that may have the code, those of one build together, that of the tree first."""
        key = module, release or "", build_id
        if key not in self._files:
            self._files[key] = self._look_for_builds(module, release, build_id)
        return self._files[key]

    def _look_for_builds(self, module: str | None, release: str | None, build_id: str | None) -> _Builds:
        builds: _Builds = {}
        entry = self._entry(module, release) if module else None
        for path in self._paths(module, release, entry):
            self._add(builds, path, module)
        own = build_id or (None if module or self._vmlinux else self._running(release))
        ids = dict.fromkeys([*([own] if own else []), *[key.hex() for key in builds if isinstance(key, bytes)]])
        for known in ids:
            for path in self.directories.by_build_id(known):
                self._add(builds, path, module)
        for path in self.directories.by_path(entry) if entry else ():
            self._add(builds, path, module)
        for known in ids if self.servers else ():
            if not any(code.has_debug for code in builds.get(bytes.fromhex(known), ())):
                self._add_fetched(builds, known, module)
        return builds

    def _add_fetched(self, builds: _Builds, build_id: str, module: str | None) -> None:
        """Add what a server has of a build, if it gave what it was asked for."""
        path = self._fetch(build_id)
        code = self._code(path) if path else None
        if path and code and code.build_id == bytes.fromhex(build_id):
            self._add(builds, path, module)
        elif path and code:
            self._note(NO_SERVER, "the server gave debugging data of another build", module, path)

    def _add(self, builds: _Builds, path: str, module: str | None) -> None:
        code = self._code(path)
        if (
            code is not None
            and code.is_module == (module is not None)
            and code not in builds.get(code.build_id or path, ())
        ):
            builds.setdefault(code.build_id or path, []).append(code)

    def _paths(self, module: str | None, release: str | None, entry: str | None) -> list[str]:
        if module is not None:
            return [*([entry] if entry else []), *self.directories.by_name(module)]
        if self._vmlinux is not None:
            return [self._vmlinux]
        return self.directories.of_kernel(release or self.context.roots.release)

    def _running(self, release: str | None) -> str | None:
        """Return the build-id of the running kernel if a trace may be of it."""
        live, roots = self.context.live, self.context.roots
        if not live.is_asked or release not in (None, roots.kernel_release):
            return None
        try:
            found = live.kernel_build_id()
        except Error:
            return None
        return found.hex() if found else None

    def _entry(self, module: str, release: str | None) -> str | None:
        """Return the path of a module in the tree of a release."""
        context = self._context_of(release)
        if context is None or not context.exists:
            return None
        entry = context.tree.find(module)
        return entry.path if entry else None

    def _code(self, path: str) -> ModuleCode | None:
        if path not in self._codes:
            self._codes[path] = None
            try:
                self._codes[path] = ModuleCode(path)
            except Error as error:
                self._note(DAMAGED, error.reason, None, path)
        return self._codes[path]

    def _fetch(self, build_id: str) -> str | None:
        if build_id not in self._fetched:
            self._fetched[build_id] = None
            try:
                self._fetched[build_id] = fetch_debuginfo(self.servers, build_id, cache_directory())
            except Error as error:
                self._note(NO_SERVER, error.reason, None, error.path)
        return self._fetched[build_id]

    def _context_of(self, release: str | None) -> Context | None:
        """Return the context with the modules of a release, None when there are none."""
        roots = self.context.roots
        if release is None or release == roots.kernel_release:
            return self.context
        if release not in self._contexts:
            if roots.release:
                self._note(OTHER_TREE, f"the trace is of {release}, the modules looked at are of {roots.release}")
                self._contexts[release] = self.context
            else:
                other = Context(roots.replace(release=release), live=False)
                if not other.exists:
                    self._note(NO_TREE, f"there are no modules of {release}", None, other.tree.directory)
                self._contexts[release] = other if other.exists else None
        return self._contexts[release]

    def _note(self, code: str, text: str, module: str | None = None, file: str | None = None) -> None:
        self.notes[Diagnostic(code, NOTE, text, module=module, file=file)] = None


def _may_be(codes: list[ModuleCode], release: str | None, wanted: Iterable[tuple[str | None, int | None]]) -> bool:
    """Tell whether files have all functions of a trace, with their lengths, and are of the same release as it."""
    releases = {code.release for code in codes if code.release}
    return (not release or releases <= {release}) and all(_has(codes[0], *place) for place in wanted)


def _has(code: ModuleCode, symbol: str | None, length: int | None) -> bool:
    named = code.functions.get(symbol or "", ())
    return any(function.has_length(length or 0) for function in named)


def _instructions(traces: list[Trace]) -> tuple[Instruction, ...] | None:
    found: list[Instruction] = []
    for number, trace in enumerate(traces):
        if trace.code:
            more = disassemble(trace.code, trace.machine, number)
            if more is None:
                return None
            found += more
    return tuple(found)
