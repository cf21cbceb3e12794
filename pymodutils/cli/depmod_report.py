"""What depmod has to say: problems in words, the lines of -v, -e and -w, the progress line, and the JSON summary."""

from __future__ import annotations

import time

from ..depmod.observer import Observer
from ..depmod.scan import MissingDirectoryError, OrderProblem, UnusableFileError, UnusableOperandError
from ..diagnostics import Diagnostic
from ..effects.publish import WriteError
from ..errors import FileError
from ..formats.depmodconf import BadDepmodLine
from ..formats.index import MAX_KEY
from ..names import decode
from ..state.files import read_file
from .common import Finished

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..depmod.extract import Facts
    from ..depmod.pipeline import Built, Inputs
    from ..depmod.render import LeftOut
    from ..depmod.resolve import KernelSymbols, Resolution
    from ..errors import CycleError, Error, FormatError, MissingSupportError
    from .console import Console

NO_DATA = 61
"""errno of a module without symbols, which is nothing to complain of."""

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


class Teller(Observer):
    """Follows a run and tells the user. `flags` are the names of the options given."""

    def __init__(
        self, console: Console, flags: frozenset[str], symvers: str | None, system_map: str | None, prefix: bytes
    ) -> None:
        super().__init__()
        self.wants_order = not flags.isdisjoint(("verbose", "errsyms"))
        self._console = console
        self._flags = flags
        self._symvers = symvers
        self._system_map = system_map
        self._prefix = prefix
        self._progress = _Progress(console)
        self._inputs: Inputs | None = None
        self._kernel: KernelSymbols | None = None
        self._broken: list[dict[str, str]] = []
        self._missing: dict[str, list[str]] = {}
        """Unknown symbols, and the modules that need them."""

    # --- as the run goes on

    def waiting(self) -> None:
        """Another depmod is at work."""
        self._console.warning("another depmod is at work in the same directory; waiting for it to end")

    def gathered(self, inputs: Inputs) -> None:
        """The modules are known, which a summary shows also when nothing comes of them."""
        self._inputs = inputs

    def read_kernel_symbols(self) -> None:
        """The kernel's own symbols by -E or else -F. Raises `Finished`."""
        from ..depmod.resolve import parse_symvers, parse_system_map

        path = self._system_map if self._symvers is None else self._symvers
        if path is None:
            return
        try:
            data = read_file(path)
        except FileError as error:
            self._console.fatal(f"could not load {path}: {error.strerror}")
            raise Finished(1) from None
        problems: list[FormatError] = []
        if self._symvers is None:
            self._kernel = parse_system_map(data, path, problems, self._prefix)
        else:
            self._kernel = parse_symvers(data, path, problems, self._prefix)
        for problem in problems:
            self._console.error(f"{problem.path}:{problem.line}{problem.reason}")

    def begin(self, stage: str) -> None:
        """Show what is being done from now on."""
        super().begin(stage)
        self._progress.what = STAGES.get(stage, "")
        self._progress.show()

    def progress(self, done: Callable[[], int] | None = None, total: int = 0) -> None:
        """Show how far it is."""
        self._progress.show(done, total)

    def resolved(self, inputs: Inputs, facts: Sequence[Facts], resolution: Resolution) -> None:
        """The lines of -v, -e and -w."""
        if "verbose" in self._flags:
            self._show_needs(inputs, facts, resolution)
        if self._kernel is not None and self._flags & {"errsyms", "json"}:
            self._check_symbols(inputs, facts, resolution, self._kernel)
        if "warn" in self._flags and "show" not in self._flags:
            self._warn_of_doubled_aliases(inputs, facts)

    def _show_needs(self, inputs: Inputs, facts: Sequence[Facts], resolution: Resolution) -> None:
        from ..depmod.check import first_needs

        paths = [inputs.full_path(path) for path in inputs.paths]
        for module, symbol, owner in first_needs(facts, resolution, self._prefix):
            self._console.write(f'{paths[module]} needs "{decode(symbol)}": {paths[owner]}\n')

    def _check_symbols(
        self, inputs: Inputs, facts: Sequence[Facts], resolution: Resolution, kernel: KernelSymbols
    ) -> None:
        from ..depmod.check import symbol_problems

        versions = self._symvers is not None and "errsyms" in self._flags
        for item in symbol_problems(inputs, facts, resolution, kernel, self._prefix, versions):
            symbol, path = decode(item.symbol), inputs.full_path(inputs.paths[item.module])
            if item.unknown:
                self._missing.setdefault(symbol, []).append(decode(inputs.names[item.module]))
            if "errsyms" in self._flags:
                what = "needs unknown symbol" if item.unknown else "disagrees about version of symbol"
                self._console.warning(f"{path} {what} {symbol}")

    def _warn_of_doubled_aliases(self, inputs: Inputs, facts: Sequence[Facts]) -> None:
        from ..depmod.check import doubled_aliases

        for alias, name in doubled_aliases(inputs, facts):
            self._console.warning("duplicate module alias:")
            self._console.raw_error(f"{decode(alias)} {decode(name)}")

    # --- problems

    def config(self, problem: Error | Diagnostic) -> None:
        """Something about depmod.d."""
        if isinstance(problem, BadDepmodLine):
            self._console.error(f"{problem.path}:{problem.line}: ignoring bad line starting with '{problem.reason}'")
        elif isinstance(problem, Diagnostic) and problem.errno == 21 and problem.code == "unusable-entry":
            self._console.error(f"Directories inside directories are not supported: {problem.file}")
        elif isinstance(problem, Diagnostic) and problem.code == "unusable-entry":
            self._console.error(f"Cannot stat directory entry: {problem.file}")
        elif isinstance(problem, Diagnostic):
            self._console.error(f"{problem.file}: {problem.text}")
        else:
            self._console.error(str(problem))

    def problem(self, problem: Error | LeftOut) -> None:
        """Something about the modules or the files beside them."""
        from ..depmod.pipeline import BadBuiltinLineError, BrokenModuleError, IncompleteDeviceError, MissingBesideError
        from ..depmod.render import LeftOut

        console = self._console
        if isinstance(problem, LeftOut):
            self._left_out(problem)
        elif isinstance(problem, MissingBesideError):
            directory, _, name = (problem.path or "").rpartition("/")
            console.warning(f"could not open {name} at {directory}: {problem.strerror}")
        elif isinstance(problem, BrokenModuleError):
            self._broken_module(problem)
        elif isinstance(problem, IncompleteDeviceError):
            console.error(
                f"Module '{problem.module}' has devname ({problem.reason}) but lacks major and minor information. "
                "Ignoring."
            )
        elif isinstance(problem, BadBuiltinLineError):
            console.error(f"Invalid modules.builtin line: {problem.reason}")
        elif isinstance(problem, UnusableFileError):
            console.error(f"unsupported file type {problem.path}: {problem.kind:o}")
        elif isinstance(problem, OrderProblem):
            console.error(problem.reason)
        elif isinstance(problem, MissingDirectoryError):
            console.error(f"could not open directory {problem.path}: {problem.strerror}")
        else:
            console.error(f"could not read {problem.path}: {problem.strerror}")

    def _broken_module(self, problem: Error) -> None:
        if problem.errno == NO_DATA:
            return
        if problem.reason.startswith(PACKED):
            self._console.error(problem.reason)
        self._broken.append({"path": problem.path or "", "error": problem.strerror, "reason": problem.reason})
        self._console.error(f"failed to load symbols from {problem.path}: {problem.strerror}")

    def _left_out(self, item: LeftOut) -> None:
        if item.bracket:
            self._console.warning(f"Unmatched bracket in {decode(item.key)}")
        elif len(item.key) > MAX_KEY:
            self._console.error(f"the index can only hold {MAX_KEY} bytes; left out: {decode(item.key[:60])}...")
        else:
            self._console.error(f"the index can only hold 7-bit ASCII; left out: {decode(item.key)}")

    # --- the end

    def cycles(self, error: CycleError) -> None:
        """Modules need one another in a circle."""
        for cycle in error.cycles:
            self._console.error(f"Cycle detected: {' -> '.join(cycle)}")
        self._console.error(error.reason)
        if "json" in self._flags and self._inputs is not None:
            self._console.write(self.summary(self._inputs, None, error.cycles))

    def failure(self, error: FileError, directory: str) -> None:
        """The modules could not be found or read, or the files not be written."""
        if isinstance(error, WriteError):
            self._console.error(
                f"could not write {error.path}: {error.strerror}; {MIXED if error.mixed else UNTOUCHED}"
            )
        elif error.path == directory:
            self._console.error(f"could not open directory {error.path}: {error.strerror}")
            self._console.fatal(f"could not search modules: {error.strerror}")
        elif isinstance(error, UnusableOperandError):
            what = "add" if error.module else "create"
            self._console.fatal(f"could not {what} module {error.path}: {error.strerror}")
        else:
            self._console.error(f"could not read {error.path}: {error.strerror}; {UNTOUCHED}")

    def missing_support(self, error: MissingSupportError) -> None:
        """Nobody here can read what the modules are compressed with."""
        self._console.error(f"could not read {error.path}: {error.reason}; {UNTOUCHED}")

    def summary(self, inputs: Inputs, built: Built | None, cycles: Sequence[Sequence[str]] = ()) -> str:
        """The text of --json (docs/json.md); without `built` what is known when there are `cycles`."""
        from ..json_text import render

        paths = {name: inputs.full_path(path) for name, path in inputs.modules}
        names = [decode(name) for name in inputs.names]
        unresolved = [{"symbol": symbol, "modules": modules} for symbol, modules in sorted(self._missing.items())]
        document: dict[str, object] = {
            "directory": inputs.directory,
            "modules": len(names),
            "reused": None,
            "symbols": None,
            "unresolved": None if self._kernel is None else unresolved,
            "cycles": cycles,
            "duplicate_modules": [
                {"name": decode(name), "winner": paths[name], "loser": inputs.full_path(loser)}
                for name, _, loser in inputs.duplicates
            ],
            "duplicate_symbols": None,
            "broken": self._broken,
            "files": {},
            "seconds": None,
        }
        if built is not None:
            document |= {
                "reused": built.reused,
                "symbols": len(built.resolution.owners),
                "duplicate_symbols": [
                    {"symbol": decode(symbol), "winner": names[winner], "loser": names[loser]}
                    for symbol, winner, loser in sorted(built.resolution.duplicates)
                ],
                "files": {} if "show" in self._flags else {name: len(data) for name, data in built.files.items()},
                "seconds": {stage: round(seconds, 4) for stage, seconds in self.seconds.items()},
            }
        return render(document)


class _Progress:
    """One line on a terminal, from half a second after the start on; it says `what` is being done."""

    AFTER = 0.5
    EVERY = 0.1

    def __init__(self, console: Console) -> None:
        self.what = ""
        self._console = console
        self._next = time.monotonic() + self.AFTER

    def show(self, done: Callable[[], int] | None = None, total: int = 0) -> None:
        now = time.monotonic()
        if now < self._next:
            return
        if not self._console.has_terminal():
            self._next = float("inf")
            return
        self._next = now + self.EVERY
        self._console.status_line(f"{self.what}: {done()} of {total}" if done else self.what)
