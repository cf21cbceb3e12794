# SPDX-License-Identifier: LGPL-2.1-or-later
"""What depmod.d says for one kernel: search order, overrides, external directories, excluded names."""

from __future__ import annotations

from ..diagnostics import ERROR, Diagnostic
from ..errors import Error
from ..names import encode
from ..osparts import absolute
from ..records import Record
from ..state.configdirs import config_files
from ..state.files import read_chosen, read_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..formats.depmodconf import DepmodRule

BUILT_IN = b"built-in"
EXTERNAL = b"external"
ALWAYS_EXCLUDED = frozenset((b"build", b"source"))


class DepmodSettings(Record):
    """The rules that apply to one kernel release. Paths are bytes.

    `search` is in order of preference: directories relative to the module directory, `built-in`, `external`.
    `overrides` maps a module's path below the module directory, without extension, to its rank (greater wins).
    """

    search: list[bytes]
    overrides: dict[bytes, int]
    external: list[bytes]
    excluded: frozenset[bytes]


DEFAULT = DepmodSettings([b"updates"], {}, [], ALWAYS_EXCLUDED)


def read_settings(places: Iterable[str], release: str) -> tuple[DepmodSettings, list[Diagnostic]]:
    """Return the settings from the configuration files under `places`, and what was wrong with them."""
    places = list(places)
    files = config_files(places)
    rules: list[DepmodRule] = []
    problems = [problem.replace(severity=ERROR) for problem in files.problems]  # as kmod's depmod words all of them
    for path in files.files:
        from ..formats.conflines import carriage_return_problems  # most systems have no such file
        from ..formats.depmodconf import parse_depmod_conf

        try:
            data = read_chosen(path) if path in places else read_file(path)
            found, bad = parse_depmod_conf(data, path)
        except Error as error:
            problems.append(Diagnostic("unreadable-configuration", ERROR, error.reason, file=path, errno=error.errno))
            continue
        rules += found
        problems += bad + carriage_return_problems(data, path)
    settings = apply_rules(rules, release, problems)
    return settings, problems


def apply_rules(rules: Iterable[DepmodRule], release: str, problems: list[Diagnostic]) -> DepmodSettings:
    """Return what the rules say for `release`; a bad kernel pattern becomes an entry of `problems`."""
    search: list[bytes] = []
    overrides: dict[bytes, int] = {}
    external: list[bytes] = []
    excluded = set(ALWAYS_EXCLUDED)
    for rule in rules:
        if rule.kind == "search":
            search += map(encode, rule.words)
        elif rule.kind == "exclude":
            excluded.update(map(encode, rule.words))
        elif rule.kind == "override":
            module, kernel, directory = rule.words
            if _matches(kernel, release, rule, problems):
                overrides[encode(f"{directory}/{module}")] = len(overrides) + 1
        elif rule.kind == "external" and _matches(rule.words[0], release, rule, problems):
            external.append(encode(_absolute(rule.words[1])).rstrip(b"/"))
    return DepmodSettings(search or DEFAULT.search, overrides, external, frozenset(excluded))


def _absolute(path: str) -> str:
    try:
        return absolute(path)
    except OSError:  # the current directory is gone
        return path


def _matches(pattern: str, release: str, rule: DepmodRule, problems: list[Diagnostic]) -> bool:
    # A rule's kernel pattern is an extended regular expression found anywhere, or `*`.
    if pattern == "*":
        return True
    import re

    try:
        return re.search(python_regex(pattern), release) is not None
    except (re.error, RecursionError, OverflowError):
        text = f"bad kernel pattern '{pattern}'"
        problems.append(Diagnostic("bad-kernel-pattern", ERROR, text, file=rule.path, line=rule.line, subject=pattern))
        return False


_CLASSES = {
    "alnum": "a-zA-Z0-9",
    "alpha": "a-zA-Z",
    "blank": " \\t",
    "cntrl": "\\x00-\\x1f\\x7f",
    "digit": "0-9",
    "graph": "!-~",
    "lower": "a-z",
    "print": " -~",
    "punct": "!-/:-@\\[-`{-~",
    "space": "\\s",
    "upper": "A-Z",
    "xdigit": "0-9A-Fa-f",
}


def python_regex(pattern: str) -> str:
    """Return a POSIX extended regular expression in Python's syntax."""
    out = []
    at = 0
    while at < len(pattern):
        char = pattern[at]
        if char == "[":
            text, at = _bracket(pattern, at)
            out.append(text)
            continue
        if char == "\\" and at + 1 < len(pattern):
            at += 1
            out.append("\\" + pattern[at] if not pattern[at].isalnum() else pattern[at])
        elif char == "(" and pattern.startswith("?", at + 1):
            out.append("(\\?")  # in POSIX a question mark here repeats nothing
            at += 1
        elif char == "$":
            out.append("\\Z")
        elif char == "{" and not pattern[at + 1 : at + 2].isdigit():
            out.append("\\{")
        else:
            out.append(char)
        at += 1
    return "".join(out)


def _bracket(pattern: str, at: int) -> tuple[str, int]:
    # The bracket expression that begins at `at`, in Python's syntax, and the place after it.
    out = ["["]
    at += 1
    if pattern.startswith("^", at):
        out.append("^")
        at += 1
    first = at
    while at < len(pattern) and (pattern[at] != "]" or at == first):
        if pattern.startswith("[:", at) and ":]" in pattern[at:]:
            end = pattern.index(":]", at)
            out.append(_CLASSES.get(pattern[at + 2 : end], ""))
            at = end + 2
            continue
        out.append("\\" + pattern[at] if pattern[at] in "\\[]^&~|" else pattern[at])
        at += 1
    if at >= len(pattern):
        return "[", len(pattern)  # unmatched: an error, as in POSIX
    return "".join(out) + "]", at + 1
