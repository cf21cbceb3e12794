# SPDX-License-Identifier: LGPL-2.1-or-later
"""modprobe's merged configuration: files, modules.softdep and modules.weakdep, kernel command line."""

from __future__ import annotations

from ..diagnostics import ERROR, Diagnostic
from ..errors import FileError
from ..formats.cmdline import parse_kernel_command_line
from ..formats.conflines import carriage_return_problems
from ..formats.rulefile import RuleFile
from ..names import is_pattern, normalize_name
from .configdirs import config_files
from .files import file_stamp, inside, module_directory, read_chosen, read_file, read_or_none

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


class _ByKey:
    """Rules by key, for many questions: plain keys are looked up, patterns are tried one after the other."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules = rules
        self._plain: dict[str, list[int]] = {}
        self._patterns: list[int] = []
        for place, rule in enumerate(rules):
            if is_pattern(rule.key):
                self._patterns.append(place)
            else:
                self._plain.setdefault(rule.key, []).append(place)

    def matching(self, text: str) -> list[Rule]:
        """Return the rules whose key matches, in reading order."""
        found = self._plain.get(text, ())
        if self._patterns:
            from ..formats.fnmatch import fnmatch

            rules = self._rules
            found = sorted([*found, *(place for place in self._patterns if fnmatch(rules[place].key, text))])
        return [self._rules[place] for place in found]


class Config:
    """The rules of modprobe's configuration, and which of them hold for a module.

    `files` are the files read, in reading order. `shadowed` are those that are not read, since an earlier directory has
    another file of the same name. `problems` is what could not be read or understood. Dashes count as underscores in
    every name asked.
    """

    def __init__(
        self,
        rules: Iterable[Rule] = (),
        problems: Iterable[Diagnostic] = (),
        files: Iterable[str] = (),
        shadowed: Iterable[ShadowedFile] = (),
        stamps: Mapping[str, FileStamp] | None = None,
    ) -> None:
        self.problems: tuple[Diagnostic, ...] = tuple(problems)
        self.files: tuple[str, ...] = tuple(files)
        self.shadowed: tuple[ShadowedFile, ...] = tuple(shadowed)
        self.chosen_texts: dict[str, bytes] = {}
        """What the files of the caller's choice said, by path: a pipe among them cannot be read again."""
        self._stamps = dict(stamps or {})
        self._parts = [RuleFile(tuple(rules))]
        self._rules: tuple[Rule, ...] | None = None
        self._of: dict[str, list[Rule]] = {}
        self._options: dict[str, list[Rule]] | None = None
        self._aliases: _ByKey | None = None
        self._having: dict[str, list[RuleFile]] = {}
        self._first: dict[tuple[str, str], Rule | None] = {}

    def without_file(self, file: str) -> Config:
        """Return the configuration as it were without one of its files."""
        parts = [part for part in self._parts if part.file != file]
        return config_of(parts, self.problems, [other for other in self.files if other != file], self.shadowed)

    @property
    def rules(self) -> tuple[Rule, ...]:
        """All rules in reading order."""
        if self._rules is None:
            self._rules = tuple([rule for part in self._parts for rule in part.rules])
        return self._rules

    @property
    def stale(self) -> bool:
        """Whether a configuration file has changed, appeared or vanished since all were read."""
        return any(file_stamp(path) != stamp for path, stamp in self._stamps.items())

    def of(self, kind: str) -> list[Rule]:
        """Return the rules of one kind, in reading order."""
        if kind not in self._of:
            self._of[kind] = [rule for part in self._parts for rule in part.of(kind)]
        return list(self._of[kind])

    def aliases(self, text: str) -> list[Rule]:
        """Return every `alias` rule whose pattern matches."""
        if self._aliases is None:
            self._aliases = _ByKey(self.of("alias"))
        return self._aliases.matching(normalize_name(text))

    def options(self, name: str, alias: str | None = None) -> list[Rule]:
        """Return the `options` rules for a module, and for the alias that it was found by."""
        if self._options is None:
            self._options = {}
            for rule in self.of("options"):
                self._options.setdefault(rule.key, []).append(rule)
        name = normalize_name(name)
        if alias is None or alias == name or alias not in self._options:
            return list(self._options.get(name, ()))
        return [rule for rule in self.of("options") if rule.key in (name, alias)]

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
        """Return the first rule of a kind of FOUND_BY_KEY whose key, a pattern, matches a name."""
        parts = self._files_with(kind)
        if not parts:
            return None
        question = kind, name
        if question not in self._first:
            self._first[question] = _first_of(parts, kind, normalize_name(name))
        return self._first[question]

    def _files_with(self, kind: str) -> list[RuleFile]:
        """Return the files with rules of a kind of FOUND_BY_KEY."""
        parts = self._having.get(kind)
        if parts is None:
            parts = self._having[kind] = [part for part in self._parts if part.has(kind)]
        return parts

    def literal(self, kind: str, name: str) -> Rule | None:
        """Return the first rule of a kind of FOUND_BY_KEY whose key is the name itself."""
        parts = self._files_with(kind)
        if parts:
            name = normalize_name(name)
        for part in parts:
            rule = part.literal(kind, name)
            if rule:
                return rule
        return None


