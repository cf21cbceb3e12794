# SPDX-License-Identifier: LGPL-2.1-or-later
"""Write the files that kmod keeps for itself, the policy and what it is compiled into among them: all, or none."""

from __future__ import annotations

import os
import time
from contextlib import ExitStack

from ..errors import FileError
from ..state.files import read_or_none
from .publish import Directory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Contents = dict[str, bytes | None]
    """Bytes by path; None for a file that is not there, or is to go."""

_OWNER = "kmod-policy"
"""What the names of temporaries begin with."""


def change_files(
    paths: Sequence[str], change: Callable[[Contents], Contents], *, own_directories: Sequence[str] | None = None
) -> list[str]:
    """Let `change` say from what some files have what they are to have, and write that; return the paths changed.

    No other run does so meanwhile. Whatever fails, all files are as before. Those of `own_directories` that are empty
    go, by default the first file's. Raises `FileError`, and what `change` raises.
    """
    directories = [os.path.dirname(path) for path in paths]
    own = directories[:1] if own_directories is None else own_directories
    made = [directory for directory in directories if not os.path.isdir(directory)]
    written: list[str] = []
    try:
        with ExitStack() as stack:
            opened = {path: stack.enter_context(Directory(path, owner=_OWNER)) for path in dict.fromkeys(directories)}
            opened[directories[0]].lock()
            before: Contents = {path: read_or_none(path) for path in paths}
            after = change(dict(before))
            try:
                for path, directory in zip(paths, directories, strict=True):
                    if after[path] != before[path]:
                        _write(opened[directory], path, after[path])
                        written.append(path)
            except BaseException:
                for path, directory in zip(paths, directories, strict=True):
                    if path in written:
                        _write(opened[directory], path, before[path])
                raise
    finally:
        for directory in {*made, *own}:
            _remove_if_empty(directory)
    return written


def _write(directory: Directory, path: str, data: bytes | None) -> None:
    name = os.path.basename(path)
    if data is not None:
        try:
            directory.prepare(name, data, time.time_ns())
            directory.publish()
        except BaseException:
            directory.discard(name)
            raise
        return
    try:
        os.unlink(name, dir_fd=directory.fd)
    except FileNotFoundError:
        return
    except OSError as error:
        raise FileError.of(error, path) from None


def _remove_if_empty(directory: str) -> None:
    try:
        os.rmdir(directory)
    except OSError:
        return
