"""Bring the indexes of a kernel's modules up to date: what of an earlier run still holds is taken from its cache."""

from __future__ import annotations

import os
import time

from ..depmod import cache
from ..depmod.extract import FAILURE
from ..depmod.pipeline import Previous, build, gather
from ..depmod.scan import entries_that_count, scan_files
from ..depmod.stamps import NO_STAMP, stamp_of, take_stamps, trusted
from ..errors import FileError
from ..records import Record
from .publish import Directory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..depmod.cache import Cache, Snapshot
    from ..depmod.observer import Observer
    from ..depmod.pipeline import Built, Inputs
    from ..depmod.settings import Settings
    from ..depmod.stamps import Stamps

BESIDE = (b"modules.order", b"modules.builtin", b"modules.builtin.modinfo")
"""Files of the module directory, laid there by the kernel's build, that the indexes depend on."""


class Job(Record):
    """What is to be made: the modules in `directory` (only `files` unless None), the indexes in `out_directory`.

    `prefix` as in `resolve.resolve`. With `use_cache` facts of an earlier run are taken over, and kept for the next;
    with `may_skip` also nothing is done when nothing has changed.
    """

    directory: str
    out_directory: str
    settings: Settings
    files: Sequence[bytes] | None
    prefix: bytes
    use_cache: bool
    may_skip: bool


class Update:
    """One run; `observer` follows it."""

    def __init__(self, job: Job, observer: Observer) -> None:
        self.job = job
        self._observer = observer
        self._start = time.time_ns()

    def texts(self) -> tuple[Inputs, Built]:
        """Make the text files and write nothing. Raises `FileError`, `CycleError`, `MissingSupportError`."""
        made = self._build(self._cache(), texts_only=True)
        self._observer.begin("")
        return made

    def run(self) -> tuple[Inputs, Built] | None:
        """Make and publish everything; None when all is as it should be already.

        Raises `FileError`, `CycleError`, `MissingSupportError`.
        """
        job = self.job
        self._check_directory()
        with Directory(job.out_directory) as out:
            out.lock(self._observer.waiting)
            entries = self._entries()
            cached = self._cache()
            if cached and job.may_skip and self._is_current(cached, entries, out.fd):
                return None
            inputs, built = self._build(cached, self._previous(cached, out))
            self._observer.begin("publish")
            stamps = {
                os.fsencode(name): stamp_of(out.prepare(name, data, self._start)) for name, data in built.files.items()
            }
            if job.use_cache:
                self._prepare_cache(out, self._snapshot(inputs, built, entries, stamps), built)
            out.publish(lambda flushed: self._observer.progress(lambda: flushed, len(built.files)))
        self._observer.begin("")
        return inputs, built

    def _check_directory(self) -> None:
        """Raise `FileError` when there is no module directory, or no such file, before anything is made."""
        if self.job.files is not None:
            scan_files(os.fsencode(self.job.directory), self.job.files)
            return
        try:
            os.stat(f"{self.job.directory}/.")
        except OSError as error:
            raise FileError.of(error, self.job.directory) from None

    def _entries(self) -> bytes:
        """What of the directory itself counts. Raises `FileError`."""
        if self.job.files is not None:
            return b""
        try:
            return entries_that_count(os.fsencode(self.job.directory), self.job.settings)
        except OSError as error:
            raise FileError.of(error, self.job.directory) from None

    def _cache(self) -> Cache | None:
        return cache.read_cache(self.job.out_directory, self.job.directory) if self.job.use_cache else None

    def _context(self) -> bytes:
        settings = self.job.settings
        rules = (settings.search, settings.overrides, settings.external, sorted(settings.excluded))
        return repr((rules, self.job.prefix)).encode()

    def _is_current(self, cached: Cache, entries: bytes, out: int) -> bool:
        try:
            directory = os.open(self.job.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            return cache.is_current(cached, self._context(), directory, entries, out)
        finally:
            os.close(directory)

    def _previous(self, cached: Cache | None, out: Directory) -> Previous | None:
        """The earlier run, if its files may serve once more."""
        if cached is None or not self.job.may_skip or not cached.snapshot.quiet:
            return None
        if cached.snapshot.context != self._context() or not cache.set_is_whole(cached, out.fd):
            return None
        return Previous(cached.known(), out.read)

    def _build(
        self, cached: Cache | None, previous: Previous | None = None, *, texts_only: bool = False
    ) -> tuple[Inputs, Built]:
        job = self.job
        inputs = gather(job.directory, job.settings, job.files, self._observer)
        known = previous.known if previous else cached.known() if cached else cache.NOTHING_KNOWN
        built = build(
            inputs,
            self._observer,
            known,
            job.prefix,
            texts_only=texts_only,
            stamped=job.use_cache and not texts_only,
            previous=previous,
        )
        return inputs, built

    def _snapshot(self, inputs: Inputs, built: Built, entries: bytes, outputs: Stamps) -> Snapshot:
        job, now = self.job, self._start
        directory = os.open(job.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            directories = take_stamps(directory, [*inputs.directories, *BESIDE])
        finally:
            os.close(directory)
        modules = {  # a failure is not worth keeping: it may come from a library that is missing today
            path: NO_STAMP if facts[FAILURE] else trusted(built.stamps[path], now)
            for path, facts in zip(inputs.paths, built.facts, strict=True)
        }
        return cache.Snapshot(
            self._context(),
            self._observer.quiet,
            entries,
            {path: trusted(stamp, now) for path, stamp in directories.items()},
            modules,
            outputs,
        )

    def _prepare_cache(self, out: Directory, snapshot: Snapshot, built: Built) -> None:
        """Lay down the cache; the indexes do not depend on it, so a failure (a full disk) is not one of the run."""
        try:
            pieces = cache.encode_cache(self.job.directory, snapshot, built.encoded)
            out.prepare_pieces(cache.NAME, pieces, self._start, durable=False)
        except FileError:
            out.discard(cache.NAME)
