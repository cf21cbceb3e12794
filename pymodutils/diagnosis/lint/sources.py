# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the lint rules look at, and what they find."""

from __future__ import annotations

from ...errors import Error, NameSyntaxError
from ...formats.modinfo import Parameter, parse_parameters
from ...formats.modprobeconf import Rule
from ...formats.policy import is_ours
from ...names import encode, is_pattern, normalize_name
from ...planning.lookup import Match, lookup
from ...records import Record
from ...state.config import FROM_TREE
from ...state.modulefile import ModuleFile
from ...state.policy import is_compiled
from .spelling import Spellings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from ...diagnostics import Diagnostic, Place
    from ...formats.cmdline import BootRule
    from ...formats.modinfo import Field
    from ...state.initramfs import Image
    from ...state.modulesload import LoadLine
    from ...state.system import System

ERROR, WARNING, NOTE = "error", "warning", "note"
"""Words of `Finding.level`."""

SHIPPED_PARENTS = ("/usr/lib/", "/lib/")
"""Below these the files of distributions lie; those of administrators lie in /etc."""


class Finding(Record):
    """One thing that is wrong in the configuration.

    `level` is `error` (it does not do what it says), `warning` (it probably does not do what is wanted), or `note`,
    which does not count as a finding. `rule` is the name of the lint rule, `text` says what is wrong, and `related` is
    another place that has to do with it. `line` is None for a whole file, and where lines have no number.
    """

    file: str
    line: int | None
    level: str
    rule: str
    text: str
    related: Place | None

    @property
    def origin(self) -> str:
        """The place as `FILE:LINE`, or only the file."""
        return f"{self.file}:{self.line}" if self.line else self.file

    @property
    def counts(self) -> bool:
        """Whether it is more than a note."""
        return self.level != NOTE


class Sources:
    """Everything that is looked at. `system` is what the configuration is for.

    `texts` has the bytes of each file of modprobe.d that was read, `unread` the other files there, which were
    not because of their names. `image` is the initial file system, None when there is none, or it does not matter.
    """

    def __init__(
        self,
        system: System,
        *,
        root: str = "",
        rules: tuple[Rule, ...] = (),
        problems: tuple[Diagnostic, ...] = (),
        texts: Mapping[str, bytes] | None = None,
        unread: tuple[str, ...] = (),
        load_lines: tuple[LoadLine, ...] = (),
        boot_rules: tuple[BootRule, ...] = (),
        image: Image | None = None,
    ) -> None:
        self.system = system
        self.root = root
        self.rules = rules
        self.problems = problems
        self.texts: Mapping[str, bytes] = texts or {}
        self.unread = unread
        self.load_lines = load_lines
        self.boot_rules = boot_rules
        self.image = image
        self._matches: dict[str, list[Match]] = {}
        self._of_policy: dict[str, bool] = {}
        self._spellings: Spellings | None = None
        self._parameters: dict[str, list[Parameter] | None] = {}
        self._own_rules: list[Rule] | None = None
        self._builtin_fields: dict[str, list[Field]] | None = None
        self._alias_targets: frozenset[str] | None = None
        self._softdep_names: list[str] | None = None

    def is_shipped(self, file: str) -> bool:
        """Tell whether a file lies where distributions put theirs."""
        return file.removeprefix(self.root).startswith(SHIPPED_PARENTS)

    def is_of_policy(self, file: str) -> bool:
        """Tell whether `kmod deny` or `allow` wrote a file, and nobody edited it.

        It names what the policy names, and that holds for all kernels that are installed, those with a module built in
        or without it among them.
        """
        found = self._of_policy.get(file)
        if found is None:
            found = self._of_policy[file] = is_compiled(file) and is_ours(self.texts.get(file, b""))
        return found

    def is_of_tree(self, rule: Rule) -> bool:
        """Tell whether depmod wrote a rule: what modules say of themselves is nobody's mistake here."""
        return rule.file.rpartition("/")[2] in FROM_TREE and rule.file.startswith(self.system.tree.directory)

    @property
    def own_rules(self) -> list[Rule]:
        """The rules in files that people write, in reading order."""
        if self._own_rules is None:
            self._own_rules = [rule for rule in self.rules if rule.line and not self.is_of_tree(rule)]
        return self._own_rules

    @property
    def alias_targets(self) -> frozenset[str]:
        """The modules that alias rules stand for."""
        if self._alias_targets is None:
            self._alias_targets = frozenset([rule.text for rule in self.rules if rule.kind == "alias"])
        return self._alias_targets

    @property
    def softdep_names(self) -> list[str]:
        """The names, not patterns, that softdep rules are for, each once, in reading order."""
        if self._softdep_names is None:
            keys = dict.fromkeys([rule.key for rule in self.rules if rule.kind == "softdep"])
            self._softdep_names = [key for key in keys if not is_pattern(key)]
        return self._softdep_names

    def near(self, name: str) -> list[str]:
        """Return the modules, builtin ones among them, that a name is a typing error of."""
        if self._spellings is None:
            tree = self.system.tree
            self._spellings = Spellings({*(module.name for module in tree.modules()), *tree.builtins()})
        return self._spellings.near(name)

    def has_module(self, name: str) -> bool:
        """Tell whether a module of that name is in the tree or in the kernel image."""
        return self.system.tree.find(name) is not None or self.system.tree.is_builtin(name)

    def lookup(self, text: str) -> list[Match]:
        """Return what a text stands for; nothing for one that can be no name."""
        found = self._matches.get(text)
        if found is None:
            try:
                found = lookup(self.system, text)
            except NameSyntaxError:
                found = []
            self._matches[text] = found
        return found

    def softdeps_in_effect(self, name: str) -> Rule | None:
        """Return what `rules.softdeps_in_effect` does, with each target looked up once for all rules."""
        rule = self.system.config.first("softdep", name)
        if rule is None:
            return None
        before, after = rule.softdeps()
        return rule if any(map(self.lookup, (*before, *after))) else None

    def parameters(self, name: str) -> list[Parameter] | None:
        """Return the parameters of a module; None when they are not known."""
        name = normalize_name(name)
        if name not in self._parameters:
            fields = self.fields(name)
            self._parameters[name] = None if fields is None else parse_parameters(fields)
        return self._parameters[name]

    def may_take(self, name: str, parameter: str) -> bool:
        """Tell whether a module may have a parameter that .modinfo does not list, as those with code of their own.

        Its name is then somewhere in the file. True as well when that cannot be read, or there is none.
        """
        entry = self.system.tree.find(name)
        if entry is None:
            return True
        try:
            with ModuleFile(entry.path) as module:
                return encode(parameter) + b"\0" in module.image()
        except Error:
            return True

    def fields(self, name: str) -> list[Field] | None:
        """Return the strings of .modinfo of a module; None when they are not known."""
        tree = self.system.tree
        entry = tree.find(name)
        if entry is None:
            if self._builtin_fields is None:
                self._builtin_fields = tree.all_builtin_modinfo()
            return self._builtin_fields.get(normalize_name(name))
        try:
            with ModuleFile(entry.path) as module:
                return module.modinfo()
        except Error:
            return None


def at(rule: Rule, level: str, name: str, text: str, related: Place | None = None) -> Finding:
    """Return a finding about a rule of the configuration."""
    return Finding(rule.file, rule.line, level, name, text, related)
