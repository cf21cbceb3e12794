# SPDX-License-Identifier: LGPL-2.1-or-later
"""The index reader: any node order, exact and wildcard look-ups against a plain model, any damage."""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pymodutils.errors import Error, IndexFormatError
from pymodutils.formats.fnmatch import fnmatch
from pymodutils.formats.index import MAX_KEY, Index, read_index
from tests.support.indexforge import CHILDREN, MAGIC, PREFIX, VALUES, VERSION, build, write

KEYS = st.text(alphabet="ab:_*?", min_size=1, max_size=8)
ENTRIES = st.lists(st.tuples(KEYS, st.integers(0, 5), st.sampled_from(["m", "n", "o"])), max_size=30)
ORDERS = pytest.mark.parametrize("children_first", [False, True], ids=["pre-order", "children first"])


def index(entries: list[tuple[str, int, str]], children_first: bool = False) -> Index:
    encoded = [(key.encode(), priority, value.encode()) for key, priority, value in entries]
    return read_index(write(build(encoded), children_first=children_first))


@ORDERS
@given(entries=ENTRIES, probe=KEYS)
def test_lookup_finds_exactly_the_key(children_first: bool, entries: list[tuple[str, int, str]], probe: str) -> None:
    wanted = sorted((priority, value) for key, priority, value in entries if key == probe)
    found = [(value.priority, value.text) for value in index(entries, children_first).lookup(probe)]
    assert sorted(found) == wanted
    assert [priority for priority, _ in found] == [priority for priority, _ in wanted]


@ORDERS
@given(entries=ENTRIES, probe=st.text(alphabet="ab:_", max_size=8))
def test_match_agrees_with_a_full_scan(children_first: bool, entries: list[tuple[str, int, str]], probe: str) -> None:
    wanted = sorted((priority, value) for key, priority, value in entries if fnmatch(key, probe))
    found = [(value.priority, value.text) for value in index(entries, children_first).match(probe)]
    assert sorted(found) == wanted
    assert [priority for priority, _ in found] == [priority for priority, _ in wanted]


@ORDERS
@given(entries=ENTRIES)
def test_dump_is_every_entry_in_key_order(children_first: bool, entries: list[tuple[str, int, str]]) -> None:
    found = [(key, value.priority, value.text) for key, value in index(entries, children_first).dump()]
    assert sorted(found) == sorted(entries)
    assert [key for key, _, _ in found] == sorted(key for key, _, _ in entries)


def test_of_equal_priority_the_later_found_comes_first() -> None:
    found = index([("a*", 1, "star"), ("ab", 1, "exact"), ("a?", 1, "question"), ("*", 0, "first")]).match("ab")
    assert [value.text for value in found] == ["first", "exact", "question", "star"]


def test_values_of_one_key_keep_the_file_order() -> None:
    values = index([("k", 1, "a"), ("k", 1, "b"), ("k", 0, "c")]).lookup("k")
    assert [value.text for value in values] == ["c", "b", "a"]


def test_brackets_match() -> None:
    assert [v.text for v in index([("of:[a-c]x*", 0, "m")]).match("of:bxyz")] == ["m"]


BRACKETS = st.text(alphabet="ab[]-!*?", min_size=1, max_size=8)


@ORDERS
@given(
    entries=st.lists(st.tuples(BRACKETS, st.integers(0, 5), st.sampled_from(["m", "n"])), max_size=30),
    probe=st.text(alphabet="ab-\u00e9\udcff", max_size=8),
)
def test_match_with_brackets_agrees_as_well(
    children_first: bool, entries: list[tuple[str, int, str]], probe: str
) -> None:
    wanted = sorted((priority, value) for key, priority, value in entries if fnmatch(key, probe))
    found = [(value.priority, value.text) for value in index(entries, children_first).match(probe)]
    assert sorted(found) == wanted


class Counting:
    """A source that counts how often it is read."""

    def __init__(self, data: bytes) -> None:
        self.data, self.size, self.count = data, len(data), 0

    def read(self, offset: int, length: int) -> bytes:
        self.count += 1
        return self.data[offset : offset + length]

    read_ahead = read


def test_of_the_keys_behind_a_wildcard_few_are_seen() -> None:
    """As device trees have them: thousands of keys that begin with the same wildcard."""
    entries = [(f"of:N*T*Cvendor{n % 97},device{n}C*".encode(), n, b"m%d" % n) for n in range(5000)]
    source = Counting(write(build(entries)))
    assert [value.text for value in Index(source).match("of:NserialT(null)Cvendor7,device2335C")] == ["m2335"]
    assert source.count < 60


def test_a_missing_key_reads_few_bytes() -> None:
    entries = [(f"key{number:05}".encode(), 0, b"v") for number in range(10000)]
    source = Counting(write(build(entries)))
    assert [value.text for value in Index(source).lookup("key04567")] == ["v"]
    assert source.count < 10


