# SPDX-License-Identifier: LGPL-2.1-or-later
"""A command's line: the table of its options, parsed as getopt_long(3) of the GNU C library does, and its operands.

`argparse` costs 8 ms to import and differs in all of this: permutation, abbreviations, messages, exit status.
"""

from __future__ import annotations

from ..errors import Error
from ..osparts import absolute as absolute  # for the commands, some of which import `os`
from ..osparts import environ
from .console import CommandExit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from .console import Console


class Option:
    """One option of a command; parsing, help, completions and the test of the manual page read it.

    `name` is the field of the command's `CommandOptions` that it sets. `short` has its letters, `long` its names, and
    `deprecated` the names that still work and are warned about. `help` is its line in the help text. `value` is the
    placeholder of its value, empty when it takes none: then it sets the field to `constant`. With `repeats` each use
    counts: values are collected, uses without a value are counted. `choices` has the values that there are, where these
    are few.
    """

    __slots__ = ("choices", "constant", "deprecated", "help", "long", "name", "repeats", "short", "value")

    def __init__(
        self,
        name: str,
        short: str,
        long: tuple[str, ...],
        help: str,
        value: str = "",
        *,
        deprecated: tuple[str, ...] = (),
        repeats: bool = False,
        constant: bool | str = True,
        choices: Sequence[str] = (),
    ) -> None:
        self.name: str = name
        self.short: str = short
        self.long: tuple[str, ...] = long
        self.help: str = help
        self.value: str = value
        self.deprecated: tuple[str, ...] = deprecated
        self.repeats: bool = repeats
        self.constant: bool | str = constant
        self.choices: Sequence[str] = choices


HELP = Option("help", "h", ("help",), "show this help")
VERSION = Option("version", "V", ("version",), "show the version")
SYSLOG = Option("syslog", "s", ("syslog",), "write messages to syslog, not to stderr")
VERBOSE = Option("verbose", "v", ("verbose",), "accepted, without effect", repeats=True)
EXPLAIN = Option("explain", "", ("explain",), "explain failures: never, auto (on a terminal), always", "WHEN",
                 choices=("never", "auto", "always"))  # fmt: skip
JSON = Option("json", "", ("json",), "print JSON, see pymodutils-json(5)")


class CommandOptions:
    """The options of a command as one command line has them.

    A command with options of its own has a subclass with a field, and its default, for each.
    """

    syslog = False
    verbose = 0
    json = False
    explain = ""

    def store(self, option: Option, value: str, console: Console) -> None:
        """Take in one option. Raises `CommandExit` for a value that the command refuses, after saying why."""
        if option is EXPLAIN and value not in option.choices:
            console.error(f"unexpected explain value '{value}'.")
            raise CommandExit(1)
        new: object = value if option.value else option.constant
        if option.repeats:
            old = getattr(self, option.name)
            new = (*old, value) if option.value else old + 1
        setattr(self, option.name, new)


class CommandLine:
    """The command line that a command accepts.

    `usage` has the lines of its synopsis without the command's name, `groups` its options under their headings, `notes`
    and `examples` what the help text says besides, `page` the name of its manual page with the section.
    """

    def __init__(
        self,
        usage: Sequence[str],
        groups: Mapping[str, tuple[Option, ...]],
        *,
        page: str,
        notes: str = "",
        examples: Sequence[str] = (),
    ) -> None:
        self.usage = usage
        self.groups = groups
        self.page = page
        self.notes = notes
        self.examples = examples

    @property
    def options(self) -> list[Option]:
        """All options, in the order of the help text."""
        return [option for group in self.groups.values() for option in group]

    def read(self, arguments: Sequence[str], console: Console, options: CommandOptions) -> list[str]:
        """Store what the options say, and return the operands.

        Raises `CommandExit` after --help, --version and a mistake.
        """
        parser = Parser(arguments, self.options, permute="POSIXLY_CORRECT" not in environ())
        try:
            for option, value, spelling in parser:
                if option is HELP or option is VERSION:
                    from .help import help_text, version_text

                    console.write(help_text(self, console.command) if option is HELP else version_text())
                    raise CommandExit(0)
                if spelling in option.deprecated:
                    new = option.long[0]
                    console.warning(f"--{spelling} is deprecated and scheduled for removal; use --{new}")
                options.store(option, value, console)
        except OptionError as error:
            console.write_stderr_line(f"{console.typed_name()}: {error.reason}")
            console.hint(f"Try: {console.command} --help")
            raise CommandExit(1) from None
        console.syslog = console.syslog or options.syslog
        return parser.operands


