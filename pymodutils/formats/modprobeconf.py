"""modprobe.d files: one rule a line (contract 2, "modprobe.d grammar")."""

from __future__ import annotations

from ..errors import FormatError, NameSyntaxError
from ..names import normalize_alias
from ..records import Record
from .conflines import logical_lines, words

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..errors import Error

KINDS = ("blacklist", "install", "remove", "alias", "options", "softdep", "weakdep")
"""The kinds of rules, in the order in which `modprobe -c` shows them."""

RETIRED = ("include", "config")
"""Directives of old that are reported and not obeyed."""

_BLANKS = " \t"


class Rule(Record):
    """One line. `key` is the module (for `alias` the pattern), `text` what follows it; `path` and `line` its place."""

    kind: str
    key: str
    text: str
    path: str
    line: int

    @property
    def origin(self) -> str:
        """The place as `FILE:LINE`; only the file where lines have no number."""
        return f"{self.path}:{self.line}" if self.line else self.path

    def softdeps(self) -> tuple[list[str], list[str]]:
        """The modules wanted before and after, of a `softdep` rule."""
        before: list[str] = []
        after: list[str] = []
        target: list[str] | None = None
        for word in words(self.text):
            if word == "pre:":
                target = before
            elif word == "post:":
                target = after
            elif target is not None:
                target.append(word)
        return before, after


class RetiredDirective(FormatError):
    """A line with `include` or `config`; `reason` is that word."""


class BadLine(FormatError):
    """A line that is no rule; `reason` is its first word."""


def parse_modprobe_conf(data: bytes, path: str) -> tuple[list[Rule], list[Error]]:
    """The rules of a file in order, and what is wrong in it: `BadLine` and `RetiredDirective`, in order."""
    rules: list[Rule] = []
    problems: list[Error] = []
    for number, line in logical_lines(data):
        kind, rest = _word(line)
        if kind in RETIRED:
            problems.append(RetiredDirective(kind, path=path, line=number))
        elif kind:
            rule = _rule(kind, rest, path, number)
            if rule:
                rules.append(rule)
            else:
                problems.append(BadLine(kind, path=path, line=number))
    return rules, problems


def _word(text: str) -> tuple[str, str]:
    """The first word, and what follows it after exactly one blank: further blanks belong to what follows."""
    text = text.lstrip(_BLANKS)
    space, tab = text.find(" "), text.find("\t")
    end = min(space, tab) if space >= 0 and tab >= 0 else max(space, tab)
    return (text, "") if end < 0 else (text[:end], text[end + 1 :])


def _rule(kind: str, rest: str, path: str, line: int) -> Rule | None:
    if kind not in KINDS:
        return None
    key, text = _word(rest)
    try:
        key = normalize_alias(key)
        if kind == "alias":
            text = normalize_alias(_word(text)[0])
    except NameSyntaxError:
        return None
    if not key or not (text or kind == "blacklist"):
        return None
    if kind == "options":
        text = text.replace("\t", " ")
    return Rule(kind, key, "" if kind == "blacklist" else text, path, line)


def render_rule(rule: Rule) -> str:
    """The rule as `modprobe -c` shows it, without a newline."""
    if rule.kind == "blacklist":
        return f"blacklist {rule.key}"
    text = rule.text
    if rule.kind == "softdep":
        # kmod puts no space between the two parts, and scripts compare this output.
        before, after = rule.softdeps()
        text = ("pre: " + " ".join(before) if before else "") + ("post: " + " ".join(after) if after else "")
    elif rule.kind == "weakdep":
        text = " ".join(words(text))
    return f"{rule.kind} {rule.key} {text}"
