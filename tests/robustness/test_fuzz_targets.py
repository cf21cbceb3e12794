# SPDX-License-Identifier: LGPL-2.1-or-later
"""The fuzzers' targets (fuzz/targets.py) on their corpus, and on what random changes make of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pymodutils.formats
from fuzz.targets import TARGETS
from tests.support.common import REPO

CORPUS = {name: sorted((REPO / "fuzz/corpus" / name).iterdir()) for name in TARGETS}

NUMBERS = [0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 1 << 63, (1 << 64) - 1]
PIECES = st.one_of(
    st.binary(min_size=1, max_size=6),
    st.builds(
        lambda number, length, order: (number & (1 << 8 * length) - 1).to_bytes(length, order),
        st.sampled_from(NUMBERS), st.sampled_from([1, 2, 4, 8]), st.sampled_from(["little", "big"]),
    ),
    st.sampled_from([b"\0", b"\n", b"\\\n", b" ", b"\t", b'"', b"'", b"[", b"]", b"*", b"--", b"\x1b[2J", b"\xff"]),
)  # fmt: skip
# Where (a fraction of the length), what, and how many bytes it replaces; all gone when what is empty.
CHANGES = st.lists(st.tuples(st.integers(0, 1 << 16), PIECES | st.just(b""), st.integers(0, 8)), max_size=6)


def changed(data: bytes, changes: list[tuple[int, bytes, int]], length: int) -> bytes:
    out = bytearray(data)
    for place, piece, replaced in changes:
        at = place * len(out) >> 16
        out[at : at + replaced] = piece
    return bytes(out[: len(out) * length // 16])


def test_every_reader_has_a_target_and_every_target_a_corpus() -> None:
    names = {path.stem for path in Path(pymodutils.formats.__path__[0]).glob("*.py")}
    text = (REPO / "fuzz/targets.py").read_text()
    helpers = {
        "__init__",
        "parameters",
        "taint",
        "graphtext",
        "source",
        "index_writer",
        "der",
        "pieces",
        "conflines",
        "pattern_positions",
        "ownfile",
        "toml",
    }  # writers, and what others read through
    assert {name for name in names - helpers if f"formats.{name} " not in text and f" {name}\n" not in text} == set()
    assert all(CORPUS.values())


@pytest.mark.parametrize("name", TARGETS)
def test_the_corpus_is_read(name: str) -> None:
    for path in CORPUS[name]:
        TARGETS[name](path.read_bytes())


@pytest.mark.parametrize("name", TARGETS)
def test_changed_input_gives_a_value_or_a_typed_error(name: str) -> None:
    property_of(TARGETS[name], [path.read_bytes() for path in CORPUS[name]])()


def property_of(target: Callable[[bytes], None], corpus: list[bytes]) -> Callable[[], None]:
    @settings(max_examples=150)
    @given(st.sampled_from(corpus) | st.binary(max_size=64), CHANGES, st.integers(12, 16))
    def check(data: bytes, changes: list[tuple[int, bytes, int]], length: int) -> None:
        target(changed(data, changes, length))

    return check


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_lets_only_our_errors_pass(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The targets themselves: a bug in a reader gets through to those who fuzz."""
    import fuzz.targets as targets

    def broken(*_arguments: object, **_named: object) -> object:
        raise ZeroDivisionError

    readers = [word for word in dir(targets) if callable(getattr(targets, word)) and word in TARGETS_READERS]
    for reader in readers:
        monkeypatch.setattr(targets, reader, broken)
    with pytest.raises(ZeroDivisionError):
        TARGETS[name](CORPUS[name][0].read_bytes())


TARGETS_READERS = set(
    "ElfFile without_modversions parse_modinfo read_signature decompress read_index fnmatch parse_modprobe_conf "
    "is_for_module "
    "parse_depmod_conf parse_kernel_command_line parse_boot_rules parse_modules_load parse_udev_rules "
    "read_members parse_policy is_ours initcalls parse_kmsg parse_trace parse_watch_log parse_uevent refusal "
    "parse_wanted LineTable "
    "read_trailer kernel_in read_symvers parse_kernel_config entries_in parse_oops parse_mountinfo interface_for "
    "parse_proc_modules parse_dep_line parse_builtin_modinfo "
    "split_environment Parser decode_fields facts_of".split()
)
