# SPDX-License-Identifier: LGPL-2.1-or-later
"""Which modules a string stands for: tables asked in a fixed order; the first with an answer wins.

Source: docs/behaviour/3-resolution.md.
"""

from __future__ import annotations

import errno
import posix
from _stat import S_ISDIR, S_ISREG

from ..errors import Error, FileError, NameSyntaxError, NotFoundError
from ..names import bare_name, has_module_extension, module_name, normalize_alias, normalize_name
from ..records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ..formats.modprobeconf import Rule
    from ..state.system import System
    from ..state.tree import ModuleTree

    LookupTable = Callable[[System, str], list["Match"]]
    SoftdepTargets = tuple[list["Match"], list[tuple[str, str]]]
    """Modules that the names of a softdep rule stand for; and (name, reason) of each name that stands for nothing."""

FILE, MODULES_DEP, MODULES_SYMBOLS, MODULES_ALIAS = "file", "modules.dep", "modules.symbols", "modules.alias"
MODULES_BUILTIN, BUILTIN_ALIAS = "modules.builtin", "modules.builtin.alias"
"""Words of `Match.origin`; of a module found by a rule it is the rule's FILE:LINE."""

NO_MATCH, BAD_NAME = "not found", "unmatched bracket"
"""Reasons why a string stands for nothing."""


class Match(Record):
    """A module that a string stands for.

    `alias` is the alias it was found by (of a configured one the pattern), None when it was found by its name. `path`
    is its file and `dependencies` are those of its hard dependencies (the last loads first). `origin` is the index, or
    the FILE:LINE of the rule, that knew it; `file` for a module asked for by its path. `command` is the install or
    remove rule that gave it its name. `builtin` tells whether it is part of the kernel image. `blacklisted` is the
    blacklist rule for it.
    """

    name: str
    alias: str | None
    path: str | None
    dependencies: tuple[str, ...]
    origin: str
    command: Rule | None = None
    builtin: bool = False
    blacklisted: Rule | None = None


def is_available(system: System, module: Match) -> bool:
    """Tell whether there is nothing to load. A file given by its path never stands for a builtin module."""
    if module.origin == FILE:
        return system.is_live(module.name)
    return module.builtin or system.is_available(module.name)


def match(system: System, name: str, alias: str | None, origin: str, command: Rule | None = None) -> Match:
    """Return the match for a module's name, found by `origin`, with what the tree knows of it."""
    entry = system.tree.find(name)
    builtin = origin == BUILTIN_ALIAS or (entry is None and system.tree.is_builtin(name))
    blacklisted = system.config.blacklisted(name)
    if entry is None:
        return Match(name, alias, None, (), origin, command, builtin, blacklisted)
    return Match(name, alias, entry.path, entry.dependencies, origin, command, builtin, blacklisted)


def _config_aliases(system: System, text: str) -> list[Match]:
    return [match(system, rule.text, rule.key, rule.origin) for rule in system.config.aliases(text)]


def _module_names(system: System, text: str) -> list[Match]:
    if ":" in text or system.tree.find(text) is None:
        return []
    return [match(system, text, None, MODULES_DEP)]


def _symbols(system: System, text: str) -> list[Match]:
    if not text.startswith("symbol:"):
        return []
    return [match(system, name, text, MODULES_SYMBOLS) for name in system.tree.modules_by_symbol(text)]


def _commands(system: System, text: str) -> list[Match]:
    for kind in ("install", "remove"):
        rule = system.config.literal(kind, text)
        if rule:
            # Here the name of a module is made of what is no alias: brackets mean nothing, and a dot ends it.
            return [match(system, bare_name(text), None, rule.origin, rule)]
    return []


def _module_aliases(system: System, text: str) -> list[Match]:
    return [match(system, name, text, MODULES_ALIAS) for name in system.tree.modules_by_alias(text)]


def _builtins(system: System, text: str) -> list[Match]:
    return [match(system, text, None, MODULES_BUILTIN)] if system.tree.is_builtin(text) else []


def _builtin_aliases(system: System, text: str) -> list[Match]:
    return [match(system, name, text, BUILTIN_ALIAS) for name in system.tree.builtins_by_alias(text)]


