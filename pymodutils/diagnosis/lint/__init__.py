# SPDX-License-Identifier: LGPL-2.1-or-later
"""kmod lint: mistakes in the rules about modules. Each lint rule is a row of LINT_RULES and one function."""

from __future__ import annotations

from ...formats.conflines import carriage_returns
from ...records import Record
from .image import initramfs_stale
from .lines import backslash, bad_line, bom, byte_order_mark, crlf, not_conf, wrong_place
from .names import alias_nowhere, builtin_module, cmdline_dash, load_absent, load_denied, unknown_module
from .parameters import bad_value, unknown_parameter
from .precedence import install_ignored, replaces_shipped, second_softdep, shadowed, side_loads
from .sources import Finding, Sources

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    Check = Callable[[Sources], Iterator[Finding]]


class LintRule(Record):
    """One kind of mistake: its name, what it means in a line, and the function that finds it.

    `needs_tree` tells whether it can be seen only where the modules are.
    """

    name: str
    text: str
    check: Check
    needs_tree: bool = False


LINT_RULES = (
    LintRule(
        "shadowed", "an install, remove, softdep or weakdep line that an earlier one keeps from counting", shadowed
    ),
    LintRule("second-softdep", "a second softdep line for a module: they do not add up", second_softdep),
    LintRule(
        "softdep-replaces-shipped",
        "a softdep line that leaves out what the module itself wants",
        replaces_shipped,
        needs_tree=True,
    ),
    LintRule(
        "install-ignored",
        "an install line for a module with soft dependencies, which is not obeyed",
        install_ignored,
        needs_tree=True,
    ),
    LintRule("side-loads", "a module kept out whose dependencies come in by its aliases", side_loads, needs_tree=True),
    LintRule("unknown-module", "a rule about a module that this kernel does not have", unknown_module, needs_tree=True),
    LintRule("builtin-module", "a rule about a module that is part of the kernel", builtin_module, needs_tree=True),
    LintRule("unknown-parameter", "an option that the module does not have", unknown_parameter, needs_tree=True),
    LintRule("bad-value", "a value that the kernel refuses, and the module with it", bad_value, needs_tree=True),
    LintRule("alias-nowhere", "an alias of a module that is not there", alias_nowhere, needs_tree=True),
    LintRule("bad-line", "a line that is no rule, or of which a part does nothing", bad_line),
    LintRule("wrong-place", "a line of modules-load.d that belongs in modprobe.d", wrong_place),
    LintRule("not-conf", "a file that is not read because its name does not end in .conf", not_conf),
    LintRule("crlf", "lines that end in a carriage return, which becomes part of the rule", crlf),
    LintRule("backslash", "a backslash that disappears, or joins lines unseen", backslash),
    LintRule("bom", "a byte order mark, which becomes part of the first word", bom),
    LintRule(
        "cmdline-dash", "a name with a dash in a list on the kernel command line, which matches nothing", cmdline_dash
    ),
    LintRule("initramfs-stale", "a file of which the initial file system has another copy, or none", initramfs_stale),
    LintRule("modules-load-absent", "a line of modules-load.d about what is not there", load_absent, needs_tree=True),
    LintRule(
        "modules-load-denied",
        "a line of modules-load.d about a module that another rule keeps out",
        load_denied,
        needs_tree=True,
    ),
)


def lint(sources: Sources) -> list[Finding]:
    """Return what all lint rules find, by file and line.

    Where nobody can tell which modules and aliases there are, it is what those rules find that need none. Where a
    carriage return or a byte order mark spoils lines, nothing else is said of these.
    """
    tree = sources.system.tree
    rules = [rule for rule in LINT_RULES if not rule.needs_tree or tree.why_unknown() is None]
    found = [(rule, finding) for rule in rules for finding in rule.check(sources)]
    is_whole = tree.why_unknown() is None  # an index may have turned out to be damaged on the way
    known = [finding for rule, finding in found if is_whole or not rule.needs_tree]
    return sorted(_unspoiled(sources, known), key=lambda finding: (finding.file, finding.line or 0))


def _unspoiled(sources: Sources, findings: Iterable[Finding]) -> Iterator[Finding]:
    spoiled = {file: set(carriage_returns(data)) for file, data in sources.texts.items() if b"\r" in data}
    marked = {file for file, data in sources.texts.items() if byte_order_mark(data)}
    for finding in findings:
        by_return = finding.rule != "crlf" and finding.line in spoiled.get(finding.file, ())
        by_mark = finding.rule != "bom" and finding.line == 1 and finding.file in marked
        if not by_return and not by_mark:
            yield finding
