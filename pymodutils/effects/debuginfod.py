# SPDX-License-Identifier: LGPL-2.1-or-later
"""Fetch debugging data from a debuginfod server, into the cache that its own client has.

Source: debuginfod(8), "WEBAPI"; debuginfod-find(1), "CACHE".
"""

from __future__ import annotations

import os

from ..errors import Error, FileError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

SECONDS = 30
MOST_BYTES = 1 << 30
_PIECE = 1 << 20
_NOT_FOUND = 404


def cache_directory() -> str:
    """Return the directory that debuginfod's clients keep files in."""
    named = os.environ.get("DEBUGINFOD_CACHE_PATH")
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return named or f"{base}/debuginfod_client"


def fetch_debuginfo(servers: Iterable[str], build_id: str, cache: str) -> str | None:
    """Return the path of a file with the debugging data of a build; None when no server has it.

    Blocks while a server answers. Raises `Error` when one cannot be asked and none of the others has the file.
    """
    path = f"{cache}/{build_id}/debuginfo"
    if os.path.isfile(path) and os.path.getsize(path):
        return path
    problem: Error | None = None
    for server in servers:
        try:
            if _download(f"{server.rstrip('/')}/buildid/{build_id}/debuginfo", path):
                return path
        except Error as error:
            problem = error
    if problem:
        raise problem
    return None


def _download(url: str, path: str) -> bool:
    """Put what a server has at `url` into a file; tell whether it has something. Raises `Error`."""
    import urllib.error
    import urllib.request
    from http.client import HTTPException

    if not url.startswith(("http://", "https://")):
        raise Error(f"{url}: a debuginfod server has an address that begins with http:// or https://")
    try:
        with urllib.request.urlopen(url, timeout=SECONDS) as answer:  # of these two kinds only, as was looked at above
            _store(answer, url, path)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == _NOT_FOUND:
            return False
        raise Error(f"{url}: status {error.code}") from None
    except (OSError, HTTPException, ValueError) as error:
        if isinstance(error, FileError):
            raise
        raise Error(f"{url}: {getattr(error, 'reason', None) or error}") from None
    return True


def _store(answer: Any, url: str, path: str) -> None:
    """Write an answer to a file, whole or not at all."""
    temporary = f"{path}.{os.getpid()}.part"
    try:
        os.makedirs(os.path.dirname(path), 0o755, exist_ok=True)
        try:
            with open(temporary, "wb") as file:
                left = MOST_BYTES
                while piece := answer.read(_PIECE):
                    left -= len(piece)
                    if left < 0:
                        raise Error(f"{url}: more than {MOST_BYTES} bytes")
                    file.write(piece)
            os.replace(temporary, path)
        except BaseException:
            _remove(temporary)
            raise
    except OSError as error:
        raise FileError.of(error, path) from None


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        return
