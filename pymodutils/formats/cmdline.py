# SPDX-License-Identifier: LGPL-2.1-or-later
"""The kernel command line as configuration.

`modprobe.blacklist=` and `MODULE.PARAMETER=` are modprobe's (docs/behaviour/2-formats.md). `module_blacklist=` and
`initcall_blacklist=` are the kernel's own (kernel/module/main.c, init/main.c), `modules_load=` is systemd's.
"""

from __future__ import annotations

from ..diagnostics import WARNING, Diagnostic
from ..errors import NameSyntaxError
from ..names import decode, encode, normalize_alias
from ..records import Record
from .modprobeconf import Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_SPACES = " \t\n\v\f\r"

MOST_TEXT_BYTES = 1024
"""Bytes of a parameter of the type charp, as module_blacklist= is: the kernel refuses a longer one with ENOSPC."""

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


def words(text: str, *, unclosed: bool = False) -> Iterator[str]:
    """Yield the words; white space between double quotes does not end one.

    A quote that is never closed swallows the rest, which is the last word if `unclosed`, else nothing.
    """
    start, quoted = 0, False
    for at, char in enumerate(text):
        if char == '"':
            quoted = not quoted
        elif char in _SPACES and not quoted:
            if at > start:
                yield text[start:at]
            start = at + 1
    if start < len(text) and (unclosed or not quoted):
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
        return [Rule("blacklist", name, "", file, None) for name in value.split(",")]
    try:
        module = normalize_alias(module)
    except NameSyntaxError:
        raise NameSyntaxError("unmatched bracket", asked=module) from None
    return [Rule("options", module, (parameter + equals + value).replace("\t", " "), file, None)]


MODULE_BLACKLIST, INITCALL_BLACKLIST, MODULES_LOAD = "module_blacklist", "initcall_blacklist", "modules_load"
"""Words of `BootRule.parameter`."""


class BootRule(Record):
    """One name in a list on the kernel command line that somebody other than modprobe obeys.

    `parameter` is `module_blacklist` (the kernel refuses the module `name`), `initcall_blacklist` (it does not call the
    function `name` of its own image, which starts a builtin module), or `modules_load` (systemd loads the module).
    Names are as written: the kernel compares them with module names byte by byte. `effective` is False where a later
    `module_blacklist=` takes the place of this one, and where the list is longer than the kernel takes: then it takes
    none of it.
    """

    parameter: str
    name: str
    file: str
    effective: bool = True


def parse_boot_rules(data: bytes, file: str = "/proc/cmdline") -> list[BootRule]:
    """Return what the kernel command line says to the kernel and to systemd about modules, in order."""
    rules: list[BootRule] = []
    for parameter, value in _kernel_parameters(decode(data).partition("\0")[0].removesuffix("\n")):
        is_taken = parameter != MODULE_BLACKLIST or len(encode(value)) <= MOST_TEXT_BYTES
        if parameter == MODULE_BLACKLIST and is_taken:
            rules = [rule.replace(effective=False) if rule.parameter == parameter else rule for rule in rules]
        if parameter in (MODULE_BLACKLIST, INITCALL_BLACKLIST, MODULES_LOAD):
            rules += [BootRule(parameter, name, file, is_taken) for name in value.split(",") if name]
    return rules


def _kernel_parameters(text: str) -> Iterator[tuple[str, str]]:
    """Yield (name, value) as the kernel's next_arg takes them apart; what stands behind `--` is for init."""
    for word in words(text, unclosed=True):
        if word == "--":
            return
        name, _, value = word.removeprefix('"').partition("=")
        yield name.replace("-", "_"), value.removeprefix('"').removesuffix('"')
