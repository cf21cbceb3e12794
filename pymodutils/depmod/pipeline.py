# SPDX-License-Identifier: LGPL-2.1-or-later
"""Extract, resolve, order, render: turn the modules of a run into the bytes of every file, and write nothing."""

from __future__ import annotations

import errno
import os

from ..diagnostics import ERROR, Diagnostic
from ..errors import MissingSupportError
from ..formats.pieces import join_many
from ..names import decode
from ..records import Record
from . import render
from .cache import NO_CACHED_FACTS, encode_facts
from .extract import put_in_order
from .extractor import Extractor
from .facts import decode_failure
from .findings import BrokenModule
from .inputs import read_build_file
from .order import full_dependencies
from .resolve import Resolution, direct_dependencies, look_up_names, resolve_symbols
from .share import SharedWork
from .symbol_ids import unpack_ids

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .cache import CachedFacts
    from .facts import ModuleFacts
    from .findings import Checks, Findings
    from .inputs import Inputs
    from .observer import RunObserver
    from .render import RejectedKey
    from .stamps import Stamps


class BuildRequest(Record):
    """What is to be built, and from what.

    `prefix` is a character before each symbol, or empty. Files with the stamp that they have in `cached` are not read.
    What comes from facts that are those of `previous` is taken from its files. Without `stamped` no stamps are taken
    and no facts encoded, which a run that keeps no cache does not need. `texts_only` makes the text files alone.
    """

    inputs: Inputs
    prefix: bytes = b""
    cached: CachedFacts = NO_CACHED_FACTS
    previous: PreviousRun | None = None
    checks: Checks | None = None
    stamped: bool = True
    texts_only: bool = False


class BuildResult(Record):
    """What a run made: the bytes of each file, and all that a report or a cache can tell.

    `encoded` are the facts as the cache has them, if stamps were taken. `stamps` are from before each module was read.
    `reused` counts the modules whose facts an earlier run had found. `resolution` is empty but for the names when
    nothing had to be resolved again.
    """

    files: dict[str, bytes]
    facts: list[ModuleFacts]
    encoded: bytes
    stamps: Stamps
    reused: int
    resolution: Resolution


class PreviousRun(Record):
    """An earlier run with the same settings that had nothing to complain of, and whose files are all still there.

    `cached` is in the order of its modules; `read` gives the bytes of one of its files.
    """

    cached: CachedFacts
    read: Callable[[str], bytes]

    def has_same(
        self, paths: Sequence[bytes], facts: Sequence[ModuleFacts], symbols: Sequence[bytes], fields: Sequence[str]
    ) -> bool:
        """Tell whether it had the same modules in the same order with the same `fields` of their facts."""
        extracts = self.cached.extracts
        if list(extracts) != list(paths):
            return False

        def same_needs(old: ModuleFacts, now: ModuleFacts) -> bool:
            # Shuffled, it did not matter then in which order they are.
            if old.shuffled != now.shuffled:
                return False
            return old.needs == now.needs or symbol_names(old) == symbol_names(now)

        def symbol_names(facts: ModuleFacts) -> list[bytes]:
            return [symbols[symbol] for symbol in unpack_ids(facts.needs)]

        return all(
            same_needs(old, now) if field == "needs" else getattr(old, field) == getattr(now, field)
            for (_, old), now in zip(extracts.values(), facts, strict=True)
            if old is not now  # facts taken over are identical
            for field in fields
        )


def build_files(request: BuildRequest, findings: Findings, observer: RunObserver) -> BuildResult:
    """Make the bytes of all files, and add to `findings` what the checks of the request find.

    Raises `CycleError`, `MissingSupportError`, and `FileError` when the directory or a file of the previous run goes
    away.
    """
    inputs, stamped = request.inputs, request.stamped
    in_order = request.checks is not None and request.checks.want_order
    observer.begin("extract")
    extractor = Extractor(
        inputs.directory,
        inputs.real_paths,
        request.cached,
        stamped=stamped,
        in_order=in_order,
        want_versions=request.checks is not None and request.checks.want_versions,
    )
    with SharedWork(inputs.names, extractor) as work:
        extracts = work.extract_all(lambda done, total: observer.progress(done, total, "modules"))
        facts = [facts for _, facts in extracts]
        _report_failures(inputs, facts, findings, observer)
        symbols = work.symbol_names()
        reusable = _reusable(inputs, facts, symbols, request.previous)
        makes_info_files = INFO_FILES.isdisjoint(reusable)
        if makes_info_files:
            work.begin_info_files(facts)
        resolution, files, rejected = resolve_and_render(request, work, facts, symbols, reusable, findings, observer)
        builtin_files, builtin_problems = render_builtin(inputs)
        encoded = encode_facts(facts, symbols) if stamped else b""
        incomplete: list[tuple[bytes, bytes]] = []
        if makes_info_files:  # last, as a second process may be at work on them
            info_files, incomplete, unfit = work.info_files(facts)
            files |= info_files
            rejected += unfit
        if DEP_FILES.isdisjoint(reusable):
            files["modules.dep.bin"], unfit = work.dep_index()
            rejected = unfit + rejected
    if not request.texts_only:
        for problem in [key.diagnostic() for key in rejected] + builtin_problems:
            observer.diagnostic(problem)
        files |= builtin_files
    for device in incomplete:
        observer.diagnostic(incomplete_device(device))
    stamps = dict(zip(inputs.paths, [stamp for stamp, _ in extracts], strict=True))
    wanted = {name: files[name] for name in render.FILES if not request.texts_only or not name.endswith(".bin")}
    return BuildResult(wanted, facts, encoded, stamps, extractor.reused, resolution)


