"""All stages together: from a module directory to the bytes of every file. Reads, but writes and prints nothing."""

from __future__ import annotations

import os
import time

from ..errors import Error, FileError
from ..records import Record
from ..state.files import read_or_none
from . import parallel, render
from .extract import extract
from .factcodec import decode_facts, encode_facts
from .order import full_dependencies
from .render import LeftOut
from .resolve import resolve, split
from .scan import OrderProblem, scan, scan_files, sort_modules

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .extract import Facts
    from .resolve import Resolution
    from .scan import Found, Scan
    from .settings import Settings

    Progress = Callable[[int, int], None]
    """Called now and then with how many modules have been read, of how many."""
    Listener = Callable[[Error | LeftOut], None]
    """Called with everything that is wrong and can be got over."""


class Inputs(Record):
    """What a run starts from: the modules in their order, and the files beside them (None: missing)."""

    directory: str
    modules: list[Found]
    duplicates: list[tuple[bytes, bytes, bytes]]

    def full_path(self, path: bytes) -> str:
        """A path of `paths` in full."""
        shown = os.fsdecode(path)
        return shown if shown.startswith("/") else f"{self.directory}/{shown}"

    @property
    def names(self) -> list[bytes]:
        """The modules' names."""
        return [name for name, _, _ in self.modules]

    @property
    def paths(self) -> list[bytes]:
        """The modules' paths as modules.dep shows them."""
        return [path for _, path, _ in self.modules]


class Built(Record):
    """What a run made: the bytes of each file, and all that a report can tell."""

    files: dict[str, bytes]
    facts: list[Facts]
    resolution: Resolution
    dependencies: list[list[int]]
    left_out: list[LeftOut]
    incomplete_devices: list[tuple[bytes, bytes]]
    bad_builtin_lines: list[bytes]
    seconds: dict[str, float]


def gather(directory: str, settings: Settings, paths: Sequence[bytes] | None, tell: Listener) -> Inputs:
    """Scan and order the modules: all, or those at `paths`. `tell` hears of what can be got over. Raises `FileError`."""
    where = os.fsencode(directory)
    found: Scan = scan(where, settings) if paths is None else scan_files(where, paths)
    for problem in found.problems:
        tell(problem)
    modules = found.modules
    order = _beside(directory, "modules.order", tell)
    try:
        modules = sort_modules(modules, order, f"{directory}/modules.order")
    except OrderProblem as problem:
        tell(problem)
    return Inputs(directory, modules, found.duplicates)


class MissingBesideError(FileError):
    """A file that the kernel's build puts into the module directory is not there."""


class BadBuiltinLineError(Error):
    """A line of modules.builtin (`reason`) that is no path."""


class BrokenModuleError(Error):
    """A module file whose symbols cannot be read."""

    @classmethod
    def of_fact(cls, path: str, failure: bytes) -> BrokenModuleError:
        """From the last field of `Facts`."""
        number, _, reason = os.fsdecode(failure).partition(" ")
        return cls(reason, path=path, errno=int(number))


def _beside(directory: str, name: str, tell: Listener) -> bytes | None:
    """The contents of a file in the module directory; None when there is none, which `tell` hears of."""
    path = f"{directory}/{name}"
    try:
        data = read_or_none(path)
    except FileError as error:
        tell(error)
        return None
    if data is None:
        tell(MissingBesideError(os.strerror(2), path=path, errno=2))
    return data


