# SPDX-License-Identifier: LGPL-2.1-or-later
"""What install commands do about their module, as far as one can tell."""

from __future__ import annotations

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pymodutils.planning import shellcommands
from pymodutils.planning.shellcommands import LOADS, LOADS_NOTHING, UNKNOWN, effect_of, is_success


@pytest.mark.parametrize(
    "command",
    ["/bin/false", "/bin/true", "false", ":", "/dev/null", "/usr/sbin/nologin", "exit 1", "exit 0; /sbin/modprobe -i m",
     "/bin/true $CMDLINE_OPTS", "echo denied >&2; exit 1", "logger 'm; modprobe -i m'", "/usr/bin/false 2> /dev/null"],
)  # fmt: skip
def test_commands_that_load_nothing(command: str) -> None:
    assert effect_of(command, "m") == LOADS_NOTHING


@pytest.mark.parametrize(
    "command",
    ["/sbin/modprobe --ignore-install m", "modprobe -i m $CMDLINE_OPTS && echo", "modprobe -qi m", "insmod /x/m.ko a=1",
     "echo first; modprobe -i m", "modprobe -i -a other m"],
)  # fmt: skip
def test_commands_that_load_it(command: str) -> None:
    assert effect_of(command, "m") == LOADS


@pytest.mark.parametrize(
    "command",
    ["/usr/local/bin/decide", "modprobe other", "false || modprobe -i m", "/bin/true && modprobe -i m", "modprobe m",
     "sh -c 'modprobe -i m'", "$(cat /x)", "`x`", "echo 'open", "modprobe -i other", "modprobe -r -i m", "modprobe -i"],
)  # fmt: skip
def test_commands_of_which_nobody_knows(command: str) -> None:
    """`/bin/true` at the beginning of a command says nothing about its end."""
    assert effect_of(command, "m") == UNKNOWN


def test_names_are_spelled_in_two_ways() -> None:
    assert effect_of("modprobe -i snd-pcm", "snd_pcm") == LOADS


@pytest.mark.parametrize(
    ("command", "success"),
    [("/bin/true", True), ("/bin/false", False), ("exit 0", True), ("exit", True), ("exit 3", False), (":", True),
     ("/dev/null", False), ("/sbin/nologin", False), ("echo no; false", False)],
)  # fmt: skip
def test_whether_they_end_well(command: str, success: bool) -> None:
    assert is_success(command) is success


@given(st.text("ab /_-.,=:+@%#~!*?é\x0b'\"", max_size=12))
def test_plain_words_are_split_as_by_shlex(text: str) -> None:
    """Most commands need no reader of quotes, whose import takes time."""
    reader = shlex.shlex(text, posix=True, punctuation_chars=True)
    reader.whitespace_split = True
    try:
        expected = list(reader)
    except ValueError:
        expected = None
    assert shellcommands._words(text) == expected