def _first_of(parts: Iterable[RuleFile], kind: str, name: str) -> Rule | None:
    for part in parts:
        rule = part.first(kind, name)
        if rule:
            return rule
    return None


def config_of(
    parts: Iterable[RuleFile],
    problems: Iterable[Diagnostic] = (),
    files: Iterable[str] = (),
    shadowed: Iterable[ShadowedFile] = (),
    stamps: Mapping[str, FileStamp] | None = None,
) -> Config:
    """Return the configuration that the files in `parts` make up, in their order."""
    made = Config((), problems, files, shadowed, stamps)
    made._parts = list(parts)
    return made


def config_places(roots: Roots, chosen: Sequence[str] = ()) -> list[str]:
    """Return where configuration files are looked for; `chosen` paths replace the directories of the system."""
    return list(chosen) or roots.config_dirs("modprobe.d")


def read_config(roots: Roots, chosen: Sequence[str] = (), *, command_line: bool = True) -> Config:
    """Read the whole configuration.

    `chosen` are the paths of modprobe's -C, which replace the configuration directories. `command_line` takes rules
    from the kernel command line as well.
    """
    places = config_places(roots, chosen)
    of_tree = [f"{module_directory(roots)}/{name}" for name in FROM_TREE]
    root = roots.config_root
    stamps = {path: file_stamp(path) for path in [*(inside(root, place) for place in places), *of_tree]}
    found = config_files(places, of_tree, root=root)
    parts: list[RuleFile] = []
    problems = list(found.problems)
    chosen_texts: dict[str, bytes] = {}
    for file in found.files:
        real = file if file in of_tree else inside(root, file)
        stamps[real] = file_stamp(real)  # before it is read: what is changed meanwhile is then told as stale
        try:
            data = read_chosen(real) if file in chosen else read_file(real)
        except FileError as error:
            problems.append(_unreadable(error, file))
            continue
        if file in chosen:
            chosen_texts[file] = data
        part = RuleFile.parse(data, file)
        parts.append(part)
        problems += part.problems + carriage_return_problems(data, file)
    if command_line:
        file = f"{roots.proc}/cmdline"
        try:
            part = RuleFile(*parse_kernel_command_line(read_or_none(file) or b"", file))
            parts.append(part)
            problems += part.problems
        except FileError as error:
            problems.append(_unreadable(error, file))
    config = config_of(parts, problems, found.files, found.shadowed, stamps)
    config.chosen_texts = chosen_texts
    return config


def _unreadable(error: FileError, file: str) -> Diagnostic:
    return Diagnostic(UNREADABLE_FILE, ERROR, error.reason, file=file, errno=error.errno)
