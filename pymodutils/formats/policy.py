# SPDX-License-Identifier: LGPL-2.1-or-later
"""The policy about modules: /etc/pymodutils/policy.toml, and the modprobe.d file that it is compiled into.

    [allow]                             # an allowlist: all other modules are denied
    from = "lsmod"
    date = 2026-05-17
    modules = ["ext4", "virtio_blk"]

    [deny.sctp]
    reason = "not used here"
    date = 2026-05-17

The file is changed as text, table by table, so that comments and the order of others' lines stay as they are.
"""

from __future__ import annotations

from ..errors import FormatError
from ..names import decode
from ..records import Record
from .ownfile import is_sealed, sealed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

COMMAND = "/bin/false"
"""The command of the install rules."""

NOT_ALLOWED = "not on the allowlist"
"""The reason of a module that only the allowlist denies."""

TITLE = "# Written by kmod deny, undeny or allow from /etc/pymodutils/policy.toml, which has the reasons.\n"
_ALL_THAT_FOLLOW = "# All that follow: "


class Denial(Record):
    """A module that is denied: why and since when, if somebody said so."""

    name: str
    reason: str | None = None
    date: str | None = None


class Allowlist(Record):
    """Modules that are allowed, with all that they need, while all others are denied; `source` is where from."""

    modules: tuple[str, ...]
    source: str | None = None
    date: str | None = None


class Policy(Record):
    """Which modules are denied; `allow` is None where all others are allowed."""

    denied: tuple[Denial, ...] = ()
    allow: Allowlist | None = None

    def denial(self, name: str) -> Denial | None:
        """Return the denial of a module by its own name."""
        return next((denial for denial in self.denied if denial.name == name), None)


MOST_NAME_BYTES = 55
"""Bytes in the name of a module: MODULE_NAME_LEN of a kernel with words of 64 bits, less the NUL."""


def is_module_name(text: str) -> bool:
    """Tell whether a text can be the name of a module: letters, digits, dashes, underscores of ASCII, not too many."""
    spelled = text.isascii() and text.replace("-", "_").replace("_", "a").isalnum()
    return spelled and len(text) <= MOST_NAME_BYTES


def parse_policy(data: bytes, path: str | None = None) -> Policy:
    """Return the policy that a file has. Raises `FormatError`."""
    from .toml import parse_toml  # here, because modprobe reads only the compiled file

    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise FormatError(f"no TOML: {error}", path=path) from None
    tables = parse_toml(text, path)
    try:
        return _policy(tables)
    except FormatError as error:
        error.path = path
        raise


def _policy(tables: dict[str, Any]) -> Policy:
    """Return the policy that the tables are. Raises `FormatError`."""
    _expect(tables, "", ("allow", "deny"))
    denied: dict[str, Denial] = {}
    for key, value in _table(tables.get("deny", {}), "deny").items():
        where = f"deny.{key}"
        table = _table(value, where)
        _expect(table, where, ("reason", "date"))
        name = _name(key)
        if name in denied:
            raise FormatError(f"{name} is denied twice")
        denied[name] = Denial(name, _text(table, where, "reason"), _date(table))
    allow = None
    if "allow" in tables:
        table = _table(tables["allow"], "allow")
        # A misspelled key must not turn into a list of nothing: all modules would be denied.
        _expect(table, "allow", ("modules", "from", "date"))
        names = table.get("modules")
        if not isinstance(names, list):
            raise FormatError("allow.modules is no list" if "modules" in table else "allow lacks its list, modules")
        allow = Allowlist(tuple([_name(name) for name in names]), _text(table, "allow", "from"), _date(table))
    return Policy(tuple([denied[name] for name in sorted(denied)]), allow)


def _expect(table: dict[str, Any], where: str, known: tuple[str, ...]) -> None:
    unknown = sorted(set(table) - set(known))
    if unknown:
        raise FormatError(f"unknown key {where}{'.' if where else ''}{unknown[0]}")


