"""The kernel command line as configuration: `modprobe.blacklist=` and `MODULE.PARAMETER=` (2-formats.md)."""

from __future__ import annotations

from ..diagnostics import WARNING, Diagnostic
from ..errors import NameSyntaxError
from ..names import decode, normalize_alias
from .modprobeconf import Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_SPACES = " \t\n\v\f\r"

BAD_MODULE_NAME = "bad-module-name"
"""Code of a diagnostic: a parameter of a module whose name, the `subject`, has an unmatched bracket."""


def parse_kernel_command_line(data: bytes, file: str = "/proc/cmdline") -> tuple[list[Rule], list[Diagnostic]]:
    """Return the rules that the words of the kernel command line stand for, in order, and what is wrong in them.

    A word that is no rule is meant for somebody else, and not wrong.
    """
    rules: list[Rule] = []
    problems: list[Diagnostic] = []
    for word in words(decode(data).partition("\0")[0]):
        try:
            rules += _rules(word, file)
        except NameSyntaxError as error:
            text = "a module name has an unmatched bracket"
            problems.append(Diagnostic(BAD_MODULE_NAME, WARNING, text, file=file, subject=error.asked))
    return rules, problems


def words(text: str) -> Iterator[str]:
    """Yield the words; white space between double quotes does not end one."""
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


def _rules(word: str, file: str) -> list[Rule]:
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
        return [Rule("blacklist", name, "", file, 0) for name in value.split(",")]
    try:
        module = normalize_alias(module)
    except NameSyntaxError:
        raise NameSyntaxError("unmatched bracket", asked=module) from None
    return [Rule("options", module, (parameter + equals + value).replace("\t", " "), file, 0)]
