"""Which files of modprobe.d or depmod.d take part, and in which order (contract 1, "Files and places")."""

from __future__ import annotations

import os

from ..errors import FileError
from ..records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..errors import Error


EISDIR = 21


class UnreadableDirectoryError(FileError):
    """A configuration directory that cannot be listed."""


class UnusableEntryError(FileError):
    """An entry of a configuration directory that is a directory itself (EISDIR), or cannot be looked at."""


class ConfigFiles(Record):
    """The files to read, in order, and what stood in the way of listing others."""

    paths: list[str]
    problems: list[Error]


def config_files(places: Iterable[str], extra: Iterable[str] = ()) -> ConfigFiles:
    """The configuration files under `places` (directories, or single files of any name).

    A file name seen in an earlier directory hides the same name in later ones; the remaining files are ordered by the
    bytes of their names. `extra` files (modules.softdep, modules.weakdep) take part under their own names,
    which nothing hides.
    """
    by_name: dict[str, str] = {}
    problems: list[Error] = []
    for path in extra:
        if os.path.isfile(path):
            by_name.setdefault(os.path.basename(path), path)
    for place in places:
        if not os.path.isdir(place):
            if os.path.exists(place):
                by_name.setdefault(os.path.basename(place), place)
            continue
        try:
            names = os.listdir(place)
        except OSError as error:
            problems.append(UnreadableDirectoryError.of(error, place))
            continue
        for name in names:
            if name.startswith(".") or not name.endswith(".conf"):
                continue
            path = f"{place}/{name}"
            try:
                mode = os.stat(path).st_mode
            except OSError as error:
                problems.append(UnusableEntryError.of(error, path))
                continue
            if mode & 0o170000 == 0o040000:
                problems.append(UnusableEntryError("is a directory", path=path, errno=EISDIR))
                continue
            if mode & 0o170000 == 0o010000:
                continue  # a pipe: whoever reads it waits for ever
            by_name.setdefault(name, path)
    return ConfigFiles([by_name[name] for name in sorted(by_name, key=os.fsencode)], problems)
