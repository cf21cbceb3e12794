# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a reload leaves behind as long as it works: what to do if nobody is left to do it."""

from __future__ import annotations

import json
import os
import time

from ..diagnosis.reload import Member
from ..errors import Error, FormatError
from ..frozendict import FrozenDict
from ..names import encode
from ..shellwords import command
from ..state.files import read_file
from .publish import Directory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from ..roots import Roots

FOLDER = "/run/pymodutils"
_PREFIX, _SUFFIX = "reload-", ".json"


class BusyError(Error):
    """Another process reloads modules at this moment."""


class ReloadRecords:
    """The records of reloads that are under way or were cut short; a context manager that keeps others out.

    Raises `FileError` where they cannot be written, and `BusyError`.
    """

    def __init__(self, roots: Roots) -> None:
        self.folder: str = f"{roots.config_root}{FOLDER}"
        self._directory = Directory(self.folder, owner="kmod-reload")

    def __enter__(self) -> ReloadRecords:
        try:
            self._directory.__enter__()
            self._directory.lock(self._busy)
        except BaseException:
            self._directory.__exit__(None, None, None)
            raise
        return self

    def _busy(self) -> None:
        raise BusyError("another kmod reload is at work", path=self.folder)

    def __exit__(self, *_error: object) -> None:
        self._directory.__exit__(None, None, None)

    def path(self, name: str) -> str:
        """Return where the record about a module is."""
        return f"{self.folder}/{_PREFIX}{name}{_SUFFIX}"

    def names(self) -> list[str]:
        """Return the modules about which there are records."""
        return unfinished(self.folder)

    def write(self, name: str, members: Iterable[Member]) -> None:
        """Keep what brings modules back, in the order in which they are loaded. Raises `FileError`."""
        content = {
            "schema": "pymodutils/1",
            "module": name,
            "next": command("kmod reload --resume", name),
            "modules": [member.as_dict() for member in members],
        }
        self._directory.prepare(f"{_PREFIX}{name}{_SUFFIX}", encode(json.dumps(content, indent=1)), time.time_ns())
        self._directory.publish()

    def read(self, name: str) -> list[Member]:
        """Return what brings modules back. Raises `FileError`, `FormatError`."""
        path = self.path(name)
        data = read_file(path)
        try:
            return [_member(item) for item in json.loads(data)["modules"]]
        except (ValueError, KeyError, TypeError, RecursionError):
            raise FormatError("no record of a reload", path=path) from None

    def remove(self, name: str) -> None:
        """Forget a reload: everything is in place."""
        self._directory.remove([f"{_PREFIX}{name}{_SUFFIX}"])


def unfinished(folder: str) -> list[str]:
    """Return the modules whose reload was cut short, by the records in a folder."""
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return []
    return [name[len(_PREFIX) : -len(_SUFFIX)] for name in names if name.startswith(_PREFIX) and name.endswith(_SUFFIX)]


def _member(item: Any) -> Member:
    def texts(key: str) -> FrozenDict:
        values = item[key]
        if not all(isinstance(name, str) and isinstance(value, str) for name, value in values.items()):
            raise TypeError
        return FrozenDict(values)

    if not isinstance(item["name"], str) or not isinstance(item["path"], str) or not isinstance(item["options"], str):
        raise TypeError
    return Member(
        item["name"],
        item["path"],
        item["options"],
        texts("before"),
        FrozenDict(item["types"]),
        texts("kept"),
        texts("tried"),
        tuple(item["lost"]),
    )
