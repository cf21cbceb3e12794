# SPDX-License-Identifier: LGPL-2.1-or-later
"""Bring the indexes of a kernel's modules up to date: depmod as one function."""

from __future__ import annotations

import os
import time

from ..depmod import cache
from ..depmod.errors import CycleError, KernelSymbolsError
from ..depmod.findings import BrokenModule, Checks, Findings, UnresolvedSymbol
from ..depmod.inputs import BUILD_FILES, gather_inputs
from ..depmod.observer import RunObserver
from ..depmod.scan import directory_fingerprint, is_any_newer, scan_files
from ..depmod.settings import DEFAULT, read_settings
from ..depmod.stamps import MISSING, NO_STAMP, take_stamps, trusted
from ..diagnostics import ERROR, NOTE, WARNING, Diagnostic
from ..errors import Error, FileError
from ..frozendict import FrozenDict
from ..names import decode, encode
from ..observer import Observer
from ..records import Record
from ..state.files import read_chosen
from .publish import Directory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..depmod.cache import Cache, Snapshot
    from ..depmod.inputs import Inputs
    from ..depmod.kernel_symbols import KernelSymbols
    from ..depmod.pipeline import BuildResult, PreviousRun
    from ..depmod.settings import DepmodSettings
    from ..depmod.stamps import Stamp, Stamps


MANY_LINES = 20
"""Bad lines of a file with symbols that are reported one by one."""


class IndexJob(Record):
    """What depmod is to do. Paths are absolute.

    `directory` has the modules, `out_directory` gets the indexes; it is made if it is missing. `release` decides which
    rules of depmod.d hold, which are read from the files and directories in `configuration`. With `files` only these
    modules count, and no rules.

    `symbol_prefix` is a character before each symbol, or empty. `symvers` (Module.symvers) or else `system_map`
    (System.map) have the kernel's own symbols. With one of them, `find_unresolved` lets the result tell which symbols
    nobody has, and `check_symbols` reports these as diagnostics. `check_aliases` reports aliases that one module has
    twice, and `list_uses` reports which module needs which.

    Without `write` only the texts are made, and returned. `quick` does nothing if no module file is newer than
    modules.dep, and without `write` never anything, as with kmod. With a `cache_directory` facts of an earlier run are
    taken over, and kept there for the next; then also nothing is done when nothing has changed, unless it is `always`
    wanted.
    """

    directory: str
    out_directory: str
    release: str
    configuration: Sequence[str] = ()
    files: Sequence[str] | None = None
    symbol_prefix: str = ""
    symvers: str | None = None
    system_map: str | None = None
    find_unresolved: bool = False
    check_symbols: bool = False
    check_aliases: bool = False
    list_uses: bool = False
    write: bool = True
    quick: bool = False
    cache_directory: str | None = None
    always: bool = False

    @property
    def may_skip(self) -> bool:
        """Whether what an earlier run made may stay: nobody waits for what this one finds out."""
        asks = self.symvers or self.system_map or self.check_symbols or self.check_aliases or self.list_uses
        return not asks and self.write and not self.always


class DuplicateModule(Record):
    """Two files of one module: the path that counts, and the one that does not."""

    name: str
    winner: str
    loser: str


class DuplicateSymbol(Record):
    """A symbol exported twice: the name of the module that counts, and of the one that does not."""

    symbol: str
    winner: str
    loser: str


class IndexUpdate(Record):
    """What a run of depmod made and found out; `to_json()` is the document of `depmod --json`.

    `directory`: the module directory; `modules`: how many there are; `reused`: how many of them were not read, as an
    earlier run had; `symbols`: how many they export; `unresolved`: symbols that nobody has, None if that is not known;
    `cycles`: names of modules that need each other, the first again at the end; `problems`: all that an observer hears
    to be wrong, each with its code; `files`: sizes in bytes of the files written; `seconds`: wall time of each stage.
    What a run that ended in cycles did not come to is None.
    `texts` has the text files when nothing was written; it is no part of the document.
    """

    directory: str
    modules: int
    reused: int | None
    symbols: int | None
    unresolved: tuple[UnresolvedSymbol, ...] | None
    cycles: tuple[tuple[str, ...], ...]
    duplicate_modules: tuple[DuplicateModule, ...]
    duplicate_symbols: tuple[DuplicateSymbol, ...] | None
    broken: tuple[BrokenModule, ...]
    problems: tuple[Diagnostic, ...]
    files: Mapping[str, int]
    seconds: Mapping[str, float] | None
    texts: Mapping[str, str]

    def to_json(self) -> str:
        """Return the document of `depmod --json`."""
        from ..json_text import render

        return render({name: value for name, value in self.as_dict().items() if name != "texts"})


