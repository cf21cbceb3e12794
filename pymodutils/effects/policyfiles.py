# SPDX-License-Identifier: LGPL-2.1-or-later
"""Write the policy and what it is compiled into: both, or neither."""

from __future__ import annotations

import os
import time

from ..errors import FileError
from ..state.files import read_or_none
from .publish import Directory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Contents = dict[str, bytes | None]
    """Bytes by path; None for a file that is not there, or is to go."""

_OWNER = "kmod-policy"
"""What the names of temporaries begin with."""


def change_files(paths: tuple[str, str], change: Callable[[Contents], Contents]) -> list[str]:
    """Let `change` say from what two files have what they are to have, and write that; return the paths changed.

    No other run does so meanwhile. Whatever fails, both files are as before. The first one's directory goes when it is
    empty. Raises `FileError`, and what `change`
    raises.
    """
    directories = [os.path.dirname(path) for path in paths]
    made = [directory for directory in directories if not os.path.isdir(directory)]
    written: list[str] = []
    try:
        with Directory(directories[0], owner=_OWNER) as first, Directory(directories[1], owner=_OWNER) as second:
            first.lock()
            before: Contents = {path: read_or_none(path) for path in paths}
            after = change(dict(before))
            try:
                for path, directory in zip(paths, (first, second), strict=True):
                    if after[path] != before[path]:
                        _write(directory, path, after[path])
                        written.append(path)
            except BaseException:
                for path, directory in zip(paths, (first, second), strict=True):
                    if path in written:
                        _write(directory, path, before[path])
                raise
    finally:
        for directory_path in {*made, directories[0]}:
            _remove_if_empty(directory_path)
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
