# SPDX-License-Identifier: LGPL-2.1-or-later
"""Values of parameters, and the table of parameters in a module file."""

from __future__ import annotations

import pytest

from pymodutils import ElfError
from pymodutils.formats.elf import ElfFile
from pymodutils.formats.optionsfile import options_line
from pymodutils.formats.parametertable import parameter_slots
from pymodutils.formats.parametervalues import as_written, elements, has_taken, refusal, same_value
from pymodutils.formats.source import BytesSource
from tests.support.koforge import Ko
from tests.support.parameterforge import a_table

SAME = [
    ("bool", "Y", "1"), ("bool", "on", "y"), ("bool", "N", "off"), ("invbool", "N", "0"), ("bint", "1", "Y"),
    ("int", "0x10", "16"), ("int", "-1", "-1"), ("hexint", "0x000009", "9"), ("hexint", "00000000", "0"),
    ("ullong", "18446744073709551615", "0xffffffffffffffff"), ("int", "010", "8"), ("charp", '"a b"', "a b"),
    ("array of int", "1,0x2", "1,2"), ("array of charp", "a,(null),(null)", "a"), ("array of bool", "Y,0", "1,N"),
    (None, "0x10", "16"), (None, "Y", "1"), (None, "auto", "auto"),
]  # fmt: skip
DIFFERENT = [
    ("bool", "Y", "0"), ("int", "16", "17"), ("charp", "1", "Y"), ("charp", "16", "0x10"), ("array of int", "1,2", "1"),
    ("array of int", "1,2", "2,1"), (None, "on", "1"), (None, "auto", "always"), ("int", "x", "y"),
    ("string", "a", "A"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "one", "other"), SAME)
def test_values_that_mean_the_same(kind: str | None, one: str, other: str) -> None:
    assert same_value(kind, one, other) and same_value(kind, other, one)


@pytest.mark.parametrize(("kind", "one", "other"), DIFFERENT)
def test_values_that_do_not(kind: str | None, one: str, other: str) -> None:
    assert not same_value(kind, one, other) and not same_value(kind, other, one)


def test_an_array_without_a_count_keeps_what_is_behind_the_elements_written() -> None:
    assert has_taken("array of int", "5,6", "5,6,3,4")
    assert not has_taken("array of int", "5,6", "5")
    assert not has_taken("array of int", "5,6", "6,5,3,4")
    assert has_taken("array of charp", "a", "a,(null)")
    assert not has_taken("charp", "(null)", "(null)")


def test_what_makes_the_kernel_show_a_value_again() -> None:
    assert as_written("charp", "(null)") is None
    assert as_written("charp", "x") == "x"
    assert as_written("array of charp", "a,b,(null)") == "a,b"
    assert as_written("array of charp", "(null),b") is None
    assert as_written("array of charp", "(null),(null)") is None
    assert elements("") == []


def test_ranges_are_those_of_the_types() -> None:
    assert refusal("byte", "256") and not refusal("byte", "255")
    assert refusal("array of short", "1,32768") and not refusal("array of short", "1,-32768")


def test_a_line_of_modprobe_d_gives_the_values_back() -> None:
    assert options_line("m", {}) == ""
    text = options_line("m", {"a": "1", "b": "two words", "c": "", "d": "back\\slash"})
    assert text == 'options m a=1 b="two words" c= d=back\\\\slash\n'


# --- the table in a file


@pytest.mark.parametrize(("order", "machine"), [("<", 62), (">", 22)])
def test_the_table_of_a_file_has_types_defaults_and_permissions(order: str, machine: int) -> None:
    slots = parameter_slots(ElfFile(BytesSource(a_table(order, machine))))
    assert slots is not None
    found = {slot.name: (slot.mode, slot.type, slot.default, slot.most) for slot in slots.values()}
    assert found == {
        "number": (0o644, "int", "7", None),
        "list": (0o444, "array of short", "1,-2", 3),
        "word": (0, "charp", "a text", None),
        "own": (0o200, None, None, None),
    }


def test_a_damaged_table_is_not_known_and_no_crash() -> None:
    good = a_table()
    for at in range(64, len(good), 3):
        spoilt = good[:at] + b"\xff\xff\xff\xff" + good[at + 4 :]
        try:
            elf = ElfFile(BytesSource(spoilt))
        except ElfError:
            continue
        parameter_slots(elf)


def test_nothing_is_known_of_other_files() -> None:
    assert parameter_slots(ElfFile(BytesSource(Ko(bits=32, machine=3).bytes()))) is None
    assert parameter_slots(ElfFile(BytesSource(Ko(machine=99).bytes()))) is None
    assert parameter_slots(ElfFile(BytesSource(Ko().bytes()))) == {}