def update_indexes(job: IndexJob, observer: Observer | None = None) -> IndexUpdate | None:
    """Make the indexes and put them in place, all of them or none; None when nothing has to be done.

    `observer` hears of the stages `scan`, `extract`, `resolve`, `order`, `render` and `publish`, of their progress, and
    of whatever is wrong and does not stop the work. Raises `CycleError`, `IndexWriteError`, `ModuleOperandError`,
    `KernelSymbolsError`, another `FileError` for what cannot be read, and `MissingSupportError`. It waits while another
    run is at work in the same directory.
    """
    update = _Update(job, observer or Observer())
    try:
        return update.run()
    except Error as error:
        update.run_observer.end(error)
        raise


class _Listener(Observer):
    """Passes everything on, and remembers what was wrong."""

    def __init__(self, observer: Observer) -> None:
        self.problems: list[Diagnostic] = []
        self._observer = observer

    def step_started(self, step: object) -> None:
        """Pass on that a stage begins."""
        self._observer.step_started(step)

    def step_done(self, step: object, error: Exception | None) -> None:
        """Pass on that a stage has ended."""
        self._observer.step_done(step, error)

    def progress(self, done: int, total: int, what: str) -> None:
        """Pass on how far a stage is."""
        self._observer.progress(done, total, what)

    def diagnostic(self, diagnostic: Diagnostic) -> None:
        """Remember what is wrong, and pass it on."""
        self.problems.append(diagnostic)
        self._observer.diagnostic(diagnostic)


