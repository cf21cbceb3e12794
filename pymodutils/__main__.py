# SPDX-License-Identifier: LGPL-2.1-or-later
"""Run the commands where their scripts are not at hand: `python -m pymodutils`, which is `kmod`.

The first word may also be one of the six commands: `python -m pymodutils lsmod`. Unlike the scripts this is not
isolated: without `-I`, Python's variables and the current directory decide what is imported.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


def start(words: Sequence[str]) -> int:
    """Run the command that the words after `-m pymodutils` stand for; the exit status."""
    from .cli.main import PROGRAMS, main

    return main(words if words and words[0] in PROGRAMS else ["kmod", *words])


if __name__ == "__main__":
    import os

    if sys.getfilesystemencoding() != "utf-8":  # file names must come back byte for byte in any locale
        os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])
    try:
        status: int = start(sys.argv[1:])
    except KeyboardInterrupt:  # before the command could take it in
        status = 130
    os._exit(status)  # everything is flushed, and nothing may go wrong after that
