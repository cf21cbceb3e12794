# SPDX-License-Identifier: LGPL-2.1-or-later
"""Put a set of files into a directory: whole or not at all. No other code does so.

Source: docs/behaviour/4-depmod.md, "Output". All files are written under temporary names, then all are flushed, then
all are renamed. A run that was killed leaves at most temporaries, which the next run removes. Everything goes through
one descriptor of the directory, so a directory replaced meanwhile cannot lead a file elsewhere.
"""

from __future__ import annotations

import errno
import os
import stat

from ..depmod.errors import IndexWriteError
from ..errors import FileError
from .together import together

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from functools import partial
    from types import TracebackType
    from typing import Self
else:  # where `functools` has it from; that takes 2 ms to import
    from _functools import partial

DEPMOD = "depmod"
"""Whose temporaries they are: of depmod, unless a `Directory` says otherwise."""

_LOCK = ".depmod-lock"
_MOST_LOCKS = 1000  # each run that waited removes the lock at its end, and all others that wait begin again
"""A file that is there as long as a run works. A directory could be locked by anybody who may read it, for ever; a file
that its owner alone may open cannot."""

_NOT_OFFERED = (errno.EINVAL, errno.EOPNOTSUPP)
"""What file systems say that cannot flush a directory."""


def make_directories(path: str) -> None:
    """Make a directory and those above it where they are missing, all with mode 755. Raises OSError."""
    if not path or os.path.isdir(path):
        return
    make_directories(os.path.dirname(path.rstrip("/")))
    try:
        os.mkdir(path, 0o755)
    except FileExistsError:
        os.stat(f"{path}/.")  # says why it is none, unless somebody else made it just now


def _begin_flush(fd: int) -> None:
    # Let the disk begin while the next file is written, so that there is less to wait for later.
    try:
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    except OSError:
        return  # only advice


def _read_whole(fd: int) -> bytes:
    # The bytes of a file, as many as its status says. Raises OSError.
    left = os.fstat(fd).st_size
    pieces = []
    while left:
        piece = os.read(fd, left)
        if not piece:
            raise OSError(errno.EIO, os.strerror(errno.EIO))  # it became shorter just now
        pieces.append(piece)
        left -= len(piece)
    return b"".join(pieces)


def no_hook(_boundary: str) -> None:
    """Do nothing at a boundary between two steps; tests put a fault there."""