def _table(value: object, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise FormatError(f"{where} is no table")
    return value


def _name(value: object) -> str:
    if not isinstance(value, str) or not is_module_name(value):
        raise FormatError(f"{value!r} is no name of a module")
    return value.replace("-", "_")


def _text(table: dict[str, Any], where: str, key: str) -> str | None:
    value = table.get(key)
    if value is not None and not isinstance(value, str):
        raise FormatError(f"{where}.{key} is no text")
    return value


def _date(table: dict[str, Any]) -> str | None:
    value = table.get("date")
    return None if value is None else str(value)


# --- changing the file


def with_denials(text: str, denials: Iterable[Denial]) -> str:
    """Return the file with denials in it, each in place of an earlier one of the same module."""
    tables = _Tables(text)
    for denial in denials:
        tables.remove(f"deny.{denial.name}")
        tables.add(f"deny.{denial.name}", _lines(denial))
    return tables.text()


def without_denials(text: str, names: Iterable[str]) -> str:
    """Return the file without the denials of modules."""
    tables = _Tables(text)
    for name in names:
        tables.remove(f"deny.{name}")
    return tables.text()


def with_allowlist(text: str, allow: Allowlist | None) -> str:
    """Return the file with an allowlist, or without one."""
    tables = _Tables(text)
    tables.remove("allow")
    if allow is None:
        return tables.text()
    lines = [f"from = {quoted(allow.source)}\n"] if allow.source else []
    lines += [f"date = {allow.date}\n"] if allow.date else []
    lines += ["modules = [\n", *[f"    {quoted(name)},\n" for name in sorted(allow.modules)], "]\n"]
    tables.add("allow", lines)
    return tables.text()


def _lines(denial: Denial) -> list[str]:
    lines = [f"reason = {quoted(denial.reason)}\n"] if denial.reason else []
    return lines + ([f"date = {denial.date}\n"] if denial.date else [])


def quoted(text: str) -> str:
    """Return a text as a basic string of TOML."""
    out = []
    for char in text:
        if char in '"\\':
            out.append(f"\\{char}")
        elif char < " " or char == "\x7f" or "\ud800" <= char <= "\udfff":
            out.append(f"\\u{0xFFFD if char >= chr(0xD800) else ord(char):04X}")
        else:
            out.append(char)
    return f'"{"".join(out)}"'


def _header(line: str) -> str | None:
    """Return the name of the table that a line begins; None for any other line."""
    text = line.strip()
    if not text.startswith("[") or text.startswith("[["):
        return None
    name, bracket, rest = text[1:].partition("]")
    if not bracket or (rest.strip() and not rest.strip().startswith("#")):
        return None
    return ".".join(part.strip().strip('"').replace("-", "_") for part in name.split("."))


class _Table:
    """A table of the file, with the comments right before it. What stands around all tables has no name."""

    def __init__(self, name: str | None, comments: list[str]) -> None:
        self.name = name
        self.comments = comments
        self.lines: list[str] = []


class _Tables:
    """The file by its tables, for changes that leave all other lines as they are."""

    def __init__(self, text: str) -> None:
        self._tables = [_Table(None, [])]
        for line in text.splitlines(keepends=True):
            name = _header(line)
            if name is not None:
                self._tables.append(_Table(name, _taken_comments(self._tables[-1])))
            self._tables[-1].lines.append(line)
        self._end = _Table(None, _taken_comments(self._tables[-1]))

    def text(self) -> str:
        return "".join([line for table in (*self._tables, self._end) for line in (*table.comments, *table.lines)])

    def remove(self, name: str) -> None:
        """Remove a table; the comments before it stay."""
        at = next((at for at, table in enumerate(self._tables) if table.name == name), None)
        if at is None:
            return
        comments = self._tables.pop(at).comments
        following = self._tables[at] if at < len(self._tables) else self._end
        following.comments[:0] = comments
        last = self._tables[-1]
        if following is self._end and not self._end.comments and last.lines and not last.lines[-1].strip():
            last.lines.pop()  # the empty line before the last table
            self._end.comments = _taken_comments(last)

    def add(self, name: str, content: list[str]) -> None:
        """Add a table before the first one whose name is greater, or at the end."""
        last = self._tables[-1]
        ending = self._end.comments or last.lines
        if ending and not ending[-1].endswith("\n"):
            ending[-1] += "\n"
        added = _Table(name, [])
        added.lines += [f"[{name}]\n", *content]
        at = next((at for at, table in enumerate(self._tables) if table.name is not None and table.name > name), None)
        if at is not None:
            added.lines.append("\n")
            self._tables.insert(at, added)
            return
        if ending:
            last.lines += [*self._end.comments, "\n"]
            self._end.comments.clear()
        self._tables.append(added)


def _taken_comments(table: _Table) -> list[str]:
    """Take the comments at the end of a table's lines away from it, but not its header; return them."""
    start = len(table.lines)
    while start > (table.name is not None) and table.lines[start - 1].startswith("#"):
        start -= 1
    comments = table.lines[start:]
    del table.lines[start:]
    return comments


# --- the compiled file


def compile_rules(denied: Iterable[Denial], not_allowed: Iterable[str] = (), date: str | None = None) -> bytes:
    """Return the modprobe.d file that keeps modules out, in the words that every kmod reads.

    `softdep NAME pre:` stands first and empties what the module ships, since soft dependencies in effect switch off the
    install rule; the install rule holds for names, dependencies and soft dependencies, and blacklist for aliases, whose
    dependencies would be loaded. `not_allowed` are modules that only the allowlist denies.
    """
    own = list(denied)
    lines = []
    for denial in own:
        lines.append(f"# {denial.name}: {_comment(denial)}\n")
        lines += _rules(denial.name)
    names = sorted(set(not_allowed) - {denial.name for denial in own})
    if names:
        lines.append(f"{_ALL_THAT_FOLLOW}{_comment(Denial('', NOT_ALLOWED, date))}\n")
        lines += [line for name in names for line in _rules(name)]
    return sealed(TITLE, "".join(lines))


def _rules(name: str) -> list[str]:
    return [f"softdep {name} pre:\n", f"install {name} {COMMAND}\n", f"blacklist {name}\n"]


def _comment(denial: Denial) -> str:
    """Return why and since when, on one line that neither a backslash nor a control character breaks."""
    parts = [denial.reason or "denied", f"({denial.date})" if denial.date else ""]
    text = "".join(char if char >= " " and char not in "\\\x7f" else " " for char in " ".join(parts))
    return " ".join(text.split())


def is_ours(data: bytes) -> bool:
    """Tell whether a compiled file is as kmod wrote it; False when somebody edited it, or wrote another."""
    return is_sealed(TITLE, data)


def reason_in(data: bytes, line: int) -> str | None:
    """Return the reason that a compiled file gives for the rule at a line (1 is the first)."""
    lines = decode(data).split("\n")[:line]
    words = lines[-1].split(" ") if lines else []
    name = words[1] if len(words) > 1 else ""
    for text in reversed(lines[:-1][-3:]):
        if text.startswith(f"# {name}: "):
            return text.partition(": ")[2]
    found = (text for text in reversed(lines) if text.startswith(_ALL_THAT_FOLLOW))
    return next(found, "").removeprefix(_ALL_THAT_FOLLOW) or None
