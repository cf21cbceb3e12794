# SPDX-License-Identifier: LGPL-2.1-or-later
"""kmod config: the rules about modules that are in force, what they shadow, and what shadows them."""

from __future__ import annotations

from ..diagnosis.rules import RuleStatus, all_rules, knows_softdeps, names_of, rules_for
from ..errors import Error
from ..formats.cmdline import parse_boot_rules
from ..names import encode
from ..records import Record
from ..state.modulesload import read_modules_load
from ..state.udevrules import read_udev_loads
from .report import Report, asked_names, head, is_unread, unlisted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..context import Context
    from ..state.system import System


class ConfigFile(Record):
    """A configuration file; `shadowed_by` is the file of the same name that is read in its place, if any."""

    file: str
    shadowed_by: str | None


class ConfigReport(Report):
    """Rules and the files that they come from; `asked` are the names that the rules are about, none for all.

    `similar` has names that resemble an asked one that nothing knows, and no rule is about.
    """

    asked: tuple[str, ...]
    rules: tuple[RuleStatus, ...]
    files: tuple[ConfigFile, ...]
    similar: tuple[str, ...]


def config(context: Context, names: str | Iterable[str] = ()) -> ConfigReport:
    """Return the rules about modules: all, or those about what `names` stand for.

    They come from modprobe.d, modules.softdep and modules.weakdep, from modules-load.d and /etc/modules, from udev's
    rules, and from the kernel command line. What cannot be read is an error of the report, and so is an index that is
    missing or damaged: which rules count depends on what there is.
    """
    asked = tuple(asked_names(names))
    command_line = context.live.text("cmdline")
    boot_rules = parse_boot_rules(encode(command_line or ""), f"{context.roots.proc}/cmdline")
    at_boot = read_modules_load(context.roots, command_line)
    udev = read_udev_loads(context.roots)
    parts = (context.config, at_boot, udev)
    system = context.tolerant_system
    rules = context.config.rules
    found = all_rules(system, rules, at_boot.lines, udev.loads, boot_rules)
    if asked:
        wanted = {name for text in asked for name in names_of(system, text)}
        found = rules_for(system, wanted, found, rules)
    udev_files = dict.fromkeys(load.file for load in udev.loads)
    files = [ConfigFile(file, None) for file in (*context.config.files, *at_boot.files, *udev_files)]
    files += [ConfigFile(pair.file, pair.by) for part in parts for pair in part.shadowed]
    errors = [problem for part in parts for problem in part.problems if is_unread(problem)]
    is_whole = not unlisted(system.tree, "symbol:")  # then all soft dependencies are known, by symbols as well
    if asked or not (is_whole or all(knows_softdeps(system, rule.key) for rule in context.config.of("install"))):
        errors += [error for text in asked or [""] for error in unlisted(system.tree, text)]
    return ConfigReport(
        **head("config", context, dict.fromkeys(errors)),
        asked=asked,
        rules=tuple(found),
        files=tuple(files),
        similar=() if found else _similar(context, system, asked),
    )


def _similar(context: Context, system: System, asked: Iterable[str]) -> tuple[str, ...]:
    """Return names that resemble those that stand for nothing."""
    found: list[str] = []
    for text in asked:
        if len(names_of(system, text)) > 1 or system.tree.find(text) or system.tree.is_builtin(text):
            continue
        try:
            found += context.similar(text)
        except Error:  # no index to look in
            continue
    return tuple(dict.fromkeys(found))
