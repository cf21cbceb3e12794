# SPDX-License-Identifier: LGPL-2.1-or-later
"""Extract the facts of all modules, chunk by chunk: what both processes do."""

from __future__ import annotations

import os

from ..errors import FileError
from . import parallel
from .extract import extract, undefined_symbols
from .stamps import take_stamps
from .symbol_ids import SymbolIds

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .cache import CachedFacts
    from .facts import Extract
    from .versions import Versions

    Progress = Callable[[int, int], None]
    """Called often, with how many modules have been read, and how many there are to be read."""

WORTH_A_PROCESS = 4 * parallel.MIN_CHUNK
"""Modules from which on a second process is worth its start."""


class Extractor:
    """Extracts the facts of the modules at `paths`, which are relative to `directory`.

    Files that still have the stamp they have in `cached` are not read: their facts are in `taken` from the beginning,
    by position; `reused` counts them. Stamps are taken only if `stamped`; no facts are shuffled if `in_order`. With
    `want_versions`, the `versions` of symbols are taken as well, of modules that are unpacked. Raises `FileError` when
    the directory cannot be opened.
    """

    def __init__(
        self,
        directory: str,
        paths: Sequence[bytes],
        cached: CachedFacts,
        *,
        stamped: bool,
        in_order: bool,
        want_versions: bool = False,
    ) -> None:
        self.paths = paths
        self.taken: dict[int, Extract] = {}
        self.versions: dict[int, Versions] = {}
        self._cached = cached.extracts
        self._stamped = stamped
        self._in_order = in_order
        self._want_versions = want_versions
        try:
            # Files outside may be meant although there is no module directory.
            outside = all(path.startswith(b"/") for path in paths)
            self._directory = os.open("/" if outside else directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise FileError.of(error, directory) from None
        if self._cached:
            self._reuse()
        self.reused: int = len(self.taken)
        self._todo = [position for position in range(len(paths)) if position not in self.taken]
        self._chunks = parallel.Tokens(len(self._todo))
        self.symbols: SymbolIds = SymbolIds(cached.symbols, look_up=self.is_much)

    @property
    def is_much(self) -> bool:
        """Whether so much is to be read that a second process is worth its start."""
        return len(self._todo) >= WORTH_A_PROCESS

    def close(self) -> None:
        """Free the descriptors."""
        self._chunks.close()
        os.close(self._directory)

    def _reuse(self) -> None:
        # Take over the facts of files that are still the same.
        stamps = take_stamps(self._directory, self.paths)
        for position, path in enumerate(self.paths):
            found = self._cached.get(path)
            if found is None or (self._in_order and found[1].shuffled):
                continue
            if found[0] == stamps[path]:
                self.taken[position] = found

    def share(self) -> None:
        """Share the chunks with a process that is forked from now on. Raises OSError."""
        self._chunks.share()

    def extract_chunks(self, progress: Progress | None = None) -> dict[int, Extract]:
        """Extract chunk after chunk as long as there are any; return those that this process took."""
        mine = {}
        total = len(self._todo)
        for chunk in self._chunks:
            for number in chunk:
                position = self._todo[number]
                mine[position] = self._extract(position)
            if progress:
                progress(chunk.stop, total)  # the other process has taken what is missing before
        self.taken.update(mine)
        return mine

    def extract_missing(self) -> None:
        """Extract what a dead process took with it."""
        missing = [position for position in range(len(self.paths)) if position not in self.taken]
        self.taken.update({position: self._extract(position) for position in missing})

    def _extract(self, position: int) -> Extract:
        path = self.paths[position]
        before = self._cached.get(path)
        in_order = self._in_order or (before is not None and not before[1].shuffled)  # then it decided something
        look_at = self._take_versions(position) if self._want_versions else None
        return extract(self._directory, path, self.symbols, stamped=self._stamped, in_order=in_order, look_at=look_at)

    def _take_versions(self, position: int) -> Callable[[bytes], None]:
        """Return what takes the versions from the unpacked bytes of a module."""
        from .versions import versions_of_image  # here, because few runs want them

        def take(image: bytes) -> None:
            self.versions[position] = versions_of_image(image)

        return take

    def undefined_symbols(self, position: int) -> Sequence[bytes]:
        """Return the undefined symbols of one module in the order of its symbol table."""
        return undefined_symbols(self._directory, self.paths[position])
