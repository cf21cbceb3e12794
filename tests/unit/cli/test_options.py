"""Option parsing against the C library's getopt_long, through kmod's own parser and random words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pymodutils.cli.options import Option, Parser, help_text
from pymodutils.errors import OptionError

OPTIONS = (
    Option("all", "a", ("all",), "everything"),
    Option("base", "b", ("basedir",), "where", "DIR"),
    Option("ignore", "i", ("ignore-install", "ignore-remove"), "no commands"),
    Option("show", "", ("show-depends",), "plan"),
    Option("showconfig", "", ("show-config",), "config"),
)


def parse(words: list[str], *, permute: bool = True) -> tuple[list[tuple[str, str]], list[str]]:
    parser = Parser(words, OPTIONS, permute=permute)
    return list(parser), parser.operands


@pytest.mark.parametrize(
    ("words", "options", "operands"),
    [
        (["-a", "x", "-b", "/d"], [("all", ""), ("base", "/d")], ["x"]),
        (["-ab/d"], [("all", ""), ("base", "/d")], []),
        (["-b", "-a"], [("base", "-a")], []),
        (["--basedir=/d", "--all"], [("base", "/d"), ("all", "")], []),
        (["--base", "/d"], [("base", "/d")], []),
        (["--basedir="], [("base", "")], []),
        (["--ign"], [("ignore", "")], []),
        (["x", "--", "-a", "--all"], [], ["x", "-a", "--all"]),
        (["-", "-a"], [("all", "")], ["-"]),
        (["--show-d"], [("show", "")], []),
    ],
)
def test_options(words: list[str], options: list[tuple[str, str]], operands: list[str]) -> None:
    assert parse(words) == (options, operands)


def test_posixly_correct_stops_at_the_first_operand() -> None:
    assert parse(["-a", "x", "-a"], permute=False) == ([("all", "")], ["x", "-a"])


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["-z"], "invalid option -- 'z'"),
        (["-az"], "invalid option -- 'z'"),
        (["-b"], "option requires an argument -- 'b'"),
        (["--nope"], "unrecognized option '--nope'"),
        (["--nope=x"], "unrecognized option '--nope=x'"),
        (["--all=1"], "option '--all' doesn't allow an argument"),
        (["--basedir"], "option '--basedir' requires an argument"),
        (["--base"], "option '--basedir' requires an argument"),
        (["--show"], "option '--show' is ambiguous; possibilities: '--show-depends' '--show-config'"),
    ],
)
def test_mistakes(words: list[str], sentence: str) -> None:
    with pytest.raises(OptionError) as caught:
        parse(words)
    assert caught.value.reason == sentence


@given(st.lists(st.text(alphabet="-ab=xs", max_size=6), max_size=5))
def test_any_words_give_a_value_or_a_typed_error(words: list[str]) -> None:
    try:
        parse(words)
    except OptionError:
        pass


def test_help_lists_every_option_once() -> None:
    text = help_text("x [options]", OPTIONS)
    assert text.count("--basedir=DIR") == 1
    assert "-i, --ignore-install, --ignore-remove" in text