def build(inputs: Inputs, tell: Listener, *, prefix: bytes = b"", progress: Progress | None = None) -> Built:
    """Extract, resolve, order and render. Raises `CycleError`, and `FileError` when the directory goes away."""
    clock = _Clock()
    try:
        directory = os.open(inputs.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise FileError.of(error, inputs.directory) from None
    job = _Job(inputs, directory)
    helper = None
    try:
        helper = job.start_helper()
        facts = job.extract_all(helper, progress)
        for (_, path, _), fact in zip(inputs.modules, facts, strict=True):
            if fact[4]:
                tell(BrokenModuleError.of_fact(inputs.full_path(path), fact[4]))
        clock.lap("extract")
        resolution = resolve(facts, prefix)
        clock.lap("resolve")
        full = full_dependencies(resolution.dependencies, inputs.names)
        clock.lap("order")
        files, left_out, incomplete = _render(inputs, facts, resolution, full)
        aliases, unfit = job.alias_files(helper, facts)
        files.update(aliases)
        left_out += unfit
    finally:
        if helper:
            helper.stop()
        job.close()
    for item in left_out:
        tell(item)
    bad_lines = _render_builtin(inputs, files, tell)
    clock.lap("render")
    return Built(
        {name: files[name] for name in render.FILES},
        facts,
        resolution,
        full,
        left_out,
        incomplete,
        bad_lines,
        clock.seconds,
    )


class _Clock:
    """Wall time of the stages in seconds."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, stage: str) -> None:
        now = time.perf_counter()
        self.seconds[stage] = now - self._last
        self._last = now


class _Job:
    """The part of the work that two processes share: extraction, and the files of aliases."""

    def __init__(self, inputs: Inputs, directory: int) -> None:
        self._names = inputs.names
        self._paths = inputs.paths
        self._directory = directory
        self._tokens = parallel.Tokens(len(inputs.modules))

    def close(self) -> None:
        """Free the descriptors."""
        self._tokens.close()
        os.close(self._directory)

    def start_helper(self) -> parallel.Helper | None:
        """A second process at work, where there is a second CPU and enough to do."""
        if len(self._paths) < 4 * parallel.MIN_CHUNK or parallel.processors() < 2:
            return None
        return parallel.start(self._help)

    def _share(self, progress: Progress | None = None) -> dict[int, Facts]:
        """Extract chunk after chunk as long as there are any; facts by position."""
        facts = {}
        for chunk in self._tokens:
            for position in chunk:
                facts[position] = extract(self._directory, self._paths[position])
            if progress:
                progress(len(self._paths) - self._tokens.left(), len(self._paths))
        return facts

    def _help(self, channel: parallel.Channel) -> None:
        """What the second process does."""
        mine = self._share()
        channel.send(_positions(mine), encode_facts(list(mine.values())))
        message = channel.receive()
        if message is not None:
            facts = self._merge(mine, message)
            files, left_out = self._alias_files(facts)
            channel.send(encode_facts([_as_message(files, left_out)]))

    def extract_all(self, helper: parallel.Helper | None, progress: Progress | None) -> list[Facts]:
        """The facts of all modules, in order."""
        mine = self._share(progress)
        if helper is None:
            return [mine[position] for position in range(len(self._paths))]
        helper.send(_positions(mine), encode_facts(list(mine.values())))
        return self._merge(mine, helper.receive())

    def _merge(self, mine: dict[int, Facts], message: bytes | None) -> list[Facts]:
        """All facts in order, from one's own and the other process's message; what is missing is extracted here."""
        if message is not None:
            count = int.from_bytes(message[:4], "little")
            positions = memoryview(message)[4 : 4 + 4 * count].cast("I")
            mine.update(zip(positions, decode_facts(message[4 + 4 * count :]), strict=True))
        return [
            mine[position] if position in mine else extract(self._directory, path)
            for position, path in enumerate(self._paths)
        ]

    def alias_files(
        self, helper: parallel.Helper | None, facts: Sequence[Facts]
    ) -> tuple[dict[str, bytes], list[LeftOut]]:
        """modules.alias and its index, from the helper if it lives."""
        message = helper.receive() if helper else None
        if message is None:
            return self._alias_files(facts)
        ((text, index, brackets, others, _),) = decode_facts(message)
        return {"modules.alias": text, "modules.alias.bin": index}, _unpack_left_out(brackets, others)

    def _alias_files(self, facts: Sequence[Facts]) -> tuple[dict[str, bytes], list[LeftOut]]:
        left_out: list[LeftOut] = []
        return {
            "modules.alias": render.alias_text(self._names, facts),
            "modules.alias.bin": render.alias_index(self._names, facts, left_out),
        }, left_out


def _positions(facts: dict[int, Facts]) -> bytes:
    """The number of modules and their positions, ahead of their facts."""
    from array import array

    return len(facts).to_bytes(4, "little") + array("I", facts).tobytes()


def _as_message(files: dict[str, bytes], left_out: Sequence[LeftOut]) -> Facts:
    """What the helper hands back, in the form of one module's facts."""
    text, index = files.values()
    brackets = b"\0".join([item.key for item in left_out if item.bracket])
    others = b"\0".join([item.key for item in left_out if not item.bracket])
    return text, index, brackets, others, b""


def _unpack_left_out(brackets: bytes, others: bytes) -> list[LeftOut]:
    found = [LeftOut(key, True) for key in split(brackets)]
    return found + [LeftOut(key, False) for key in split(others)]


def _render(
    inputs: Inputs, facts: list[Facts], resolution: Resolution, full: list[list[int]]
) -> tuple[dict[str, bytes], list[LeftOut], list[tuple[bytes, bytes]]]:
    """Every file but those that the helper makes and the builtin ones; with what did not fit into them."""
    names = inputs.names
    left_out: list[LeftOut] = []
    incomplete: list[tuple[bytes, bytes]] = []
    lines = render.dep_lines(inputs.paths, full)
    files = {
        "modules.dep": b"".join([line + b"\n" for line in lines]),
        "modules.dep.bin": render.dep_index(names, lines, left_out),
        "modules.softdep": render.info_text(render.SOFTDEP_TITLE, b"softdep", names, facts),
        "modules.weakdep": render.info_text(render.WEAKDEP_TITLE, b"weakdep", names, facts),
        "modules.symbols": render.symbol_text(names, resolution.owners),
        "modules.symbols.bin": render.symbol_index(names, resolution.owners, left_out),
        "modules.devname": render.devname_text(names, facts, incomplete),
    }
    return files, left_out, incomplete


def _render_builtin(inputs: Inputs, files: dict[str, bytes], tell: Listener) -> list[bytes]:
    """Add the two indexes of builtin modules to `files`; the lines of modules.builtin that are no paths."""
    bad_lines: list[bytes] = []
    left_out: list[LeftOut] = []
    data = _beside(inputs.directory, "modules.builtin", tell) or b""
    files["modules.builtin.bin"] = render.builtin_index(data, bad_lines, left_out)
    for line in bad_lines:
        tell(BadBuiltinLineError(os.fsdecode(line)))
    data = _beside(inputs.directory, "modules.builtin.modinfo", tell) or b""
    files["modules.builtin.alias.bin"] = render.builtin_alias_index(data, left_out)
    for item in left_out:
        tell(item)
    return bad_lines
