# SPDX-License-Identifier: LGPL-2.1-or-later
"""The index writer against the reader, and against a plain builder of the same layout."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pymodutils.errors import NameSyntaxError
from pymodutils.formats.index import read_index
from pymodutils.formats.index_writer import common_lengths, encode_index
from tests.support import indexforge

keys = st.text("abc:_*", max_size=12).map(str.encode) | st.binary(max_size=4).map(
    lambda data: bytes(byte & 0x7F or 1 for byte in data)
)
groups = st.lists(st.tuples(st.lists(keys, max_size=5), st.integers(0, 5), st.sampled_from([b"m", b"n", b"long_name"])))


def entries_of(data: bytes) -> list[tuple[bytes, int, bytes]]:
    return [(key.encode(), value.priority, value.text.encode()) for key, value in read_index(data).dump()]


@given(groups)
def test_the_reader_finds_all_that_was_written(given_groups: list[tuple[list[bytes], int, bytes]]) -> None:
    """In key order; of one key by ascending priority, of equal ones the later first."""
    flat = [(key, priority, value) for words, priority, value in given_groups for key in words]
    expected = [
        entry
        for key in sorted({key for key, _, _ in flat})
        for entry in sorted([entry for entry in flat[::-1] if entry[0] == key], key=lambda entry: entry[1])
    ]
    assert entries_of(encode_index(given_groups)) == expected


@given(groups)
def test_the_layout_is_that_of_a_plain_builder(given_groups: list[tuple[list[bytes], int, bytes]]) -> None:
    flat = [(key, priority, value) for words, priority, value in given_groups for key in words]
    assert encode_index(given_groups) == indexforge.write(indexforge.build(flat, bare_root=True))


def without_nuls(data: bytes) -> bytes:
    return data.replace(b"\0", b"\1")


@given(st.lists(st.binary(max_size=300).map(without_nuls), unique=True).map(sorted))
def test_common_lengths(words: list[bytes]) -> None:
    expected = []
    for one, other in pairwise(words):
        expected.append(next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), len(one)))
    assert common_lengths(words) == expected


def test_long_keys_that_differ_late() -> None:
    words = [b"x" * 300 + end for end in (b"", b"a", b"ab", b"b")] + [b"x" * 200]
    assert [key for key, _, _ in entries_of(encode_index([(words, 0, b"m")]))] == sorted(words)


def test_an_empty_index_is_a_header() -> None:
    assert encode_index([]) == encode_index([([], 0, b"")])
    assert entries_of(encode_index([])) == []


@pytest.mark.parametrize("key", [b"\xc3\xa4", b"a\0b", b"\x80"])
def test_what_no_index_can_hold(key: bytes) -> None:
    with pytest.raises(NameSyntaxError):
        encode_index([([b"good", key], 0, b"m")])
