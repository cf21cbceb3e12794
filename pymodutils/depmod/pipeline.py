"""All stages together: from a module directory to the bytes of every file. Reads, but writes and prints nothing."""

from __future__ import annotations

import os

from ..errors import Error, FileError, MissingSupportError
from ..formats.pieces import join
from ..names import decode
from ..records import Record
from ..state.files import read_or_none
from . import render
from .cache import NOTHING_KNOWN, encode_known
from .extract import EXPORTS, FAILURE, INFOS, NEEDS, ORDER, put_in_order
from .order import full_dependencies
from .resolve import Resolution, direct_dependencies, look_up_names, resolve
from .scan import OrderProblem, scan, scan_files, sort_modules
from .share import SharedWork
from .symbol_numbers import numbers_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .cache import Known
    from .extract import Facts
    from .observer import Observer
    from .render import LeftOut
    from .scan import Found
    from .settings import Settings
    from .stamps import Stamps


class Inputs(Record):
    """What a run starts from: the modules in their order, duplicates as in `Scan`, and the directories read."""

    directory: str
    modules: list[Found]
    duplicates: list[tuple[bytes, bytes, bytes]]
    directories: list[bytes]

    def full_path(self, path: bytes) -> str:
        """A path of `paths` in full."""
        shown = os.fsdecode(path)
        return shown if shown.startswith("/") else f"{self.directory}/{shown}"

    @property
    def names(self) -> list[bytes]:
        """The modules' names."""
        return [name for name, _ in self.modules]

    @property
    def paths(self) -> list[bytes]:
        """The modules' paths as modules.dep shows them."""
        return [path for _, path in self.modules]


class Built(Record):
    """What a run made: the bytes of each file, and all that a report or a cache can tell."""

    files: dict[str, bytes]
    facts: list[Facts]
    encoded: bytes
    """The facts as the cache has them, if stamps were taken."""
    stamps: Stamps
    """Of each module by path, from before it was read."""
    reused: int
    """Modules whose facts an earlier run had found."""
    resolution: Resolution
    """Empty but for the names when nothing had to be resolved anew."""


class MissingBesideError(FileError):
    """A file that the kernel's build puts into the module directory is not there."""


class BadBuiltinLineError(Error):
    """A line of modules.builtin (`reason`) that is no path."""


class BrokenModuleError(Error):
    """A module file whose symbols cannot be read."""


class IncompleteDeviceError(Error):
    """A module names its device file (`reason`), but not the numbers."""


def gather(directory: str, settings: Settings, paths: Sequence[bytes] | None, observer: Observer) -> Inputs:
    """Scan and order the modules: all, or those at `paths`.

    Raises `FileError` when the directory or one of `paths` is missing.
    """
    where = os.fsencode(directory)
    observer.begin("scan")
    found = scan(where, settings, observer.progress) if paths is None else scan_files(where, paths)
    for problem in found.problems:
        observer.tell(problem)
    modules = found.modules
    problems: list[Error | LeftOut] = []
    order = _beside(directory, "modules.order", problems)
    for item in problems:
        observer.tell(item)
    try:
        modules = sort_modules(modules, order, f"{directory}/modules.order")
    except OrderProblem as problem:
        observer.tell(problem)
    inputs = Inputs(directory, modules, found.duplicates, found.directories)
    observer.gathered(inputs)
    return inputs


def _beside(directory: str, name: str, problems: list[Error | LeftOut]) -> bytes | None:
    """The contents of a file in the module directory; None when there is none, which is added to `problems`."""
    path = f"{directory}/{name}"
    try:
        data = read_or_none(path)
    except FileError as error:
        problems.append(error)
        return None
    if data is None:
        problems.append(MissingBesideError(os.strerror(2), path=path, errno=2))
    return data


class Previous(Record):
    """An earlier run with the same settings that had nothing to complain of, and whose files are all still there.

    `known` is in the order of its modules; `read` gives the bytes of one of its files.
    """

    known: Known
    read: Callable[[str], bytes]

    def same(self, paths: Sequence[bytes], facts: Sequence[Facts], symbols: Sequence[bytes], *fields: int) -> bool:
        """Whether it had the same modules in the same order with the same `fields`. Facts taken over are identical."""
        extracts = self.known.extracts
        if list(extracts) != list(paths):
            return False

        def same_needs(old: Facts, now: Facts) -> bool:
            # Shuffled, it did not matter then in which order they are.
            if old[ORDER] != now[ORDER]:
                return False
            return old[NEEDS] == now[NEEDS] or symbol_names(old) == symbol_names(now)

        def symbol_names(facts: Facts) -> list[bytes]:
            return [symbols[number] for number in numbers_of(facts[NEEDS])]

        return all(
            same_needs(old, now) if field == NEEDS else old[field] == now[field]
            for (_, old), now in zip(extracts.values(), facts, strict=True)
            if old is not now
            for field in fields
        )


