"""What the commands share: reading their options, and the options that all of them have."""

from __future__ import annotations

import os

from ..errors import OptionError
from .console import NOTICE
from .options import Parser, help_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .console import Console
    from .options import Option

VERSION_TEXT = "kmod version 34\n+ZSTD +XZ +ZLIB +OPENSSL\n"
"""Scripts parse both lines (contract 1): the kmod whose behaviour this is, and what it can read."""


class Finished(Exception):
    """The options ask for nothing more; the command ends with `status`."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


def parse_options(
    arguments: Sequence[str],
    console: Console,
    options: Sequence[Option],
    usage: str,
    handle: Callable[[str, str], None],
    notes: str = "",
) -> list[str]:
    """Call `handle(name, value)` for each option of the command's own and return the operands.

    Raises `Finished` after --help, --version and a mistake.
    """
    parser = Parser(arguments, options, permute="POSIXLY_CORRECT" not in os.environ)
    try:
        for name, value in parser:
            if name == "help":
                console.write(help_text(usage, options, notes))
                raise Finished(0)
            if name == "version":
                console.write(VERSION_TEXT)
                raise Finished(0)
            if name == "syslog":
                console.syslog = True
            elif name == "verbose":
                console.level = NOTICE
            else:
                handle(name, value)
    except OptionError as error:
        console.raw_error(f"{console.typed_name()}: {error.reason}")
        raise Finished(1) from None
    return parser.operands


def absolute(path: str) -> str:
    """The path from the root, with nothing resolved: `../x` in /tmp is `/tmp/../x`."""
    return path if path.startswith("/") else f"{os.getcwd()}/{path}"
