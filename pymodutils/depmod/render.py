"""Stage 5, render: the bytes of every file (contract 2 "Text files", "Index files"; contract 4 "Output")."""

from __future__ import annotations

from ..errors import NameSyntaxError
from ..formats.index_writer import encode_index, is_valid_key
from ..names import decode, encode, normalize_alias
from ..records import Record
from .resolve import split

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from ..formats.index_writer import Entry
    from .extract import Facts

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


class LeftOut(Record):
    """An alias or another key that an index cannot hold: it has an unmatched bracket, or bytes beyond 7-bit ASCII."""

    key: bytes
    bracket: bool


def modinfo_values(joined: bytes, key: bytes) -> list[bytes]:
    """The values of the .modinfo strings called `key` in one field of `Facts`."""
    if key not in joined:
        return []
    pairs = [text.partition(b"=") for text in split(joined)]
    return [value for name, _, value in pairs if name == key]


# --- texts


def dep_lines(paths: Sequence[bytes], dependencies: Sequence[Sequence[int]]) -> list[bytes]:
    """The lines of modules.dep, without their newlines."""
    return [
        path + b":" + b"".join([b" " + paths[other] for other in needed])
        for path, needed in zip(paths, dependencies, strict=True)
    ]


def alias_text(names: Sequence[bytes], facts: Sequence[Facts]) -> bytes:
    """modules.alias."""
    lines = [ALIAS_TITLE]
    for name, (_, _, _, infos, _) in zip(names, facts, strict=True):
        if b"alias" in infos:
            end = b" " + name + b"\n"
            lines += [b"alias " + value + end for value in modinfo_values(infos, b"alias")]
    return b"".join(lines)


def info_text(title: bytes, key: bytes, names: Sequence[bytes], facts: Sequence[Facts]) -> bytes:
    """modules.softdep and modules.weakdep: one line for each .modinfo string called `key`."""
    lines = [title]
    for name, (_, _, _, infos, _) in zip(names, facts, strict=True):
        if key in infos:
            lines += [b"%b %b %b\n" % (key, name, value) for value in modinfo_values(infos, key)]
    return b"".join(lines)


def symbol_text(names: Sequence[bytes], owners: Mapping[bytes, int]) -> bytes:
    """modules.symbols, by name of symbol (kmod's order is that of its hash table)."""
    return SYMBOL_TITLE + b"".join([b"alias symbol:%b %b\n" % (symbol, names[owners[symbol]])
                                    for symbol in sorted(owners)])  # fmt: skip


def devname_text(names: Sequence[bytes], facts: Sequence[Facts], incomplete: list[tuple[bytes, bytes]]) -> bytes:
    """modules.devname; a module with a device name but no numbers is added to `incomplete`."""
    lines = []
    for name, (_, _, _, infos, _) in zip(names, facts, strict=True):
        if b"alias=devname:" not in infos:
            continue
        node, numbers = _device(modinfo_values(infos, b"alias"))
        if node is None:
            continue
        if numbers is None:
            incomplete.append((name, node))
        else:
            lines.append(b"%b %b %b\n" % (name, node, numbers))
    return DEVNAME_TITLE + b"".join(lines) if lines else b""


def _device(aliases: Iterable[bytes]) -> tuple[bytes | None, bytes | None]:
    """The device file's name and its numbers (`c10:200`); of several, those seen when both are first known."""
    node: bytes | None = None
    numbers: bytes | None = None
    for alias in aliases:
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
                return b"%b%d:%d" % (kind, int(major), int(minor))
    return None


# --- indexes


def dep_index(names: Sequence[bytes], lines: Sequence[bytes], left_out: list[LeftOut]) -> bytes:
    """modules.dep.bin."""
    return _index([(name, place, line) for place, (name, line) in enumerate(zip(names, lines, strict=True))], left_out)


def alias_index(names: Sequence[bytes], facts: Sequence[Facts], left_out: list[LeftOut]) -> bytes:
    """modules.alias.bin."""
    return _index(list(alias_entries(names, facts, left_out)), left_out)


def alias_entries(names: Sequence[bytes], facts: Sequence[Facts], left_out: list[LeftOut]) -> Iterator[Entry]:
    """(normalised alias, position, module) of every alias; ones with an unmatched bracket are left out."""
    for position, (name, (_, _, _, infos, _)) in enumerate(zip(names, facts, strict=True)):
        if b"alias" not in infos:
            continue
        for value in modinfo_values(infos, b"alias"):
            if b"[" not in value and b"]" not in value:
                yield value.replace(b"-", b"_"), position, name
                continue
            normal = _normal_alias(value, left_out)
            if normal is not None:
                yield normal, position, name


def symbol_index(names: Sequence[bytes], owners: Mapping[bytes, int], left_out: list[LeftOut]) -> bytes:
    """modules.symbols.bin."""
    return _index([(b"symbol:" + symbol, place, names[place]) for symbol, place in owners.items()], left_out)


def builtin_index(data: bytes, bad_lines: list[bytes], left_out: list[LeftOut]) -> bytes:
    """modules.builtin.bin from the bytes of modules.builtin."""
    entries = []
    for line in data.removesuffix(b"\n").split(b"\n") if data else []:
        if line[:1].isalpha():
            entries.append((line.rpartition(b"/")[2].partition(b".")[0].replace(b"-", b"_"), 0, b""))
        else:
            bad_lines.append(line)
    return _index(entries, left_out)


def builtin_alias_index(data: bytes, left_out: list[LeftOut]) -> bytes:
    """modules.builtin.alias.bin from the bytes of modules.builtin.modinfo."""
    entries = []
    for text in data.split(b"\0"):
        module, dot, rest = text.partition(b".")
        key, _, value = rest.partition(b"=")
        if dot and key == b"alias":
            normal = _normal_alias(value, left_out)
            if normal is not None:
                entries.append((normal, 0, module))
    return _index(entries, left_out)


def _normal_alias(alias: bytes, left_out: list[LeftOut]) -> bytes | None:
    try:
        return encode(normalize_alias(decode(alias)))
    except NameSyntaxError:
        left_out.append(LeftOut(alias, True))
        return None


def _index(entries: list[Entry], left_out: list[LeftOut]) -> bytes:
    """An index with those entries that it can hold."""
    try:
        return encode_index(entries)
    except NameSyntaxError:
        good = [entry for entry in entries if is_valid_key(entry[0])]
        left_out += [LeftOut(key, False) for key, _, _ in entries if not is_valid_key(key)]
        return encode_index(good)