TABLES: tuple[tuple[str, LookupTable], ...] = (
    ("alias rules of the configuration", _config_aliases),
    ("modules.dep, by exact name", _module_names),
    ("modules.symbols, for symbol:NAME", _symbols),
    ("install, then remove rules, by exact name", _commands),
    ("modules.alias", _module_aliases),
    ("modules.builtin", _builtins),
    ("modules.builtin.alias", _builtin_aliases),
)
"""What is asked, in order, and the function that asks. Without configuration the rules have no answer (modinfo)."""


def lookup(system: System, text: str) -> list[Match]:
    """Return the modules that `text` stands for; none when no table knows it.

    Raises `NameSyntaxError` for an unmatched bracket, and what `ModuleTree` raises.
    """
    text = normalize_alias(text)
    for _label, table in TABLES:
        found = table(system, text)
        if found:
            return found
    return []


def softdep_targets(system: System, names: list[str]) -> SoftdepTargets:
    """Return what the names of a softdep rule stand for."""
    found: list[Match] = []
    missing: list[tuple[str, str]] = []
    for name in names:
        try:
            modules = lookup(system, name)
        except NameSyntaxError:
            missing.append((name, BAD_NAME))
            continue
        found += modules
        if not modules:
            missing.append((name, NO_MATCH))
    return found, missing


def not_found(tree: ModuleTree, asked: str) -> NotFoundError:
    """Return the error for text that stands for nothing, or of which nobody can tell whether it does."""
    from .similar import similar_names

    why = tree.why_unknown(asked)
    try:
        similar = similar_names(asked, [module.name for module in tree.modules()] + tree.builtins())
    except Error:  # no index to look in
        similar = []
    name = normalize_name(asked)
    if why is None:
        return NotFoundError("module not found", asked=asked, module=name, similar=similar)
    text = f"cannot tell whether there is such a module: {why}"
    return NotFoundError(text, asked=asked, module=name, path=tree.directory, similar=similar, certain=False)


def names_unknown(
    path: str | None, why: str, asked: str | None = None, *, what: str = "which modules and aliases there are"
) -> Error:
    """Return the error for an answer that rests on all names, where nobody can tell them.

    `why` says the reason, `path` is the module directory or the index that it is about, and `what` is not known.
    """
    return Error(f"cannot tell {what}: {why}", path=path, asked=asked)


def is_path(text: str) -> bool:
    """Tell whether an operand of modprobe names a file."""
    return text.startswith(("/", "./"))


def names_file(text: str) -> bool:
    """Tell whether an operand of a verb, or text given to the library, names a file.

    It need not begin with `./`; but an alias may have a slash, too (`devname:net/tun`).
    """
    return is_path(text) or ("/" in text and has_module_extension(text))


def match_file(system: System, path: str) -> Match:
    """Return the module in a file, with the dependencies that the index lists for its name.

    Raises `FileError` when there is no such file, or a directory whose path gives no name.
    """
    name = module_name(path)
    try:
        mode = posix.stat(path).st_mode
    except OSError as error:
        raise FileError.of(error, path) from None
    except ValueError:  # a NUL in the path
        mode, name = 0, ""
    if not name:
        number = errno.EISDIR if S_ISDIR(mode) else errno.ENOENT
        raise FileError(posix.strerror(number), path=path, errno=number)
    entry = system.tree.find(name)
    blacklisted = system.config.blacklisted(name)
    return Match(name, None, path, entry.dependencies if entry else (), FILE, blacklisted=blacklisted)


def match_regular_file(system: System, path: str) -> Match:
    """Return the module in a file as `match_file` does. Raises `FileError` also for a directory, a device or a pipe.

    Verbs say so at once; modprobe leaves that to whatever reads the file, as kmod does.
    """
    require_regular(path)  # first: a path like `/` gives no name, and what is wrong with it is that it is a directory
    return match_file(system, path)


def require_regular(path: str) -> None:
    """Raise `FileError` for a directory, a device or a pipe, and for what cannot be looked at."""
    try:
        mode = posix.stat(path).st_mode
    except OSError as error:
        raise FileError.of(error, path) from None
    except ValueError:  # a NUL in the path
        raise FileError(posix.strerror(errno.ENOENT), path=path, errno=errno.ENOENT) from None
    if S_ISDIR(mode):
        raise FileError(posix.strerror(errno.EISDIR), path=path, errno=errno.EISDIR)
    if not S_ISREG(mode):
        raise FileError("no regular file: a device, a pipe or a socket is no module", path=path, errno=errno.EINVAL)
