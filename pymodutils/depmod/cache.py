# SPDX-License-Identifier: LGPL-2.1-or-later
"""Keep for the next run each module's facts, and what the set of files was made from.

The cache is one file in a directory of its own, safe to delete. It is not used when it is damaged, of another format,
version, architecture or module directory, or somebody else's. Two things come out of it:

- the facts of each module whose stamp is still the same, so that only changed files are read;
- whether anything changed at all. That is asked without a scan: a directory's times tell whether files came or went.

`stamps.trusted` decides which stamps count.
"""

from __future__ import annotations

import os
import sys
from zlib import adler32

from .._version import __version__
from ..errors import FormatError
from ..records import Record
from .factcodec import decode_fields, decode_names, encode_fields, encode_names, facts_from_fields, facts_to_fields
from .stamps import decode_stamps, encode_stamps, unchanged

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .facts import Extract, ModuleFacts
    from .stamps import Stamps

FORMAT = 5

_PREFIX, _SUFFIX = "depmod-", ".cache"


class Snapshot(Record):
    """What a set of files was made from, and the set."""

    context: bytes
    """Everything else that counts: configuration, options. The same bytes, the same result."""
    quiet: bool
    """Whether that run had nothing to complain of; else the complaint must be made again."""
    entries: bytes
    """The module directory's own entries that count; its time tells nothing, as the set itself is written there."""
    directories: Stamps
    """Directories and links that were read, and files of the kernel's build that count."""
    modules: Stamps
    """In the order of `facts`; `NO_STAMP` for what must be read again."""
    outputs: Stamps
    """By name, in the directory that they were written to."""


class CachedFacts(Record):
    """What a run found: stamps and facts by path, in the order of the modules, and the names of symbols by id."""

    extracts: Mapping[bytes, Extract]
    symbols: Sequence[bytes]


NO_CACHED_FACTS = CachedFacts({}, ())


class Cache:
    """A cache file that was read."""

    def __init__(self, snapshot: Snapshot, facts: bytes) -> None:
        self.snapshot = snapshot
        self._facts = facts

    def facts(self) -> CachedFacts:
        """Return what is known of every module; nothing when that part is damaged."""
        modules = self.snapshot.modules
        try:
            symbols, *fields = decode_fields(_checked(self._facts))
            extracts = zip(modules.values(), facts_from_fields(fields), strict=True)
            return CachedFacts(dict(zip(modules, extracts, strict=True)), decode_names(symbols))
        except (FormatError, ValueError):
            return NO_CACHED_FACTS


def cache_name(directory: str, out_directory: str) -> str:
    """Return the name of the file with the cache of the modules in `directory`, indexed in `out_directory`."""
    release = directory.rstrip("/").rpartition("/")[2][:100]
    return f"{_PREFIX}{release}-{adler32(_title(directory, out_directory)):08x}{_SUFFIX}"


def stale_caches(cache_directory: str) -> list[str]:
    """Return the names of the files whose module directory is gone."""
    stale = []
    for name in os.listdir(cache_directory):
        if not (name.startswith(_PREFIX) and name.endswith(_SUFFIX)):
            continue
        try:
            fd = os.open(f"{cache_directory}/{name}", os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
            try:
                directory = os.read(fd, _LONGEST_TITLE).partition(b"\n")[0].split(b"\0")[1]
            finally:
                os.close(fd)
            if not os.path.isdir(directory):
                stale.append(name)
        except (OSError, IndexError, ValueError):
            stale.append(name)
    return stale


_LONGEST_TITLE = 10_000


def _title(directory: str, out_directory: str) -> bytes:
    machine = os.uname().machine
    kind = f"pymodutils depmod cache {FORMAT} {__version__} {machine} {sys.byteorder}"
    return os.fsencode(f"{kind}\0{directory}\0{out_directory}\0\n")


def read_cache(cache_directory: str, directory: str, out_directory: str) -> Cache | None:
    """Return the cache in `cache_directory` for these two directories; None when there is none that can be used."""
    path = f"{cache_directory}/{cache_name(directory, out_directory)}"
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            status = os.fstat(fd)
            if status.st_uid not in (0, os.geteuid()) or status.st_mode & 0o022:
                return None
            data = os.read(fd, status.st_size)
        finally:
            os.close(fd)
    except OSError:
        return None
    title = _title(directory, out_directory)
    if not data.startswith(title):
        return None
    try:
        length = int.from_bytes(data[len(title) : len(title) + 8], "little")
        start = len(title) + 8
        snapshot = _decode_snapshot(_checked(data[start : start + length]))
    except (FormatError, ValueError, IndexError):
        return None
    return Cache(snapshot, data[start + length :])


def encode_facts(facts: Sequence[ModuleFacts], symbols: Sequence[bytes]) -> bytes:
    """Return the part of a cache file that has the facts."""
    return encode_fields([encode_names(symbols), *facts_to_fields(facts)])


def encode_cache(directory: str, out_directory: str, snapshot: Snapshot, facts: bytes) -> list[bytes]:
    """Return a cache file, in pieces; `facts` is from `encode_facts`, in the order of `snapshot.modules`."""
    head = _encode_snapshot(snapshot)
    length = (len(head) + _CHECK_SIZE).to_bytes(8, "little")
    return [_title(directory, out_directory), length, _check(head), head, _check(facts), facts]


_CHECK_SIZE = 4


def _check(data: bytes) -> bytes:
    return adler32(data).to_bytes(_CHECK_SIZE, "little")


def _checked(data: bytes) -> bytes:
    body = data[_CHECK_SIZE:]
    if _check(body) != data[:_CHECK_SIZE]:
        raise FormatError("damaged")
    return body


def _encode_snapshot(snapshot: Snapshot) -> bytes:
    fields = [snapshot.context, b"1" if snapshot.quiet else b"", snapshot.entries]
    for stamps in (snapshot.directories, snapshot.modules, snapshot.outputs):
        fields.append(b"\0".join(stamps))
        fields.append(encode_stamps(stamps.values()))
    return encode_fields(fields)


def _decode_snapshot(data: bytes) -> Snapshot:
    context, quiet, entries, *rest = decode_fields(data)
    tables = [_decode_stamps(paths, numbers) for paths, numbers in zip(rest[::2], rest[1::2], strict=True)]
    directories, modules, outputs = tables
    return Snapshot(context, bool(quiet), entries, directories, modules, outputs)


def _decode_stamps(paths: bytes, numbers: bytes) -> Stamps:
    return dict(zip(paths.split(b"\0") if paths else [], decode_stamps(numbers), strict=True))


# --- comparing with what is there now


def is_current(cache: Cache, context: bytes, directory: int, entries: bytes, out_directory: int) -> bool:
    """Tell whether the set of files in `out_directory` is what a run with this `context` would make now."""
    old = cache.snapshot
    return (
        old.quiet
        and old.context == context
        and old.entries == entries
        and set_is_whole(cache, out_directory)
        and unchanged(directory, old.directories)
        and unchanged(directory, old.modules)
    )


def set_is_whole(cache: Cache, out_directory: int) -> bool:
    """Tell whether the files that were written are still there, and nobody changed them."""
    outputs = cache.snapshot.outputs
    return bool(outputs) and unchanged(out_directory, outputs)
