# SPDX-License-Identifier: LGPL-2.1-or-later
"""Reads the file that an operand names, or standard input."""

from __future__ import annotations

import errno
import os
import sys

from ...errors import FileError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import BinaryIO

STANDARD_INPUT = "-"
"""The operand that stands for it."""

_PIECE = 1 << 16


def read_operand(path: str, limit: int) -> bytes:
    """Return the bytes of a file or pipe to its end, or of standard input. Raises `FileError`, also beyond `limit`."""
    try:
        if path != STANDARD_INPUT:
            with open(path, "rb") as file:
                return _read(file, limit)
        # Python has no `sys.stdin` when the program is started with it closed.
        return _read(sys.stdin.buffer, limit) if sys.stdin else b""
    except OSError as error:
        raise FileError.of(error, path) from None


def _read(stream: BinaryIO, limit: int) -> bytes:
    # Piece by piece: one `read` would set aside room for all that a device without end could give.
    pieces, room = [], limit
    while piece := stream.read(_PIECE):
        pieces.append(piece)
        room -= len(piece)
        if room < 0:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
    return b"".join(pieces)
