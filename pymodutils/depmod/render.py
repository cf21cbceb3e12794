# SPDX-License-Identifier: LGPL-2.1-or-later
"""Stage 5, render: make the bytes of every file.

Source: docs/behaviour/2-formats.md, "Text files" and "Index files"; docs/behaviour/4-depmod.md, "Output".
"""

from __future__ import annotations

from ..diagnostics import ERROR, WARNING, Diagnostic
from ..errors import NameSyntaxError
from ..formats.index import MAX_KEY
from ..formats.index_writer import encode_index, is_valid_key
from ..formats.pieces import join_many
from ..names import decode, encode, normalize_alias
from ..records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ..formats.index_writer import Group

    IndexFile = tuple[bytes, list["RejectedKey"]]
    """The bytes of an index, and what did not fit into it."""

FILES = (
    "modules.dep",
    "modules.dep.bin",
    "modules.alias",
    "modules.alias.bin",
    "modules.softdep",
    "modules.weakdep",
    "modules.symbols",
    "modules.symbols.bin",
    "modules.builtin.bin",
    "modules.builtin.alias.bin",
    "modules.devname",
)
"""Every file that depmod writes, in the order in which -n shows the texts among them."""

ALIAS_TITLE = b"# Aliases extracted from modules themselves.\n"
SOFTDEP_TITLE = b"# Soft dependencies extracted from modules themselves.\n"
WEAKDEP_TITLE = b"# Weak dependencies extracted from modules themselves.\n"
SYMBOL_TITLE = b"# Aliases for symbols, used by symbol_request().\n"
DEVNAME_TITLE = b"# Device nodes to trigger on-demand module loading.\n"


class RejectedKey(Record):
    """An alias or another key that an index cannot hold.

    It has an unmatched `bracket`, or bytes beyond 7-bit ASCII, or is too long.
    """

    key: bytes
    bracket: bool

    def diagnostic(self) -> Diagnostic:
        """Return what is to be said of it."""
        subject = decode(self.key)
        if self.bracket:
            return Diagnostic("unmatched-bracket", WARNING, "Unmatched bracket", subject=subject)
        if len(self.key) > MAX_KEY:
            return Diagnostic("key-too-long", ERROR, f"the index can only hold {MAX_KEY} bytes", subject=subject)
        return Diagnostic("key-not-ascii", ERROR, "the index can only hold 7-bit ASCII", subject=subject)


def modinfo_values(joined: bytes, key: bytes) -> list[bytes]:
    """Return the values of the .modinfo strings called `key` in `ModuleFacts.infos`."""
    if joined.find(key) < 0:  # `in` would try it as a number first, which takes longer
        return []
    pairs = [text.partition(b"=") for text in joined.split(b"\0")]
    return [value for name, _, value in pairs if name == key]


def aliases(joined: bytes) -> list[bytes]:
    """Return the values of those called `alias`; quick where a module has nothing else."""
    return joined[6:].split(b"\0alias=") if has_only_aliases(joined) else modinfo_values(joined, b"alias")


def has_only_aliases(joined: bytes) -> bool:
    """Tell whether there are aliases and no other .modinfo strings in `ModuleFacts.infos`."""
    return joined.startswith(b"alias=") and joined.count(b"\0alias=") == joined.count(b"\0")


# --- texts


def dep_lines(paths: Sequence[bytes], dependencies: Sequence[Sequence[int]]) -> list[bytes]:
    """Return the lines of modules.dep, without their newlines."""
    return [
        path + b":" + b"".join([b" " + paths[other] for other in needed])
        for path, needed in zip(paths, dependencies, strict=True)
    ]


def alias_text(names: Sequence[bytes], infos: Sequence[bytes]) -> bytes:
    """Return modules.alias, from the .modinfo strings of each module."""
    lines = [ALIAS_TITLE]
    for name, joined in zip(names, infos, strict=True):
        end = b" " + name + b"\n"
        if has_only_aliases(joined):
            lines += (b"alias ", joined[6:].replace(b"\0alias=", end + b"alias "), end)
        else:
            lines += [b"alias " + value + end for value in aliases(joined)]
    return join_many(lines)


def info_text(title: bytes, key: bytes, names: Sequence[bytes], infos: Sequence[bytes]) -> bytes:
    """Return modules.softdep or modules.weakdep: one line for each .modinfo string called `key`."""
    lines = [title]
    for name, joined in zip(names, infos, strict=True):
        if joined.find(key) >= 0:
            lines += [b"%b %b %b\n" % (key, name, value) for value in modinfo_values(joined, key)]
    return b"".join(lines)


def symbol_text(names: Sequence[bytes], owners: Mapping[bytes, int]) -> bytes:
    """Return modules.symbols, by name of symbol (kmod's order is that of its hash table)."""
    ends = [b" " + name + b"\n" for name in names]
    start = b"alias symbol:"
    return SYMBOL_TITLE + join_many([start + symbol + ends[owners[symbol]] for symbol in sorted(owners)])


