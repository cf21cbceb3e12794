"""The kernel command line as configuration: `modprobe.blacklist=` and `MODULE.PARAMETER=` (contract 2)."""

from __future__ import annotations

from ..errors import FormatError, NameSyntaxError
from ..names import decode, normalize_alias
from .modprobeconf import Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..errors import Error

_SPACES = " \t\n\v\f\r"


class BadModuleName(FormatError):
    """A parameter of a module whose name has an unmatched bracket; `reason` is that name."""


def parse_kernel_command_line(data: bytes, path: str = "/proc/cmdline") -> tuple[list[Rule], list[Error]]:
    """The rules that the words of the kernel command line stand for, in order, and what is wrong in them.

    Words that are no rules are not ours, and not wrong.
    """
    rules: list[Rule] = []
    problems: list[Error] = []
    for word in words(decode(data).partition("\0")[0]):
        try:
            rules += _rules(word, path)
        except BadModuleName as problem:
            problems.append(problem)
    return rules, problems


def words(text: str) -> Iterator[str]:
    """The words; white space between double quotes does not end one."""
    start, quoted = 0, False
    for at, char in enumerate(text):
        if char == '"':
            quoted = not quoted
        elif char in _SPACES and not quoted:
            if at > start:
                yield text[start:at]
            start = at + 1
    if start < len(text) and not quoted:  # a quote that is never closed swallows the rest
        yield text[start:]


def _rules(word: str, path: str) -> list[Rule]:
    quoted = word.startswith('"')
    word = word.removeprefix('"')
    head, equals, value = word.partition("=")
    module, dot, parameter = head.partition(".")
    if not dot or "." in parameter or '"' in head or (quoted and not equals) or set(module) & set(_SPACES):
        return []
    if quoted:
        # Quotes around the whole word protect the value; the kernel's parser wants them around the value alone.
        value = f'"{value}'
    if module == "modprobe" and parameter == "blacklist" and equals:
        return [Rule("blacklist", name, "", path, 0) for name in value.split(",")]
    try:
        module = normalize_alias(module)
    except NameSyntaxError:
        raise BadModuleName(module, path=path) from None
    return [Rule("options", module, (parameter + equals + value).replace("\t", " "), path, 0)]