def build(
    inputs: Inputs,
    observer: Observer,
    known: Known = NOTHING_KNOWN,
    prefix: bytes = b"",
    *,
    texts_only: bool = False,
    stamped: bool = True,
    previous: Previous | None = None,
) -> Built:
    """Extract, resolve, order and render; files with the stamp that they have in `known` are not read.

    What comes from facts that are those of `previous` is taken from its files. Without `stamped` no stamps are taken
    and no facts encoded, which a run that keeps no cache does not need. Raises `CycleError`, `MissingSupportError`, and
    `FileError` when the directory or a file of `previous` goes away.
    """
    observer.begin("extract")
    with SharedWork(
        inputs.directory, inputs.names, inputs.paths, known, stamped=stamped, in_order=observer.wants_order
    ) as work:
        extracts = work.extract_all(observer.progress)
        facts = [facts for _, facts in extracts]
        for path, fact in zip(inputs.paths, facts, strict=True):
            if fact[FAILURE]:
                _tell_of_failure(inputs.full_path(path), fact[FAILURE], observer)
        symbols = work.symbol_names()
        reusable = _reusable(inputs, facts, symbols, previous)
        makes_info_files = INFO_FILES.isdisjoint(reusable)
        if makes_info_files:
            work.begin_info_files(facts)
        resolution, files, left_out = _resolve_and_render(inputs, work, facts, symbols, prefix, reusable, observer)
        builtin_files, builtin_problems = _render_builtin(inputs)
        encoded = encode_known(facts, symbols) if stamped else b""
        incomplete: list[tuple[bytes, bytes]] = []
        if makes_info_files:  # last, as a second process may be at work on them
            info_files, incomplete, unfit = work.info_files(facts)
            files |= info_files
            left_out += unfit
        reused = work.reused
    if not texts_only:
        for item in left_out + builtin_problems:
            observer.tell(item)
        files |= builtin_files
    for name, node in incomplete:
        observer.tell(IncompleteDeviceError(decode(node), module=decode(name)))
    stamps = dict(zip(inputs.paths, [stamp for stamp, _ in extracts], strict=True))
    wanted = {name: files[name] for name in render.FILES if not texts_only or not name.endswith(".bin")}
    return Built(wanted, facts, encoded, stamps, reused, resolution)


def _tell_of_failure(path: str, failure: bytes, observer: Observer) -> None:
    """A module could not be read; `failure` is the last field of its facts. Raises `MissingSupportError`.

    That is no fault of the module, and the others in the directory will be the same: to go on would be to put indexes
    that know nothing in place of good ones.
    """
    number, _, reason = os.fsdecode(failure).partition(" ")
    if int(number) == MissingSupportError.default_errno:
        raise MissingSupportError(reason, path=path)
    observer.tell(BrokenModuleError(reason, path=path, errno=int(number)))


SYMBOL_FILES = frozenset(("modules.symbols", "modules.symbols.bin"))
DEP_FILES = frozenset(("modules.dep", "modules.dep.bin"))
INFO_FILES = frozenset(
    ("modules.alias", "modules.alias.bin", "modules.softdep", "modules.weakdep", "modules.devname")
)  # fmt: skip
SOURCES = {SYMBOL_FILES: (EXPORTS,), DEP_FILES: (EXPORTS, NEEDS), INFO_FILES: (INFOS,)}
"""Of which facts, apart from the modules' names and order, these files are made."""


def _reusable(
    inputs: Inputs, facts: Sequence[Facts], symbols: Sequence[bytes], previous: Previous | None
) -> dict[str, bytes]:
    """Files of `previous` that would come out the same."""
    if previous is None:
        return {}
    same = [names for names, fields in SOURCES.items() if previous.same(inputs.paths, facts, symbols, *fields)]
    return {name: previous.read(name) for names in same for name in names}


def _resolve_and_render(
    inputs: Inputs,
    work: SharedWork,
    facts: list[Facts],
    symbols: Sequence[bytes],
    prefix: bytes,
    reusable: dict[str, bytes],
    observer: Observer,
) -> tuple[Resolution, dict[str, bytes], list[LeftOut]]:
    """The files of dependencies and symbols beside the `reusable` ones, and what did not fit into them.

    Those of the `facts` whose order decided something are put in order: the next run need not ask for it again, and
    asks for that of the same module if it has changed.
    """
    observer.begin("resolve")
    files = dict(reusable)
    left_out: list[LeftOut] = []
    if not DEP_FILES.isdisjoint(files):  # then the symbols are the same, too
        observer.begin("render")
        return Resolution(symbols, {}, [], []), files, left_out
    names = inputs.names
    resolution = resolve(facts, symbols, prefix)
    observer.resolved(inputs, facts, resolution)
    observer.begin("order")

    def in_order(module: int) -> list[int]:
        """The module's dependencies in the order of first need."""
        dependencies = resolution.dependencies
        if facts[module][ORDER]:
            undefined = work.undefined_symbols(module)
            ordered = direct_dependencies(look_up_names(undefined, prefix), resolution.owners)
            if set(ordered) == set(dependencies[module]):  # else the file changed just now
                facts[module] = put_in_order(facts[module], undefined, symbols)
                dependencies[module] = ordered
        return dependencies[module]

    lines = render.dep_lines(inputs.paths, full_dependencies(resolution.dependencies, names, in_order))
    observer.begin("render")
    files["modules.dep"] = join([line + b"\n" for line in lines])
    files["modules.dep.bin"] = render.dep_index(names, lines, left_out)
    if SYMBOL_FILES.isdisjoint(files):
        files["modules.symbols"] = render.symbol_text(names, resolution.owners)
        files["modules.symbols.bin"] = render.symbol_index(names, resolution.owners, left_out)
    return resolution, files, left_out


def _render_builtin(inputs: Inputs) -> tuple[dict[str, bytes], list[Error | LeftOut]]:
    """The two indexes of builtin modules, and what was wrong."""
    problems: list[Error | LeftOut] = []
    bad_lines: list[bytes] = []
    left_out: list[LeftOut] = []
    paths = _beside(inputs.directory, "modules.builtin", problems)
    index = render.builtin_index(paths or b"", bad_lines, left_out)
    problems += [BadBuiltinLineError(os.fsdecode(line)) for line in bad_lines]
    modinfo = _beside(inputs.directory, "modules.builtin.modinfo", problems)
    alias_index = render.builtin_alias_index(modinfo or b"", left_out)
    return {"modules.builtin.bin": index, "modules.builtin.alias.bin": alias_index}, problems + left_out