def devname_text(names: Sequence[bytes], infos: Sequence[bytes], incomplete: list[tuple[bytes, bytes]]) -> bytes:
    """Return modules.devname; a module with a device name but no numbers is added to `incomplete`."""
    lines = []
    for name, joined in zip(names, infos, strict=True):
        if joined.find(b"alias=devname:") < 0:
            continue
        node, numbers = _device(aliases(joined))
        if node is None:
            continue
        if numbers is None:
            incomplete.append((name, node))
        else:
            lines.append(b"%b %b %b\n" % (name, node, numbers))
    return DEVNAME_TITLE + b"".join(lines) if lines else b""


def _device(values: Iterable[bytes]) -> tuple[bytes | None, bytes | None]:
    # The device file's name and its numbers (`c10:200`); of several, those seen when both are first known.
    node: bytes | None = None
    numbers: bytes | None = None
    for alias in values:
        if alias.startswith(b"devname:"):
            node = alias.removeprefix(b"devname:")
        else:
            numbers = _device_numbers(alias) or numbers
        if node is not None and numbers is not None:
            break
    return node, numbers


def _device_numbers(alias: bytes) -> bytes | None:
    for start, kind in ((b"char-major-", b"c"), (b"block-major-", b"b")):
        if alias.startswith(start):
            major, dash, rest = alias.removeprefix(start).partition(b"-")
            minor = rest[: len(rest) - len(rest.lstrip(b"0123456789"))]
            if dash and major.isdigit() and minor:
                return b"%b%d:%d" % (kind, _unsigned(major), _unsigned(minor))
    return None


def _unsigned(digits: bytes) -> int:
    # The number as C's `%u` reads it: too large a one is the largest, of which the lower half counts.
    digits = digits.lstrip(b"0") or b"0"
    return min(int(digits[:_MOST_DIGITS]), _LARGEST) & 0xFFFFFFFF


_LARGEST = (1 << 64) - 1
_MOST_DIGITS = 21  # one more than the largest number has


# --- indexes


def make_dep_index(names: Sequence[bytes], lines: Sequence[bytes]) -> IndexFile:
    """Make modules.dep.bin from the modules' names and `dep_lines`."""
    rejected: list[RejectedKey] = []
    groups = [([name], place, line) for place, (name, line) in enumerate(zip(names, lines, strict=True))]
    return _index(groups, rejected), rejected


def alias_index(names: Sequence[bytes], infos: Sequence[bytes], rejected: list[RejectedKey]) -> bytes:
    """Return modules.alias.bin, from the .modinfo strings of each module."""
    groups = []
    for position, (name, joined) in enumerate(zip(names, infos, strict=True)):
        if joined.find(b"alias") >= 0:
            keys = normal_aliases(joined, rejected)
            if keys:
                groups.append((keys, position, name))
    return _index(groups, rejected)


def normal_aliases(infos: bytes, rejected: list[RejectedKey]) -> list[bytes]:
    """Return the normalised aliases in `ModuleFacts.infos`; those with an unmatched bracket are added to `rejected`."""
    if infos.find(b"[") < 0 and infos.find(b"]") < 0:
        return aliases(infos.replace(b"-", b"_"))
    return [normal for value in aliases(infos) if (normal := _normal_alias(value, rejected)) is not None]


def symbol_index(names: Sequence[bytes], owners: Mapping[bytes, int], rejected: list[RejectedKey]) -> bytes:
    """Return modules.symbols.bin."""
    by_owner: dict[int, list[bytes]] = {}
    for symbol, place in owners.items():
        by_owner.setdefault(place, []).append(b"symbol:" + symbol)
    return _index([(symbols, place, names[place]) for place, symbols in by_owner.items()], rejected)


def builtin_index(data: bytes, bad_lines: list[bytes], rejected: list[RejectedKey]) -> bytes:
    """Return modules.builtin.bin, from the bytes of modules.builtin."""
    keys = []
    for line in data.removesuffix(b"\n").split(b"\n") if data else []:
        if line[:1].isalpha():
            keys.append(line.rpartition(b"/")[2].partition(b".")[0].replace(b"-", b"_"))
        else:
            bad_lines.append(line)
    return _index([(keys, 0, b"")], rejected)


def builtin_alias_index(data: bytes, rejected: list[RejectedKey]) -> bytes:
    """Return modules.builtin.alias.bin, from the bytes of modules.builtin.modinfo.

    A last string without NUL is cut off.
    """
    groups = []
    for text in data.split(b"\0")[:-1]:
        module, _, rest = text.partition(b".")
        key, _, value = rest.partition(b"=")
        if key == b"alias" and module and value:
            normal = _normal_alias(value, rejected)
            if normal is not None:
                groups.append(([normal], 0, module))
    return _index(groups, rejected)


def _normal_alias(alias: bytes, rejected: list[RejectedKey]) -> bytes | None:
    if b"[" not in alias and b"]" not in alias:
        return alias.replace(b"-", b"_")
    try:
        return encode(normalize_alias(decode(alias)))
    except NameSyntaxError:
        rejected.append(RejectedKey(alias, True))
        return None


def _index(groups: list[Group], rejected: list[RejectedKey]) -> bytes:
    # An index with those keys that it can hold; the others are added to `rejected`.
    try:
        return encode_index(groups)
    except NameSyntaxError:
        rejected += [RejectedKey(key, False) for keys, _, _ in groups for key in keys if not is_valid_key(key)]
        good = [([key for key in keys if is_valid_key(key)], place, value) for keys, place, value in groups]
        return encode_index(good)
