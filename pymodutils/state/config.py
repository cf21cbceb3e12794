"""modprobe's merged configuration: files, modules.softdep and modules.weakdep, kernel command line."""

from __future__ import annotations

from ..errors import FileError
from ..formats.cmdline import parse_kernel_command_line
from ..formats.modprobeconf import KINDS, parse_modprobe_conf
from .configdirs import config_files
from .files import read_file, read_or_none

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..errors import Error
    from ..formats.modprobeconf import Rule
    from ..roots import Roots

FROM_TREE = ("modules.softdep", "modules.weakdep")
"""Files of the module directory that take part among the *.conf files, under their own names."""


def _matches(pattern: str, text: str) -> bool:
    """Whether a key matches. Most keys are plain names: only a pattern is worth importing what knows patterns."""
    if "*" in pattern or "?" in pattern or "[" in pattern or "\\" in pattern:
        from ..formats.fnmatch import fnmatch

        return fnmatch(pattern, text)
    return pattern == text


class Config:
    """All rules by kind, each kind in reading order; `problems` is what could not be read or understood."""

    def __init__(self, rules: Sequence[Rule] = (), problems: Sequence[Error] = ()) -> None:
        self.rules: dict[str, list[Rule]] = {kind: [] for kind in KINDS}
        self.problems = list(problems)
        self.add(rules)

    def add(self, rules: Sequence[Rule]) -> None:
        """Append rules that were read later."""
        for rule in rules:
            self.rules[rule.kind].append(rule)

    def aliases(self, text: str) -> list[Rule]:
        """Every `alias` line whose pattern matches."""
        return [rule for rule in self.rules["alias"] if _matches(rule.key, text)]

    def first(self, kind: str, name: str) -> Rule | None:
        """The first rule of `kind` (`install`, `remove`, `softdep`, `weakdep`) whose key, a pattern, matches `name`."""
        for rule in self.rules[kind]:
            if _matches(rule.key, name):
                return rule
        return None

    def literal(self, kind: str, name: str) -> Rule | None:
        """The first rule of `kind` whose key is `name` itself."""
        for rule in self.rules[kind]:
            if rule.key == name:
                return rule
        return None

    def options(self, name: str, alias: str | None) -> list[Rule]:
        """The `options` lines for a module, or for the alias that it was found by."""
        return [rule for rule in self.rules["options"] if rule.key in (name, alias)]


def load_config(roots: Roots, chosen: Sequence[str] = ()) -> Config:
    """Read everything; `chosen` are the `-C` paths, which replace the configuration directories."""
    places = list(chosen) or roots.config_dirs("modprobe.d")
    files = config_files(places, [f"{roots.modules}/{name}" for name in FROM_TREE])
    config = Config(problems=files.problems)
    for path in files.paths:
        try:
            data = read_file(path)
        except FileError as error:
            config.problems.append(error)
            continue
        rules, problems = parse_modprobe_conf(data, path)
        config.add(rules)
        config.problems += problems
    path = f"{roots.proc}/cmdline"
    try:
        rules, problems = parse_kernel_command_line(read_or_none(path) or b"", path)
    except FileError as error:
        rules, problems = [], [error]
    config.add(rules)
    config.problems += problems
    return config
