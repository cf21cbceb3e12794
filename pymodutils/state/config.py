"""modprobe's merged configuration: files, modules.softdep and modules.weakdep, kernel command line."""

from __future__ import annotations

from ..diagnostics import ERROR, Diagnostic
from ..errors import FileError
from ..formats.cmdline import parse_kernel_command_line
from ..formats.conflines import carriage_return_problems
from ..formats.modprobeconf import KINDS, parse_modprobe_conf
from ..names import normalize_name
from .configdirs import config_files, really_shadowed
from .files import file_stamp, inside, read_file, read_or_none

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ..formats.modprobeconf import Rule
    from ..roots import Roots
    from .configdirs import ShadowedFile
    from .files import FileStamp

FROM_TREE = ("modules.softdep", "modules.weakdep")
"""Files of the module directory that are read among the *.conf files, in the order of their own names."""

UNREADABLE_FILE = "unreadable-file"
"""Code of a diagnostic: a configuration file that cannot be read."""


def _matches(pattern: str, text: str) -> bool:
    """Tell whether a key matches. Most keys are plain names: only a pattern is worth importing what knows patterns."""
    if "*" in pattern or "?" in pattern or "[" in pattern or "\\" in pattern:
        from ..formats.fnmatch import fnmatch

        return fnmatch(pattern, text)
    return pattern == text


class Config:
    """The rules of modprobe's configuration, and which of them hold for a module.

    `rules` are all rules in reading order. `files` are the files read, in that order. `problems` is what could not be
    read or understood. Dashes count as underscores in every name asked.
    """

    def __init__(
        self,
        rules: Iterable[Rule] = (),
        problems: Iterable[Diagnostic] = (),
        files: Iterable[str] = (),
        shadowed: Iterable[ShadowedFile] = (),
        stamps: Mapping[str, FileStamp] | None = None,
    ) -> None:
        self.rules: tuple[Rule, ...] = tuple(rules)
        self.problems: tuple[Diagnostic, ...] = tuple(problems)
        self.files: tuple[str, ...] = tuple(files)
        self._shadowed = tuple(shadowed)
        self._stamps = dict(stamps or {})
        self._by_kind: dict[str, list[Rule]] = {kind: [] for kind in KINDS}
        for rule in self.rules:
            self._by_kind[rule.kind].append(rule)

    @property
    def stale(self) -> bool:
        """Whether a configuration file has changed, appeared or vanished since all were read."""
        return any(file_stamp(path) != stamp for path, stamp in self._stamps.items())

    @property
    def shadowed(self) -> tuple[ShadowedFile, ...]:
        """The files that are not read, since an earlier directory has a file of the same name.

        A file that is reached by two directories (`/lib` may be a link to `/usr/lib`) shadows nothing.
        """
        return really_shadowed(self._shadowed)

    def of(self, kind: str) -> list[Rule]:
        """Return the rules of one kind, in reading order."""
        return list(self._by_kind[kind])

    def aliases(self, text: str) -> list[Rule]:
        """Return every `alias` rule whose pattern matches."""
        text = normalize_name(text)
        return [rule for rule in self._by_kind["alias"] if _matches(rule.key, text)]

    def options(self, name: str, alias: str | None = None) -> list[Rule]:
        """Return the `options` rules for a module, and for the alias that it was found by."""
        names = (normalize_name(name), alias)
        return [rule for rule in self._by_kind["options"] if rule.key in names]

    def blacklisted(self, name: str) -> Rule | None:
        """Return the rule that blacklists a module."""
        return self.literal("blacklist", name)

    def softdep(self, name: str) -> Rule | None:
        """Return the `softdep` rule that counts for a module: the first whose key matches."""
        return self.first("softdep", name)

    def weakdep(self, name: str) -> Rule | None:
        """Return the `weakdep` rule that counts for a module: the first whose key matches."""
        return self.first("weakdep", name)

    def install(self, name: str) -> Rule | None:
        """Return the `install` rule that counts for a module: the first whose key matches."""
        return self.first("install", name)

    def remove(self, name: str) -> Rule | None:
        """Return the `remove` rule that counts for a module: the first whose key matches."""
        return self.first("remove", name)

    def first(self, kind: str, name: str) -> Rule | None:
        """Return the first rule of a kind whose key, a pattern, matches a name."""
        name = normalize_name(name)
        for rule in self._by_kind[kind]:
            if _matches(rule.key, name):
                return rule
        return None

    def literal(self, kind: str, name: str) -> Rule | None:
        """Return the first rule of a kind whose key is the name itself."""
        name = normalize_name(name)
        for rule in self._by_kind[kind]:
            if rule.key == name:
                return rule
        return None


def config_places(roots: Roots, chosen: Sequence[str] = ()) -> list[str]:
    """Return where configuration files are looked for; `chosen` paths replace the directories of the system."""
    return list(chosen) or roots.config_dirs("modprobe.d")


def read_config(roots: Roots, chosen: Sequence[str] = (), *, command_line: bool = True) -> Config:
    """Read the whole configuration.

    `chosen` are the paths of modprobe's -C, which replace the configuration directories. `command_line` takes rules
    from the kernel command line as well.
    """
    places = config_places(roots, chosen)
    of_tree = [f"{roots.modules}/{name}" for name in FROM_TREE]
    stamps = {path: file_stamp(path) for path in [*places, *of_tree]}
    found = config_files(places, of_tree, root=roots.config_root)
    rules: list[Rule] = []
    problems = list(found.problems)
    for file in found.files:
        stamps[file] = file_stamp(file)  # before it is read: what is changed meanwhile is then told as stale
        try:
            data = read_file(file if file in of_tree else inside(roots.config_root, file))
        except FileError as error:
            problems.append(_unreadable(error, file))
            continue
        more, bad = parse_modprobe_conf(data, file)
        rules += more
        problems += bad + carriage_return_problems(data, file)
    if command_line:
        file = f"{roots.proc}/cmdline"
        try:
            more, bad = parse_kernel_command_line(read_or_none(file) or b"", file)
            rules += more
            problems += bad
        except FileError as error:
            problems.append(_unreadable(error, file))
    return Config(rules, problems, found.files, found.shadowed, stamps)


def _unreadable(error: FileError, file: str) -> Diagnostic:
    return Diagnostic(UNREADABLE_FILE, ERROR, error.reason, file=file, errno=error.errno)