def test_an_index_asked_for_much_is_read_as_a_whole() -> None:
    entries = [(f"module_{number:03}_{number % 7}".encode(), number, b"value %d" % number) for number in range(700)]
    source = Counting(write(build(entries)))
    found = Index(source)
    for key, priority, value in entries:
        assert [(one.text, one.priority) for one in found.lookup(key.decode())] == [(value.decode(), priority)]
        assert not found.lookup(key.decode() + "x")
    assert source.count < 300


def test_a_dump_and_look_ups_do_not_disturb_one_another() -> None:
    """Each counts for itself how much it reads of the file."""
    entries = [(f"key{number:05}", 0, f"v{number}") for number in range(300)]
    found = index(entries)
    for number, (key, value) in enumerate(found.dump()):
        assert (key, value.text) == (entries[number][0], entries[number][2])
        assert [v.text for v in found.lookup(key)] == [value.text]
        assert [v.text for v in found.match(key)] == [value.text]
    assert number == 299


def test_what_a_look_up_returns_is_the_callers() -> None:
    found = index([("k", 0, "a"), ("kk", 0, "b")])
    for read in (found.lookup, found.match):
        read("k").clear()
        assert [value.text for value in read("k")] == ["a"]


def header(root: int, magic: int = MAGIC, version: int = VERSION) -> bytes:
    return struct.pack(">III", magic, version, root)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        header(0)[:11],
        header(0, magic=1),
        header(0, version=0x00030001),
        header(12 | VALUES),
        header(12 | PREFIX) + b"abc",
        header(999 | CHILDREN),
        header(12 | CHILDREN) + b"ba" + bytes(8),
        header(12 | CHILDREN) + b"aa" + struct.pack(">I", 12 | CHILDREN),
        header(12 | VALUES) + struct.pack(">I", 0xFFFFFFFF) + b"abcd\0",
    ],
    ids="empty short magic version no-node no-nul outside edges cycle count".split(),
)
def test_damage_is_a_typed_error(data: bytes) -> None:
    with pytest.raises(IndexFormatError):
        list(read_index(data).dump())


def test_an_empty_index_has_no_entries() -> None:
    assert list(read_index(header(12)).dump()) == []
    assert read_index(header(12)).lookup("a") == []
    assert read_index(header(12)).match("a") == []


def chain(depth: int) -> bytes:
    """A node with one child, `depth` times, the last with a value."""
    node = struct.pack(">2sI", b"aa", 0)
    body = b"".join(struct.pack(">2sI", b"aa", 12 + len(node) * (n + 1) | CHILDREN) for n in range(depth - 1))
    last = 12 + len(node) * depth | VALUES
    return header(12 | CHILDREN) + body + struct.pack(">2sI", b"aa", last) + struct.pack(">II", 1, 0) + b"v\0"


def test_a_deep_trie_is_walked_without_recursion() -> None:
    ((key, value),) = read_index(chain(MAX_KEY)).dump()
    assert (key, value.text) == ("a" * MAX_KEY, "v")
    assert read_index(chain(MAX_KEY)).lookup("a" * MAX_KEY)


def test_a_deeper_one_is_refused() -> None:
    with pytest.raises(IndexFormatError, match="too long"):
        list(read_index(chain(MAX_KEY + 1)).dump())


@given(
    ENTRIES,
    st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), min_size=1, max_size=6),
    st.text(alphabet="ab:_", max_size=8),
)
def test_any_damage_gives_a_value_or_a_typed_error(
    entries: list[tuple[str, int, str]], changes: list[tuple[int, int]], probe: str
) -> None:
    data = bytearray(write(build([(key.encode(), priority, value.encode()) for key, priority, value in entries])))
    for place, byte in changes:
        data[place % len(data)] = byte
    for read in (
        lambda: list(read_index(bytes(data)).dump()),
        lambda: read_index(bytes(data)).lookup(probe),
        lambda: read_index(bytes(data)).match(probe),
    ):
        try:
            read()
        except Error:
            pass


def test_indexes_of_depmod_are_read(tmp_path: Path) -> None:
    """kmod 30 writes children first; what it wrote, we read."""
    from tests.support.common import need
    from tests.support.koforge import Ko

    need(Path("/sbin/depmod").exists(), "kmod's depmod")
    modules = tmp_path / "lib/modules/6.1.0"
    Ko(modinfo=["alias=pci:v*d*", "license=GPL"], exports={"sym": 1}).write(modules / "kernel/a.ko")
    Ko(modinfo=["alias=pci:v1*"], needs={"sym": 1}).write(modules / "kernel/b.ko")
    for name in ("modules.order", "modules.builtin"):
        (modules / name).touch()
    subprocess.run(["/sbin/depmod", "-b", str(tmp_path), "6.1.0"], check=True)
    dep = read_index((modules / "modules.dep.bin").read_bytes())
    assert [v.text for v in dep.lookup("b")] == ["kernel/b.ko: kernel/a.ko"]
    alias = read_index((modules / "modules.alias.bin").read_bytes())
    assert sorted(v.text for v in alias.match("pci:v1d2")) == ["a", "b"]