def _try_lock(fd: int) -> bool:
    # Lock an open file unless somebody else has; where locks are not offered, it counts as locked.
    from fcntl import LOCK_EX, LOCK_NB, flock

    try:
        flock(fd, LOCK_EX | LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def _wait_for_lock(fd: int) -> None:
    from fcntl import LOCK_EX, flock

    try:
        flock(fd, LOCK_EX)
    except OSError:
        return


class Directory:
    """A directory to publish into, created if missing, and locked against other runs. A context manager.

    Raises `IndexWriteError`. A file system without locks goes unlocked.
    """

    def __init__(self, path: str, hook: Callable[[str], None] = no_hook, *, owner: str = DEPMOD) -> None:
        self.path = path
        self._temporary = f".{owner}-new."  # how the names of temporaries begin
        self._old = f".{owner}-old."  # how the names of files begin that are being replaced
        self._hook = hook
        self._lock: int | None = None
        self._open: dict[str, int | None] = {}  # names of the files prepared, and descriptors of their temporaries
        self._durable: set[str] = set()
        self._at = ""  # the name of the file being worked on
        self._left_new: list[str] = []  # names of files that could not be put back
        try:
            make_directories(path)
            self.fd: int = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise IndexWriteError.of(error, path) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for name in list(self._open):
            self.discard(name)
        if self._lock is not None:
            self._remove(_LOCK)
            os.close(self._lock)
        os.close(self.fd)

    def lock(self, waiting: Callable[[], None] = lambda: None) -> None:
        """Wait until no other run works in this directory; `waiting` is called if there is one."""
        told = False
        for attempt in range(_MOST_LOCKS):
            try:
                fd = os.open(_LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=self.fd)
            except OSError:
                return  # who may not make a file cannot replace one, and is told so
            try:
                if not _try_lock(fd):
                    if not told:
                        waiting()
                    told = True
                    _wait_for_lock(fd)
                # Else the other run has removed it at its end, or the file system numbers files as it likes.
                if self._has_in_place(fd) or attempt == _MOST_LOCKS - 1:
                    self._lock = fd
                    return
            finally:
                if self._lock is None:
                    os.close(fd)

    def _has_in_place(self, fd: int) -> bool:
        # Whether the lock file is still the open one.
        try:
            return os.path.samestat(os.fstat(fd), os.lstat(_LOCK, dir_fd=self.fd))
        except FileNotFoundError:
            return False

    def read(self, name: str) -> bytes:
        """Return the bytes of a file that is in the directory. Raises `FileError`."""
        try:
            fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=self.fd)
            try:
                return _read_whole(fd)
            finally:
                os.close(fd)
        except OSError as error:
            raise FileError.of(error, f"{self.path}/{name}") from None

    def prepare(self, name: str, data: bytes, time: int) -> os.stat_result:
        """Write a file under a temporary name, with `time` (ns) as its time of change, and return its status.

        Raises `IndexWriteError`.
        """
        return self.prepare_pieces(name, [data], time)

    def prepare_pieces(self, name: str, pieces: Sequence[bytes], time: int, *, durable: bool = True) -> os.stat_result:
        """Do the same for pieces one after the other; not `durable`, the file may be damaged after a power failure."""
        if not self._open:
            self._clean()
        try:
            self._hook(f"before create {name}")
            fd = self._open[name] = self._create(self._temporary + name)
            if durable:
                self._durable.add(name)
            self._hook(f"before write {name}")
            for piece in pieces:
                view = memoryview(piece)
                while view:
                    view = view[os.write(fd, view) :]
            self._set_time(fd, time)
            if durable:
                _begin_flush(fd)
            return os.fstat(fd)
        except OSError as error:
            raise IndexWriteError.of(error, f"{self.path}/{name}") from None

    def _create(self, temporary: str) -> int:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            return os.open(temporary, flags, 0o644, dir_fd=self.fd)
        except OSError as error:
            if error.errno not in (errno.EMFILE, errno.ENFILE):
                raise
        for name, fd in self._open.items():  # rather wait for the disk now than do without
            self._flush(name, fd)
            self._close(name)
        return os.open(temporary, flags, 0o644, dir_fd=self.fd)

    def _flush_all(self, progress: Callable[[int], None]) -> None:
        # At the same time: a disk that is told of all at once writes its cache once or twice, and not for each file.
        flushes = []
        for name, fd in self._open.items():
            self._at = name
            self._hook(f"before sync {name}")
            flushes.append(partial(self._flush, name, fd))
        failures: dict[str, BaseException] = {}
        progress(0)
        for number, (name, error) in enumerate(zip(self._open, together(flushes), strict=True), 1):
            if error:
                failures[name] = error
            progress(number)
        for self._at, error in failures.items():
            raise error

    def _flush(self, name: str, fd: int | None) -> None:
        if fd is not None and name in self._durable:
            os.fsync(fd)

    def _close(self, name: str) -> None:
        fd = self._open[name]
        self._open[name] = None
        if fd is not None:
            os.close(fd)

    def _set_time(self, fd: int, time: int) -> None:
        try:
            os.utime(fd, ns=(time, time))
        except OSError:
            return  # the next run will not know the file by its time, and work

    def discard(self, name: str) -> None:
        """Forget a file that was to be published."""
        if name in self._open:
            self._close(name)
            del self._open[name]
            self._remove(self._temporary + name)

    def remove(self, names: Sequence[str]) -> None:
        """Remove files that nobody needs any more, as far as that can be done."""
        for name in names:
            self._remove(name)

    def publish(self, progress: Callable[[int], None] = lambda flushed: None) -> None:
        """Put all prepared files in place, in their order. Raises `IndexWriteError`.

        Then the old ones are there, unless it is `mixed`. `progress` is told how many have been flushed to disk.
        """
        try:
            self._flush_all(progress)
            for name in self._open:
                self._at = name
                self._check_place(name)
            self._replace_all()
        except OSError as error:
            failure = IndexWriteError.of(error, f"{self.path}/{self._at}")
            failure.mixed = bool(self._left_new)
            raise failure from None
        for name in self._open:
            self._close(name)
        self._open.clear()

    def _replace_all(self) -> None:
        # Rename every file to its place; whatever prevents it, those that were there are put back. Raises OSError.
        before: dict[str, bool | None] = {}  # what `_keep` answered
        renamed: list[str] = []
        try:
            for name in self._open:
                before[name] = None  # an interrupt may come before the answer
                before[name] = self._keep(name)
            for name in self._open:
                self._at = name
                self._hook(f"before rename {name}")
                renamed.append(name)
                os.rename(self._temporary + name, name, src_dir_fd=self.fd, dst_dir_fd=self.fd)
            self._at = ""
            self._hook("before flush")
            self._flush_directory()
        except BaseException:  # an interrupt, too
            self._left_new = [name for name in renamed if not self._put_back(name, before[name])]
            raise
        finally:
            # At the same time, too: where a disk is told what is free, it takes a while for each file.
            old = [self._old + name for name in before if name not in self._left_new]
            for _ in together([partial(self._remove, name) for name in old]):
                pass

    def _keep(self, name: str) -> bool | None:
        # Give the file that is there a second name; None when there is none, False when that cannot be done.
        try:
            os.link(name, self._old + name, src_dir_fd=self.fd, dst_dir_fd=self.fd, follow_symlinks=False)
        except FileNotFoundError:
            return None
        except OSError:
            return False
        return True

    def _put_back(self, name: str, kept: bool | None) -> bool:
        # Undo a rename, or one that failed; tell whether what was there before is there again.
        if kept is None:
            self._remove(name)
            return True
        if not kept:
            return self._has_temporary(name)  # else it took the place of the only one
        try:
            os.rename(self._old + name, name, src_dir_fd=self.fd, dst_dir_fd=self.fd)
        except OSError:
            return False
        return True

    def _has_temporary(self, name: str) -> bool:
        try:
            os.lstat(self._temporary + name, dir_fd=self.fd)
        except OSError:
            return False
        return True

    def _flush_directory(self) -> None:
        try:
            os.fsync(self.fd)
        except OSError as error:
            if error.errno not in _NOT_OFFERED:
                raise

    def _check_place(self, name: str) -> None:
        # Raise, while all old files are still there, what a rename would raise in the midst of it.
        try:
            mode = os.lstat(name, dir_fd=self.fd).st_mode
        except FileNotFoundError:
            return
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))

    def _clean(self) -> None:
        # Remove what a killed run left.
        for name in os.listdir(self.fd):
            if name.startswith((self._temporary, self._old)):
                self._remove(name)

    def _remove(self, name: str) -> None:
        try:
            os.unlink(name, dir_fd=self.fd)
        except OSError:
            return  # the next run will try again
