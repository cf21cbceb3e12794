# SPDX-License-Identifier: LGPL-2.1-or-later
"""Draw a graph by Graphviz, whose program `dot` computes where things stand."""

from __future__ import annotations

from ..errors import MissingSupportError
from ..names import decode, encode

PROGRAM = "dot"
MOST_SECONDS = 120
"""How long a drawing may take: that of 150 modules takes less than a second, that of 1,000 half a minute."""


def draw_svg(text: str) -> str:
    """Return a graph in DOT as SVG. Raises `MissingSupportError` when Graphviz is not there or cannot draw it."""
    import subprocess

    try:
        done = subprocess.run(
            [PROGRAM, "-Tsvg"], check=False, input=encode(text), capture_output=True, timeout=MOST_SECONDS
        )
    except OSError:
        raise MissingSupportError(f"{PROGRAM}, of the package graphviz, is not installed") from None
    except subprocess.TimeoutExpired:
        raise MissingSupportError(f"{PROGRAM} was not done in {MOST_SECONDS} seconds") from None
    if done.returncode:
        reason = decode(done.stderr).strip().splitlines()
        raise MissingSupportError(f"{PROGRAM}: {reason[0] if reason else f'status {done.returncode}'}")
    return decode(done.stdout)
