# SPDX-License-Identifier: LGPL-2.1-or-later
"""TOML of our own files: whatever is wrong with a text is a FormatError, and soon found."""

from __future__ import annotations

import pytest

from pymodutils.errors import FormatError
from pymodutils.formats.policy import parse_policy
from pymodutils.formats.toml import MOST_KEY_PARTS, parse_toml
from pymodutils.formats.wantedstate import parse_wanted

BAD = {
    "a = ": "no TOML",
    "a = " + "[" * 100_000: "nested too deeply",
    "[" + "a." * 100_000 + "b]": "nested too deeply",
    "a = { " + "'a' . " * 100_000 + "b = 1 }": "nested too deeply",
    "a = " + "9" * 10_000: "a number is too long",
}
"""Texts, and what is said of them. Without a limit the second and third take Python's reader hours."""


@pytest.mark.parametrize("text", BAD, ids=range(len(BAD)))
def test_what_is_wrong_is_one_kind_of_error(text: str) -> None:
    with pytest.raises(FormatError, match=BAD[text]) as caught:
        parse_toml(text, "/x")
    assert caught.value.path == "/x"
    with pytest.raises(FormatError, match=BAD[text]):
        parse_wanted(text)
    with pytest.raises(FormatError, match=BAD[text]):
        parse_policy(text.encode())


@pytest.mark.parametrize("place", ["state = {}", "parameters = {{ x = {} }}", "at_boot = {}"])
def test_a_number_that_python_reads_and_does_not_write(place: str) -> None:
    with pytest.raises(FormatError):
        parse_wanted("[module.a]\n" + place.format("0x" + "f" * 10_000))


def test_dots_in_values_are_no_nesting() -> None:
    address = ".".join("1" * (MOST_KEY_PARTS // 2))
    assert parse_toml(f"a = '{address}'  # {'see a.b. ' * 200}") == {"a": address}
