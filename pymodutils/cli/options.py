"""Command line options as getopt_long(3) of the GNU C library parses them, with its own sentences for mistakes.

`argparse` costs 8 ms to import and differs in all of this: permutation, abbreviations, messages, exit status.
"""

from __future__ import annotations

from ..errors import OptionError
from ..records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class Option(Record):
    """One option of a command.

    `name` is what the parser reports; `short` its letters, `long` its names; `value` the placeholder of its value in
    the help text, empty when it takes none. An option without `help` works but is not listed.
    """

    name: str
    short: str
    long: tuple[str, ...]
    help: str = ""
    value: str = ""


class Parser:
    """Iterate over (option name, value) pairs; afterwards `operands` holds the rest.

    Raises `OptionError` where getopt_long would complain; what came before has been reported by then, so that
    `-h --wrong` shows the help. With `permute` false (POSIXLY_CORRECT) the first operand ends the options.
    """

    def __init__(self, arguments: Sequence[str], options: Sequence[Option], *, permute: bool = True) -> None:
        self.operands: list[str] = []
        self._rest = list(reversed(arguments))  # the next one last, where taking it away costs nothing
        self._permute = permute
        self._short = {letter: option for option in options for letter in option.short}
        self._long = {name: option for option in options for name in option.long}

    def __iter__(self) -> Iterator[tuple[str, str]]:
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

    def _parse_cluster(self, letters: str) -> Iterator[tuple[str, str]]:
        for at, letter in enumerate(letters, 1):
            option = self._short.get(letter)
            if option is None:
                raise OptionError(f"invalid option -- '{letter}'")
            if not option.value:
                yield option.name, ""
                continue
            if at == len(letters) and not self._rest:
                raise OptionError(f"option requires an argument -- '{letter}'")
            yield option.name, letters[at:] or self._rest.pop()
            return

    def _parse_long(self, text: str) -> tuple[str, str]:
        name, equals, value = text.partition("=")
        full, option = self._find_long(name, text)
        if not option.value:
            if equals:
                raise OptionError(f"option '--{full}' doesn't allow an argument")
            return option.name, ""
        if not equals:
            if not self._rest:
                raise OptionError(f"option '--{full}' requires an argument")
            value = self._rest.pop()
        return option.name, value

    def _find_long(self, name: str, typed: str) -> tuple[str, Option]:
        """The option of that name or unambiguous abbreviation, with its full name; mistakes quote it as typed."""
        if name in self._long:
            return name, self._long[name]
        matches = [full for full in self._long if full.startswith(name)]
        if not matches:
            raise OptionError(f"unrecognized option '--{typed}'")
        # A deprecated name `old:X` means the same as X.
        if len({self._long[full].name.removeprefix("old:") for full in matches}) > 1:
            possibilities = " ".join(f"'--{full}'" for full in matches)
            raise OptionError(f"option '--{typed}' is ambiguous; possibilities: {possibilities}")
        full = next((full for full in matches if not self._long[full].name.startswith("old:")), matches[0])
        return full, self._long[full]


def help_text(usage: str, options: Sequence[Option], notes: str = "") -> str:
    """The text of `--help`: usage, one line for each listed option, notes."""
    lines = [f"Usage:\n\t{usage}\n\nOptions:\n"]
    for option in options:
        if not option.help:
            continue
        spellings = ", ".join([f"-{letter}" for letter in option.short] + [f"--{name}" for name in option.long])
        if option.value:
            spellings += ("=" if option.long else " ") + option.value
        lines.append(f"\t{spellings:<36} {option.help}\n")
    return "".join(lines) + (f"\n{notes}\n" if notes else "")


HELP = Option("help", "h", ("help",), "show this help")
VERSION = Option("version", "V", ("version",), "show the version")
SYSLOG = Option("syslog", "s", ("syslog",), "write messages to syslog, not to stderr")
VERBOSE = Option("verbose", "v", ("verbose",), "accepted, without effect")