def incomplete_device(device: tuple[bytes, bytes]) -> Diagnostic:
    """Return what is to be said of a module and its device file without numbers."""
    name, node = map(decode, device)
    text = "a device file without numbers"
    return Diagnostic("incomplete-device", ERROR, text, module=name, subject=node)


def _report_failures(inputs: Inputs, facts: Sequence[ModuleFacts], findings: Findings, observer: RunObserver) -> None:
    """Tell of modules that could not be read. Raises `MissingSupportError`.

    That one is no fault of the module, and the others in the directory will be the same: to go on would be to put
    indexes that know nothing in place of good ones.
    """
    for (name, path), fact in zip(inputs.modules, facts, strict=True):
        if not fact.failure:
            continue
        number, reason = decode_failure(fact.failure)
        where = inputs.full_path(path)
        if number == errno.ENOSYS:
            raise MissingSupportError(reason, path=where)
        findings.broken.append(BrokenModule(where, os.strerror(number), reason))
        observer.diagnostic(Diagnostic("broken-module", ERROR, reason, module=decode(name), file=where, errno=number))


SYMBOL_FILES = frozenset(("modules.symbols", "modules.symbols.bin"))
DEP_FILES = frozenset(("modules.dep", "modules.dep.bin"))
INFO_FILES = frozenset(
    ("modules.alias", "modules.alias.bin", "modules.softdep", "modules.weakdep", "modules.devname")
)  # fmt: skip
SOURCES: dict[frozenset[str], tuple[str, ...]] = {
    SYMBOL_FILES: ("exports",),
    DEP_FILES: ("exports", "needs"),
    INFO_FILES: ("infos",),
}
"""Of which facts, apart from the modules' names and order, these files are made."""


def _reusable(
    inputs: Inputs, facts: Sequence[ModuleFacts], symbols: Sequence[bytes], previous: PreviousRun | None
) -> dict[str, bytes]:
    # Files of the previous run that would come out the same.
    if previous is None:
        return {}
    same = [names for names, fields in SOURCES.items() if previous.has_same(inputs.paths, facts, symbols, fields)]
    return {name: previous.read(name) for names in same for name in names}


def resolve_and_render(
    request: BuildRequest,
    work: SharedWork,
    facts: list[ModuleFacts],
    symbols: Sequence[bytes],
    reusable: dict[str, bytes],
    findings: Findings,
    observer: RunObserver,
) -> tuple[Resolution, dict[str, bytes], list[RejectedKey]]:
    """Make the files of dependencies and symbols that are not `reusable`, and return what did not fit into them.

    Of modules.dep.bin the lines are handed over to `work`, which returns it later.
    Those of the `facts` whose order decided something are put in order for the cache: the next run need not ask for it
    again, and asks for that of the same module if it has changed.
    """
    observer.begin("resolve")
    files = dict(reusable)
    rejected: list[RejectedKey] = []
    if not DEP_FILES.isdisjoint(files):  # then the symbols are the same, too
        observer.begin("render")
        return Resolution(symbols, {}, [], []), files, rejected
    inputs, prefix, names = request.inputs, request.prefix, request.inputs.names
    resolution = resolve_symbols(facts, symbols, prefix)
    if request.checks and request.checks.are_any:
        from .check import run_checks

        for problem in run_checks(request.checks, findings, inputs, facts, resolution, prefix, work.versions):
            observer.diagnostic(problem)
    observer.begin("order")

    def in_order(module: int) -> list[int]:
        """Return the module's dependencies in the order of first need."""
        dependencies = resolution.dependencies
        if facts[module].shuffled:
            undefined = work.undefined_symbols(module)
            ordered = direct_dependencies(look_up_names(undefined, prefix), resolution.owners)
            if set(ordered) == set(dependencies[module]):  # else the file changed just now
                if request.stamped:
                    facts[module] = put_in_order(facts[module], undefined, symbols)
                dependencies[module] = ordered
        return dependencies[module]

    lines = render.dep_lines(inputs.paths, full_dependencies(resolution.dependencies, names, in_order))
    work.begin_dep_index(lines)
    observer.begin("render")
    files["modules.dep"] = join_many([line + b"\n" for line in lines])
    if SYMBOL_FILES.isdisjoint(files):
        files["modules.symbols"] = render.symbol_text(names, resolution.owners)
        files["modules.symbols.bin"] = render.symbol_index(names, resolution.owners, rejected)
    return resolution, files, rejected


def render_builtin(inputs: Inputs) -> tuple[dict[str, bytes], list[Diagnostic]]:
    """Make the two indexes of builtin modules, and return what was wrong as well."""
    problems: list[Diagnostic] = []
    bad_lines: list[bytes] = []
    rejected: list[RejectedKey] = []
    paths = _read_build_file(inputs, "modules.builtin", problems)
    index = render.builtin_index(paths or b"", bad_lines, rejected)
    text, file = "no path", f"{inputs.directory}/modules.builtin"
    problems += [
        Diagnostic("bad-builtin-line", ERROR, text, file=file, subject=os.fsdecode(line)) for line in bad_lines
    ]
    modinfo = _read_build_file(inputs, "modules.builtin.modinfo", problems)
    alias_index = render.builtin_alias_index(modinfo or b"", rejected)
    files = {"modules.builtin.bin": index, "modules.builtin.alias.bin": alias_index}
    return files, problems + [key.diagnostic() for key in rejected]


def _read_build_file(inputs: Inputs, name: str, problems: list[Diagnostic]) -> bytes | None:
    return read_build_file(os.path.dirname(inputs.full_path(os.fsencode(name))), name, problems)
