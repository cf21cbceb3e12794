# SPDX-License-Identifier: LGPL-2.1-or-later
"""What `--help` and `--version` print."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Protocol

    class Option(Protocol):
        """What is shown of an option: `options.Option` has it."""

        short: str
        long: tuple[str, ...]
        help: str
        value: str

    class CommandLine(Protocol):
        """What is shown of a command line: `options.CommandLine` has it."""

        @property
        def usage(self) -> Sequence[str]:
            """The lines of the synopsis."""

        @property
        def groups(self) -> Mapping[str, tuple[Option, ...]]:
            """The options under their headings."""

        @property
        def notes(self) -> str:
            """What else is to be said."""

        @property
        def examples(self) -> Sequence[str]:
            """Lines that one could type."""

        @property
        def page(self) -> str:
            """The manual page."""


WIDTH = 38
"""Columns of the options' spellings."""


def help_text(line: CommandLine, command: str) -> str:
    """Return the text of `--help`: usage, the options by groups, notes, examples, the manual page."""
    parts = ["Usage:\n" + "".join(f"\t{command} {usage}\n" for usage in line.usage)]
    parts += [f"{heading}:\n" + "".join(map(_option_line, options)) for heading, options in line.groups.items()]
    if line.notes:
        parts.append(f"{line.notes}\n")
    if line.examples:
        heading = "Example" if len(line.examples) == 1 else "Examples"
        parts.append(f"{heading}:\n" + "".join(f"\t{example}\n" for example in line.examples))
    parts.append(f"Manual page: {line.page}\n")
    return "\n".join(parts)


def _option_line(option: Option) -> str:
    return f"\t{', '.join(spellings(option)) + value_of(option):<{WIDTH}} {option.help}\n"


def spellings(option: Option) -> list[str]:
    """Return all ways to write an option, but for deprecated ones."""
    return [*(f"-{letter}" for letter in option.short), *(f"--{name}" for name in option.long)]


def value_of(option: Option) -> str:
    """Return what follows the option's last spelling when it takes a value."""
    return f"{'=' if option.long else ' '}{option.value}" if option.value else ""


def version_text() -> str:
    """Return the text of `--version`; scripts parse the first two lines (docs/behaviour/1-commands.md).

    The first names the kmod whose behaviour this is, the second what can be read here and now.
    """
    import sys

    from .._version import __version__
    from ..formats.compression import readable_compressions

    readable = readable_compressions()
    features = {"ZSTD": "zstd" in readable, "XZ": "xz" in readable, "ZLIB": "gzip" in readable, "OPENSSL": True}
    flags = " ".join(f"{'+' if has else '-'}{name}" for name, has in features.items())
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    return f"kmod version 34\n{flags}\npymodutils {__version__} (Python {python})\n"
