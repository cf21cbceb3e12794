# SPDX-License-Identifier: LGPL-2.1-or-later
"""The files of one system below a root directory: where paths lead there, links included, and firmware."""

from __future__ import annotations

import os

from ..records import Record
from .files import MOST_LINKS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

COMPRESSED = ("", ".zst", ".xz")
"""What the kernel adds to the name of a firmware file, in the order in which it tries."""

_WILD = "*?["
"""What is special to the `glob` of Python; unlike in other patterns, a backslash is not."""


class Resolved(Record):
    """Where a path leads: `path` without any link in it, and all `entries` on the way there.

    The entries are directories, links, and at the end the file, each after the directory it is in. All are absolute
    paths as seen from the root.
    """

    path: str
    entries: tuple[str, ...]


class SystemFiles:
    """The files below `root`, empty for this system. A link with an absolute target is followed inside the root.

    It remembers what it saw.
    """

    def __init__(self, root: str = "") -> None:
        self.root: str = root.rstrip("/")
        self._links: dict[str, str | None] = {}

    def resolve(self, path: str) -> Resolved | None:
        """Return where an absolute path leads; None when there is nothing."""
        entries: dict[str, None] = {}
        here, links = "", 0
        pending = path.split("/")[::-1]
        while pending:
            name = pending.pop()
            if name in ("", "."):
                continue
            if name == "..":
                here = here.rpartition("/")[0]
                continue
            place = f"{here}/{name}"
            try:
                target = self._target(place)
            except OSError:
                return None
            entries[place] = None
            if target is None:
                here = place
                continue
            links += 1
            if links > MOST_LINKS:
                return None
            pending += target.split("/")[::-1]
            here = "" if target.startswith("/") else here
        return Resolved(here or "/", tuple(entries))

    def _target(self, place: str) -> str | None:
        """Return the target of a link, None for what is none. Raises OSError when there is nothing."""
        if place not in self._links:
            full = self.root + place
            self._links[place] = os.readlink(full) if os.path.islink(full) else None
            if self._links[place] is None:
                try:
                    os.lstat(full)
                except OSError:
                    del self._links[place]
                    raise
        return self._links[place]

    def size(self, path: str) -> int:
        """Return the size of the regular file that a path leads to; 0 for anything else."""
        found = self.resolve(path)
        try:
            return os.stat(self.root + found.path).st_size if found else 0
        except OSError:
            return 0

    def is_file(self, path: str) -> bool:
        """Tell whether a path leads to a regular file."""
        found = self.resolve(path)
        return found is not None and os.path.isfile(self.root + found.path)


class FirmwareFiles:
    """The firmware of a system: the places that its kernel searches, in their order.

    `chosen` is the place that the parameter `path` of firmware_class names, if any.
    """

    def __init__(self, files: SystemFiles, release: str, chosen: str = "") -> None:
        self._files = files
        usual = (f"/lib/firmware/updates/{release}", "/lib/firmware/updates", f"/lib/firmware/{release}")
        places = [*([chosen.rstrip("/")] if chosen.startswith("/") else []), *usual, "/lib/firmware"]
        self.places: tuple[str, ...] = tuple(place for place in places if files.resolve(place))

    def find(self, pattern: str) -> list[str]:
        """Return the paths of the files that the kernel takes for a name, or for all names that fit a pattern.

        An uncompressed file counts before a compressed one, wherever each is.
        """
        if not pattern or ".." in pattern.split("/"):  # as the kernel does
            return []
        names = self._names(pattern) if any(char in pattern for char in _WILD) else [pattern]
        return [path for name in names if (path := self._first(name))]

    def _first(self, name: str) -> str | None:
        candidates = (f"{place}/{name}{suffix}" for suffix in COMPRESSED for place in self.places)
        return next((path for path in candidates if self._files.is_file(path)), None)

    def _names(self, pattern: str) -> Sequence[str]:
        found: set[str] = set()
        for place in self.places:
            for suffix in COMPRESSED:
                found.update(path[: len(path) - len(suffix)] for path in self._glob(place, pattern + suffix))
        return sorted(name for name in found if not name.endswith(COMPRESSED[1:]))

    def _glob(self, place: str, pattern: str) -> Iterator[str]:
        from glob import iglob

        resolved = self._files.resolve(place)
        if resolved:
            yield from iglob(pattern.lstrip("/"), root_dir=self._files.root + resolved.path)