class OptionError(Error):
    """Options that getopt_long would refuse; `reason` is getopt's own sentence."""


class Parser:
    """Iterate over (option, value, the name or letter that it was called by); afterwards `operands` holds the rest.

    Raises `OptionError` where getopt_long would complain; the iteration has brought what comes before by then, so that
    `-h --wrong` shows the help. With `permute` false (POSIXLY_CORRECT) the first operand ends the options.
    """

    def __init__(self, arguments: Sequence[str], options: Sequence[Option], *, permute: bool = True) -> None:
        self.operands: list[str] = []
        self._rest = list(reversed(arguments))  # the next one last, where taking it away costs nothing
        self._permute = permute
        self._short = {letter: option for option in options for letter in option.short}
        # kmod has most deprecated names before those that replace them, which shows where an abbreviation is ambiguous.
        self._long = {name: option for option in options for name in (*option.deprecated, *option.long)}

    def __iter__(self) -> Iterator[tuple[Option, str, str]]:
        while self._rest:
            argument = self._rest.pop()
            if argument == "--":
                break
            if argument.startswith("--"):
                yield self._parse_long(argument[2:])
            elif argument.startswith("-") and argument != "-":
                yield from self._parse_cluster(argument[1:])
            else:
                self.operands.append(argument)
                if not self._permute:
                    break
        self.operands += reversed(self._rest)
        self._rest = []

    def _parse_cluster(self, letters: str) -> Iterator[tuple[Option, str, str]]:
        for at, letter in enumerate(letters, 1):
            option = self._short.get(letter)
            if option is None:
                raise OptionError(f"invalid option -- '{letter}'")
            if not option.value:
                yield option, "", letter
                continue
            if at == len(letters) and not self._rest:
                raise OptionError(f"option requires an argument -- '{letter}'")
            yield option, letters[at:] or self._rest.pop(), letter
            return

    def _parse_long(self, text: str) -> tuple[Option, str, str]:
        name, equals, value = text.partition("=")
        full = name if name in self._long else self._complete(name, text)
        option = self._long[full]
        if not option.value:
            if equals:
                raise OptionError(f"option '--{full}' doesn't allow an argument")
            return option, "", full
        if not equals:
            if not self._rest:
                raise OptionError(f"option '--{full}' requires an argument")
            value = self._rest.pop()
        return option, value, full

    def _complete(self, beginning: str, typed: str) -> str:
        """Return the full name of an unambiguous abbreviation; mistakes quote it as typed."""
        matches = [full for full in self._long if full.startswith(beginning)]
        if not matches:
            raise OptionError(f"unrecognized option '--{typed}'")
        # A deprecated name says something of its own, so it is another meaning.
        if len({(self._long[full], full in self._long[full].deprecated) for full in matches}) > 1:
            possibilities = " ".join(f"'--{full}'" for full in matches)
            raise OptionError(f"option '--{typed}' is ambiguous; possibilities: {possibilities}")
        return matches[0]


_PATH_MAX = 4096  # bytes, of which the last is a NUL


def require_short(directory: str, console: Console, word: str = "bad") -> None:
    """Refuse a module directory whose path is too long for the kernel, as kmod does. Raises `CommandExit`."""
    if len(directory.encode("utf-8", "surrogateescape")) >= _PATH_MAX:
        console.error(f"{word} directory {directory}: path too long")
        raise CommandExit(1)
