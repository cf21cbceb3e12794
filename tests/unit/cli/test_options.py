# SPDX-License-Identifier: LGPL-2.1-or-later
"""Option parsing against the C library's getopt_long, through kmod's own parser and random words."""

from __future__ import annotations

from importlib import import_module

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pymodutils.cli import main, registry
from pymodutils.cli.console import Console
from pymodutils.cli.help import help_text
from pymodutils.cli.options import CommandLine, CommandOptions, Option, OptionError, Parser

OPTIONS = (
    Option("all", "a", ("all",), "everything"),
    Option("base", "b", ("basedir",), "where", "DIR"),
    Option("ignore", "i", ("ignore-install", "ignore-remove"), "no commands"),
    Option("show", "", ("show-depends",), "plan"),
    Option("showconfig", "", ("show-config",), "config"),
)


def parse(words: list[str], *, permute: bool = True) -> tuple[list[tuple[str, str]], list[str]]:
    parser = Parser(words, OPTIONS, permute=permute)
    return [(option.name, value) for option, value, _ in parser], parser.operands


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


def test_help_lists_every_option_once_under_its_heading() -> None:
    line = CommandLine(["[options]", "-a"], {"One": OPTIONS[:2], "Two": OPTIONS[2:]}, page="x(8)", examples=["x -a"])
    text = help_text(line, "kmod x")
    assert text.startswith("Usage:\n\tkmod x [options]\n\tkmod x -a\n\nOne:\n\t-a, --all ")
    assert text.count("--basedir=DIR") == 1
    assert "-i, --ignore-install, --ignore-remove" in text.partition("\nTwo:\n")[2]
    assert text.endswith("\nExample:\n\tx -a\n\nManual page: x(8)\n")


class Given(CommandOptions):
    many: tuple[str, ...] = ()
    times = 0
    kind = ""


def test_options_are_stored_as_their_fields_are_typed() -> None:
    table = (
        Option("many", "m", (), "", "X", repeats=True),
        Option("times", "t", (), "", repeats=True),
        Option("kind", "k", ("kind",), "", "KIND"),
        Option("kind", "a", ("apple",), "", constant="apple"),
        Option("json", "", ("json",), ""),
    )
    given = Given()
    console = Console("x")
    line = CommandLine([""], {"": table}, page="")
    operands = line.read(["-tm1", "-m", "2", "-t", "-kpear", "o", "-a"], console, given)
    assert (operands, given.many, given.times, given.kind, given.json) == (["o"], ("1", "2"), 2, "apple", False)
    assert (Given.many, Given.times, Given.kind) == ((), 0, "")


def field_types(option: Option) -> tuple[type, ...]:
    if option.repeats:
        return (tuple,) if option.value else (int,)
    return (str, int, type(None)) if option.value else (type(option.constant), type(None))


@pytest.mark.parametrize("module", sorted({command.module for command in registry.COMMANDS} - {"kmod"}))
def test_every_option_has_its_field(module: str) -> None:
    """With a default of the type that the option sets."""
    home = import_module(f"pymodutils.cli.{module}")
    folder, _, name = module.rpartition(".")
    shared = import_module("pymodutils.cli.verbs.frame").VerbOptions if folder == "verbs" else CommandOptions
    options = getattr(home, f"{name.title().replace('_', '')}Options", shared)
    if module == "depmod":
        options = import_module("pymodutils.cli.depmod.options").GivenOptions
    for option in home.COMMAND_LINE.options:
        if option.name not in ("help", "version"):
            assert isinstance(getattr(options, option.name), field_types(option)), option.name


def test_the_programs_that_start_without_the_registry_are_those_of_the_registry() -> None:
    assert sorted(main.PROGRAMS) == sorted(command.name for command in registry.PROGRAMS)
