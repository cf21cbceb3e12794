"""Which modules a string stands for: tables asked in a fixed order; the first with an answer wins (contract 3)."""

from __future__ import annotations

import os

from ..errors import FileError, NameSyntaxError
from ..names import module_name, normalize_alias
from ..records import Record
from .steps import BAD_NAME, NOT_FOUND

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ..formats.modprobeconf import Rule
    from ..state.config import Config
    from ..state.live import LiveKernel
    from ..state.tree import ModuleTree

    Resolved = tuple[list["Found"], list[tuple[str, str]]]
    """Modules that names stand for; and (name, reason) of each name that stands for nothing."""


class World(Record):
    """What decisions are made from."""

    tree: ModuleTree
    live: LiveKernel
    config: Config

    def in_kernel(self, name: str) -> bool:
        """Whether the module is builtin or loaded and ready."""
        return self.tree.is_builtin(name) or self.is_live(name)

    def dependencies(self, name: str) -> list[str]:
        """The names of a module's hard dependencies."""
        entry = self.tree.find(name)
        return entry.dependency_names if entry else []

    def is_live(self, name: str) -> bool:
        """Whether the module is loaded and ready."""
        return self.live.state(name) == "live"


class Found(Record):
    """A module that a string stands for.

    `alias` is the alias it was found by (of a configured one the pattern), None when found by its name; `path` its file
    and `dependencies` those of its hard dependencies (the last loads first); `origin` the table or rule that knew it.
    """

    name: str
    alias: str | None
    path: str | None
    dependencies: list[str]
    origin: str
    command: Rule | None = None

    @property
    def key(self) -> tuple[str, str | None]:
        """What makes two finds the same."""
        return self.name, self.alias

    def is_present(self, world: World) -> bool:
        """Whether there is nothing to load. A file given by its path is never taken for a builtin of that name."""
        return world.is_live(self.name) if self.origin == FROM_FILE else world.in_kernel(self.name)


FROM_FILE = "file"
"""The `origin` of a module that was asked for by the path of its file."""


def _found(world: World, name: str, alias: str | None, origin: str, command: Rule | None = None) -> Found:
    entry = world.tree.find(name)
    path = entry.path if entry else None
    return Found(name, alias, path, entry.dependencies if entry else [], origin, command)


def _config_aliases(world: World, text: str) -> list[Found]:
    return [_found(world, rule.text, rule.key, rule.origin) for rule in world.config.aliases(text)]


def _module_names(world: World, text: str) -> list[Found]:
    entry = None if ":" in text else world.tree.find(text)
    return [Found(text, None, entry.path, entry.dependencies, "modules.dep")] if entry else []


def _symbols(world: World, text: str) -> list[Found]:
    if not text.startswith("symbol:"):
        return []
    return [_found(world, name, text, "modules.symbols") for name in world.tree.modules_by_symbol(text)]


def _commands(world: World, text: str) -> list[Found]:
    for kind in ("install", "remove"):
        rule = world.config.literal(kind, text)
        if rule:
            # Here the name of a module is made of what is no alias: brackets mean nothing, and a dot ends it.
            return [_found(world, text.partition(".")[0].replace("-", "_"), None, rule.origin, rule)]
    return []


def _module_aliases(world: World, text: str) -> list[Found]:
    return [_found(world, name, text, "modules.alias") for name in world.tree.modules_by_alias(text)]


def _builtins(world: World, text: str) -> list[Found]:
    return [Found(text, None, None, [], "modules.builtin")] if world.tree.is_builtin(text) else []


def _builtin_aliases(world: World, text: str) -> list[Found]:
    return [_found(world, name, text, "modules.builtin.alias") for name in world.tree.builtins_by_alias(text)]


TABLES: tuple[tuple[str, Callable[[World, str], list[Found]]], ...] = (
    ("alias lines of the configuration", _config_aliases),
    ("modules.dep, by exact name", _module_names),
    ("modules.symbols, for symbol:NAME", _symbols),
    ("install, then remove lines, by exact name", _commands),
    ("modules.alias", _module_aliases),
    ("modules.builtin", _builtins),
    ("modules.builtin.alias", _builtin_aliases),
)


def lookup(world: World, text: str) -> list[Found]:
    """The modules that `text` stands for; none when no table knows it.

    Raises `NameSyntaxError` for an unmatched bracket, `IndexFormatError` for a damaged index.
    """
    text = normalize_alias(text)
    for _label, table in TABLES:
        found = table(world, text)
        if found:
            return found
    return []


def resolve(world: World, names: list[str]) -> Resolved:
    """What the names of a softdep line stand for."""
    found: list[Found] = []
    missing: list[tuple[str, str]] = []
    for name in names:
        try:
            modules = lookup(world, name)
        except NameSyntaxError:
            missing.append((name, BAD_NAME))
            continue
        found += modules
        if not modules:
            missing.append((name, NOT_FOUND))
    return found, missing


def is_path(text: str) -> bool:
    """Whether an operand of modprobe names a file."""
    return text.startswith(("/", "./"))


def from_path(world: World, path: str) -> Found:
    """The module in a file, with the dependencies that the index lists for its name.

    Raises `FileError` when there is no such file, or a directory whose path gives no name.
    """
    name = module_name(path)
    if not name or not os.path.exists(path):
        raise FileError(os.strerror(2), path=path, errno=2)
    entry = world.tree.find(name)
    return Found(name, None, path, entry.dependencies if entry else [], FROM_FILE)