class _Update:
    """One run."""

    def __init__(self, job: IndexJob, observer: Observer) -> None:
        self._observer = _Listener(observer)
        self.run_observer = RunObserver(self._observer)
        self._job = job
        self._findings = Findings()
        self._prefix = encode(job.symbol_prefix)
        self._files = None if job.files is None else list(map(encode, job.files))
        self._settings = DEFAULT
        self._checks: Checks | None = None
        self._cache_directory = self._choose_cache()
        self._start = time.time_ns()

    def run(self) -> IndexUpdate | None:
        """Read the settings and the kernel's symbols, then do the rest."""
        job = self._job
        problems: list[Diagnostic] = []
        if self._files is None:
            self._settings, problems = read_settings(job.configuration, job.release)
        if job.quick and (not job.write or self._is_up_to_date(self._settings)):
            self.run_observer.end()
            return None
        self._checks = self._choose_checks()
        for problem in problems:  # not of the run, as a cache knows it: they are told of each time
            self._observer.diagnostic(problem)
        return self._publish() if job.write else self._show()

    def _is_up_to_date(self, settings: DepmodSettings) -> bool:
        # Whether modules.dep is there and no module file is newer.
        try:
            written = os.stat(f"{self._job.out_directory}/modules.dep").st_mtime_ns
        except OSError:
            return False
        self.run_observer.begin("scan")
        return not is_any_newer(os.fsencode(self._job.directory), settings, written, self._entered)

    def _entered(self, directories: int) -> None:
        self.run_observer.progress(directories, 0, "directories")

    def _choose_checks(self) -> Checks:
        job, kernel = self._job, self._kernel_symbols()
        return Checks(
            kernel if job.find_unresolved or job.check_symbols else None,
            job.system_map if job.symvers is None else job.symvers,
            symbols=job.check_symbols,
            versions=job.check_symbols and job.symvers is not None,
            aliases=job.check_aliases,
            uses=job.list_uses,
        )

    def _kernel_symbols(self) -> KernelSymbols | None:
        # The kernel's own symbols, if a file is named that has them. Raises `KernelSymbolsError`.
        from ..depmod.kernel_symbols import parse_symvers, parse_system_map

        job = self._job
        path = job.system_map if job.symvers is None else job.symvers
        if path is None:
            return None
        try:
            data = read_chosen(path)
        except FileError as error:
            raise KernelSymbolsError(error.reason, path=path, errno=error.errno) from None
        problems: list[Diagnostic] = []
        parse = parse_system_map if job.symvers is None else parse_symvers
        symbols = parse(data, path, problems, self._prefix)
        if not symbols and len(problems) > MANY_LINES:
            problems = [Diagnostic("no-symbol-file", ERROR, "has no line of the right form", file=path)]
        for problem in problems:
            self._observer.diagnostic(problem)
        return symbols

    def _show(self) -> IndexUpdate:
        # Make the text files and write nothing.
        inputs, built = self._build(self._read_cache())
        self.run_observer.end()
        return self._result(inputs, built)

    def _publish(self) -> IndexUpdate | None:
        # Make and publish everything; None when all is as it should be already.
        job = self._job
        self._check_directory()
        with Directory(job.out_directory) as out:
            out.lock(self._say_waiting)
            fingerprint = self._fingerprint()
            cached = self._read_cache()
            if cached and job.may_skip and self._is_current(cached, fingerprint, out.fd):
                return None
            inputs, built = self._build(cached, self._previous(cached, out))
            self.run_observer.begin("publish")
            for name, data in built.files.items():
                out.prepare(name, data, self._start)
            out.publish(lambda flushed: self.run_observer.progress(flushed, len(built.files), "files"))
            if self._cache_directory:
                outputs = take_stamps(out.fd, list(map(os.fsencode, built.files)))
                self._keep_cache(self._cache_directory, inputs, built, fingerprint, outputs)
        self.run_observer.end()
        return self._result(inputs, built)

    def _say_waiting(self) -> None:
        text = "another depmod is at work in the same directory; waiting for it to end"
        self._observer.diagnostic(Diagnostic("waiting", WARNING, text, file=self._job.out_directory))

    def _check_directory(self) -> None:
        # Raise `FileError` when there is no module directory, or no such file, before anything is made.
        if self._files is not None:
            scan_files(os.fsencode(self._job.directory), self._files)
            return
        try:
            os.stat(f"{self._job.directory}/.")
        except OSError as error:
            raise FileError.of(error, self._job.directory) from None

    def _fingerprint(self) -> bytes:
        # What of the directory itself counts. Raises `FileError`.
        if self._files is not None:
            return b""
        try:
            return directory_fingerprint(os.fsencode(self._job.directory), self._settings)
        except OSError as error:
            raise FileError.of(error, self._job.directory) from None

    def _build(self, cached: Cache | None, previous: PreviousRun | None = None) -> tuple[Inputs, BuildResult]:
        from ..depmod.pipeline import BuildRequest, build_files  # not needed where nothing has changed

        job = self._job
        inputs = gather_inputs(job.directory, self._settings, self._files, self.run_observer)
        facts = previous.cached if previous else cached.facts() if cached else cache.NO_CACHED_FACTS
        request = BuildRequest(
            inputs,
            self._prefix,
            facts,
            previous,
            self._checks,
            stamped=self._cache_directory is not None and job.write,
            texts_only=not job.write,
        )
        try:
            return inputs, build_files(request, self._findings, self.run_observer)
        except CycleError as error:
            error.update = self._result(inputs, None, error.cycles)
            raise

    def _result(self, inputs: Inputs, built: BuildResult | None, cycles: Sequence[Sequence[str]] = ()) -> IndexUpdate:
        # Without `built` what is known when there are `cycles`.
        job, found = self._job, self._findings
        names, paths = inputs.names, dict(inputs.modules) if inputs.duplicates else {}
        symbols = None
        if built:
            symbols = tuple(
                DuplicateSymbol(decode(symbol), decode(names[winner]), decode(names[loser]))
                for symbol, winner, loser in sorted(built.resolution.duplicates)
            )
        files = built.files if built else {}
        written, shown = (files, {}) if job.write else ({}, files)
        seconds = self.run_observer.seconds
        return IndexUpdate(
            directory=inputs.directory,
            modules=len(names),
            reused=built.reused if built else None,
            symbols=len(built.resolution.owners) if built else None,
            unresolved=None if found.unresolved is None else tuple(found.unresolved),
            cycles=tuple(map(tuple, cycles)),
            duplicate_modules=tuple(
                DuplicateModule(decode(name), inputs.full_path(paths[name]), inputs.full_path(loser))
                for name, _, loser in inputs.duplicates
            ),
            duplicate_symbols=symbols,
            broken=tuple(found.broken),
            problems=tuple(self._observer.problems),
            files=FrozenDict((name, len(data)) for name, data in written.items()),
            seconds=FrozenDict((stage, round(taken, 4)) for stage, taken in seconds.items()) if built else None,
            texts=FrozenDict((name, decode(data)) for name, data in shown.items()),
        )

    # --- the cache

    def _choose_cache(self) -> str | None:
        # None also for some files alone, and where another image may be mounted with the same times: read-only.
        job = self._job
        if job.cache_directory is None or job.files is not None:
            return None
        try:
            read_only = os.statvfs(job.directory).f_flag & os.ST_RDONLY
        except OSError:
            return None  # the scan says what is wrong
        return None if read_only else job.cache_directory

    def _read_cache(self) -> Cache | None:
        job = self._job
        if self._cache_directory is None:
            return None
        return cache.read_cache(self._cache_directory, job.directory, job.out_directory)

    def _context(self) -> bytes:
        settings = self._settings
        rules = (settings.search, settings.overrides, settings.external, sorted(settings.excluded))
        return repr((rules, self._prefix)).encode()

    def _is_current(self, cached: Cache, fingerprint: bytes, out: int) -> bool:
        try:
            directory = os.open(self._job.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            return cache.is_current(cached, self._context(), directory, fingerprint, out)
        finally:
            os.close(directory)

    def _previous(self, cached: Cache | None, out: Directory) -> PreviousRun | None:
        # The earlier run, if its files may serve once more.
        if cached is None or not self._job.may_skip or not cached.snapshot.quiet:
            return None
        if cached.snapshot.context != self._context() or not cache.set_is_whole(cached, out.fd):
            return None
        from ..depmod.pipeline import PreviousRun

        return PreviousRun(cached.facts(), out.read)

    def _snapshot(self, inputs: Inputs, built: BuildResult, fingerprint: bytes, outputs: Stamps) -> Snapshot:
        now, clamped = self._start, _clamped_times()
        directory = os.open(self._job.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            directories = take_stamps(directory, [*inputs.directories, *map(os.fsencode, BUILD_FILES)])
        finally:
            os.close(directory)
        modules = {  # a failure is not worth keeping: it may come from a library that is missing today
            path: NO_STAMP if facts.failure else trusted(built.stamps[path], now, clamped)
            for path, facts in zip(inputs.paths, built.facts, strict=True)
        }
        return cache.Snapshot(
            self._context(),
            self.run_observer.quiet,
            fingerprint,
            {path: _trusted_or_missing(stamp, now, clamped) for path, stamp in directories.items()},
            modules,
            outputs,
        )

    def _keep_cache(self, place: str, inputs: Inputs, built: BuildResult, fingerprint: bytes, outputs: Stamps) -> None:
        # The indexes are there, so a failure (a full disk) is not one of the run.
        job = self._job
        try:
            with Directory(place) as directory:
                directory.lock()
                snapshot = self._snapshot(inputs, built, fingerprint, outputs)
                pieces = cache.encode_cache(job.directory, job.out_directory, snapshot, built.encoded)
                name = cache.cache_name(job.directory, job.out_directory)
                directory.prepare_pieces(name, pieces, self._start, durable=False)
                directory.publish()
                directory.remove(cache.stale_caches(place))
        except OSError as error:
            text = f"could not keep a cache: {error.strerror}"
            self._observer.diagnostic(Diagnostic("no-cache", NOTE, text, file=place, errno=error.errno))


def _clamped_times() -> tuple[int, ...]:
    # The time (s) that all files of a reproducible build have, if this run is part of one.
    epoch = os.environ.get("SOURCE_DATE_EPOCH", "")
    return (int(epoch),) if epoch.isascii() and epoch.isdecimal() and len(epoch) < 20 else ()


def _trusted_or_missing(stamp: Stamp, now: int, clamped: Sequence[int]) -> Stamp:
    return stamp if stamp == MISSING else trusted(stamp, now, clamped)
