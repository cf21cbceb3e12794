# SPDX-License-Identifier: LGPL-2.1-or-later
"""The manual pages: well-formed, complete, and saying what the code says."""

from __future__ import annotations

import ast
import functools
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path

import pytest

import pymodutils
from pymodutils import errors
from pymodutils.cli import documents, modinfo, registry
from pymodutils.cli.options import Option, Parser
from pymodutils.depmod import render
from pymodutils.formats import depmodconf, modprobeconf
from pymodutils.records import Record
from tests.support.common import REPO, Outcome, need
from tests.support.koforge import Ko

PAGES = sorted((REPO / "man").glob("*.[1-9]"))
LINKS = [page for page in PAGES if page.read_text().startswith(".so ")]
TEXTS = [page for page in PAGES if page not in LINKS]
COMMANDS = [page for page in TEXTS if page.suffix == ".8"]

# The pages of Debian's kmod, in both releases: where ours take their place, none may be missing.
PAGES_OF_KMOD = """
    depmod.d.5 modprobe.d.5 modules.5 modules.dep.5 modules.dep.bin.5
    depmod.8 insmod.8 kmod.8 lsmod.8 modinfo.8 modprobe.8 rmmod.8
""".split()

# Pages and sections of their OPTIONS, and the module whose table they describe.
MODULES = {f"kmod-{command.name}": command.module for command in registry.VERBS}
OPTION_LISTS = [(MODULES.get(page.stem, page.stem), page.name, "Sh OPTIONS") for page in COMMANDS]
OPTION_LISTS += [("static_nodes", "kmod.8", "Ss Options of static-nodes")]


def text_of(name: str) -> str:
    return (REPO / "man" / name).read_text()


def section(text: str, heading: str) -> str:
    """What follows `.HEADING`, up to the next heading of its level or above."""
    start = re.search(rf"(?m)^\.{re.escape(heading)}$", text)
    assert start, heading
    levels = "Sh" if heading.startswith("Sh") else "Sh|Ss"
    return re.split(rf"(?m)^\.(?:{levels}) ", text[start.end() :])[0]


def named(page: Path) -> str:
    return page.name


@pytest.mark.parametrize("page", TEXTS, ids=named)
def test_lint(page: Path) -> None:
    need(shutil.which("mandoc"), "mandoc")
    command = ["mandoc", "-T", "lint", "-W", "warning", str(page)]
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert (result.stdout, result.returncode) == ("", 0)


@pytest.mark.parametrize("page", LINKS, ids=named)
def test_links_lead_to_a_page_that_has_the_name(page: Path) -> None:
    directory, name = page.read_text().removeprefix(".so ").strip().split("/")
    assert directory == f"man{name[-1]}"
    assert re.search(rf"(?m)^\.Nm {re.escape(page.stem)}$", text_of(name))


def test_every_page_of_kmod_has_one() -> None:
    assert set(PAGES_OF_KMOD) <= {page.name for page in PAGES}


@pytest.mark.parametrize("page", TEXTS, ids=named)
def test_sections(page: Path) -> None:
    found = re.findall(r"(?m)^\.Sh (.*)$", page.read_text())
    wanted = ["NAME", "SYNOPSIS", "DESCRIPTION", "EXAMPLES", "SEE ALSO"]
    if page in COMMANDS:
        wanted += ["OPTIONS", "FILES", "EXIT STATUS", "DIAGNOSTICS"]
    assert set(wanted) <= set(found)
    assert page.read_text().splitlines()[1] == f".Dt {page.stem.upper()} {page.suffix[1]}"


@pytest.mark.parametrize("page", TEXTS, ids=named)
def test_references_to_our_pages_have_their_section(page: Path) -> None:
    ours = {other.stem: other.suffix[1] for other in PAGES}
    for name, number in re.findall(r"\bXr (\S+) (\d)", page.read_text()):
        assert ours.get(name, number) == number
        assert name != page.stem


# --- options


def spellings(options: list[Option]) -> dict[str, str]:
    """Every way to write an option, as in a page, and the placeholder of its value."""
    return {
        text: option.value
        for option in options
        for text in [*option.short, *(f"-{name}" for name in option.long)]
    }  # fmt: skip


def described(text: str) -> dict[str, str]:
    """Every way to write an option that a list in a page has, and the placeholder of its value."""
    found = {}
    for item in re.findall(r"(?m)^\.It (Fl .*)$", text):
        for flag in re.split(r"(?:^| , )Fl ", item)[1:]:
            name, _, value = flag.replace("Ns = Ns ", "").partition(" Ar ")
            assert name not in found
            found[name] = value
    return found


@pytest.mark.parametrize(("module", "page", "heading"), OPTION_LISTS, ids=[entry[0] for entry in OPTION_LISTS])
def test_page_and_help_have_the_same_options(module: str, page: str, heading: str) -> None:
    table = import_module(f"pymodutils.cli.{module}").COMMAND_LINE.options
    text = section(text_of(page), heading)
    if heading == "Sh OPTIONS":
        text = text.partition(".Ss Options of static-nodes\n")[0]
    text, _, old = text.partition(".Ss Names of former times\n")
    assert described(text) == spellings(table)
    assert described(old).keys() == {f"-{name}" for option in table for name in option.deprecated}


@pytest.mark.parametrize("option", ["-V", "-h"])
def test_what_all_commands_have_is_described_alike(option: str) -> None:
    entry = re.compile(rf"(?m)^\.It Fl {option[1]} , .*\n((?:[^.].*\n)+)")
    assert len({found[1] for page in COMMANDS if (found := entry.search(page.read_text()))}) == 1


def synopses(text: str) -> list[str]:
    """The ways to call a command that a page shows, as the help text writes them, without the command's name."""
    found: list[str] = []
    for line in section(text, "Sh SYNOPSIS").strip().splitlines():
        name, _, rest = line.partition(" ")
        if name == ".Nm":
            found.append("")
            continue
        rest = re.sub(r" ?\bNs ?", "", re.sub(r" Ns (\S) Ns Ar ", r"\1", f"{name[1:]} {rest}"))
        opened = rest.count("Op ")
        rest = rest.replace("Op ", "[").replace("Ar ", "") + "]" * opened
        rest = re.sub(r"Fl (.*)", lambda match: "-" + match[1].replace(" | ", "|-"), rest)
        found[-1] += " " + rest.replace(" ...", "...").replace(" | ", "|")
    return [text.strip() for text in found]


OWN_PAGE = [command for command in registry.COMMANDS if command.name not in ("list", "static-nodes")]


@pytest.mark.parametrize("command", OWN_PAGE, ids=lambda command: command.name)
def test_page_and_help_show_the_same_ways_to_call_it(command: registry.Command) -> None:
    line = import_module(f"pymodutils.cli.{command.module}").COMMAND_LINE
    page = line.page.replace("(", ".").rstrip(")")
    assert synopses(text_of(page)) == list(line.usage)


def test_commands_of_kmod() -> None:
    assert re.findall(r"(?m)^\.It Ic (\S+)$", text_of("kmod.8")) == [command.name for command in registry.VERBS]
    for link in registry.LINKS:
        assert re.search(rf"(?m)^\.Xr {link} 8", section(text_of("kmod.8"), "Sh DESCRIPTION")), link


# --- messages

# What stands in a page for a varying part of a message.
PLACEHOLDERS = re.compile(r"(?:[A-Z]+|[-\s/:>])*")
LABEL = re.compile(r"^(?:FATAL|ERROR|WARNING): ")


@functools.cache
def sentences() -> list[re.Pattern[str]]:
    """The strings in the code, as patterns with a group for each `{field}`, and the system's own texts."""
    found = {re.escape(os.strerror(number)) for number in range(1, 134)}
    for path in [REPO / "bin/kmod", *(REPO / "pymodutils").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.JoinedStr):
                parts = [str(part.value) if isinstance(part, ast.Constant) else None for part in node.values]
                found.add("".join("(.*)" if part is None else re.escape(part) for part in parts))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.add(re.escape(node.value))
    return [re.compile(pattern) for pattern in found if not re.fullmatch(r"(?:\W|\(\.\*\))*", pattern)]


def is_said(text: str) -> bool:
    """Whether the code has such a string, its fields being placeholders or again such strings."""
    matches = filter(None, (pattern.fullmatch(text) for pattern in sentences()))
    return any(all(map(is_field, match.groups())) for match in matches)


def is_field(text: str) -> bool:
    """Whether that can stand in a message for something: placeholders, a string, some of both, or several by colons."""
    bare = re.sub(r"^[A-Z]+ | [A-Z]+$", "", text)
    place, colon, reason = text.partition(": ")
    return (
        PLACEHOLDERS.fullmatch(text) is not None
        or is_said(text)
        or (bare != text and is_field(bare))
        or (colon != "" and is_field(place) and is_field(reason))
    )


@pytest.mark.parametrize("page", [page for page in TEXTS if ".Bl -diag" in page.read_text()], ids=named)
def test_messages_are_ones_that_are_printed(page: Path) -> None:
    messages = re.findall(r'(?m)^\.It "?(.*?)"?$', section(page.read_text(), "Sh DIAGNOSTICS"))
    assert messages
    for message in messages:
        assert is_field(LABEL.sub("", message.replace(r"\&", "").replace(r"\(dq", '"'))), message


# --- examples


def example_lines() -> Iterator[tuple[str, str]]:
    """(page, command line) of each example that starts one of our commands."""
    for page in COMMANDS:
        text = section(page.read_text(), "Sh EXAMPLES").replace(r"\(dq", '"').replace(r"\(aq", "'")
        for line in re.findall(r"(?m)^(?:\.Dl )?[$#] (.*)$", text):
            for part in re.split(r"\|\|?|>", line):
                yield page.name, part.strip()


def test_examples_have_options_that_exist() -> None:
    modules = {page.stem: page.stem for page in COMMANDS if page.stem not in MODULES}
    modules |= {command.name: command.module for command in registry.VERBS}
    tables = {name: import_module(f"pymodutils.cli.{module}").COMMAND_LINE.options for name, module in modules.items()}
    seen = set()
    for page, line in example_lines():
        name, _, rest = line.partition(" ")
        if name == "kmod":
            name, _, rest = rest.partition(" ")
        if name in tables:
            seen.add(page)
            list(Parser(re.sub(r"\$\([^)]*\)", "X", rest).split(), tables[name]))  # raises for what is none
    assert seen >= {page.name for page in COMMANDS}


# --- formats


def test_rules_of_modprobe_d() -> None:
    text = text_of("modprobe.d.5")
    assert set(re.findall(r"(?m)^\.It Ic (\w+)", text)) == set(modprobeconf.KINDS)
    assert all(f".Ic {name}" in text for name in modprobeconf.RETIRED)


def test_rules_of_depmod_d() -> None:
    text = text_of("depmod.d.5")
    assert set(re.findall(r"(?m)^\.It Ic (\w+)", text)) == set(depmodconf.WORDS)
    assert all(f".Ic {name}" in text for name in depmodconf.IGNORED)


@pytest.mark.parametrize("kind", ["modprobe.d", "depmod.d"])
def test_configuration_directories(kind: str) -> None:
    directories = pymodutils.Roots().config_dirs(kind)
    assert re.findall(r"(?m)^\.Pa (/.*)/\*\.conf$", text_of(f"{kind}.5")) == directories
    assert " , ".join(directories) in text_of(f"{kind.removesuffix('.d')}.8")


def test_files_of_depmod() -> None:
    items = re.findall(r"(?m)^\.It Pa (.*)$", section(text_of("modules.dep.5"), "Ss Written by depmod"))
    names = [name for item in items for name in item.split(" , ")]
    assert set(names) == set(render.FILES)


def json_members(command: str) -> set[str]:
    """What the lists of a command's section in the page have."""
    items = re.findall(r"(?m)^\.It Va (.*)$", section(text_of("pymodutils-json.5"), f"Sh {command.upper()}"))
    return {name for item in items for name in item.split(" , ")}


def test_json_members_of_the_document() -> None:
    """docs/json.md and the page list the same members, command by command."""
    parts = re.split(r"(?m)^## (\w+).*--json.*$", (REPO / "docs/json.md").read_text())
    assert len(parts) > 4
    for command, text in zip(parts[1::2], parts[2::2], strict=True):
        rows = re.findall(r"(?m)^\| (`[^|]*`) +\|", text)
        assert {name.strip("` ") for row in rows for name in row.split(",")} == json_members(command)


def test_json_members_of_real_output(command: Callable[..., Outcome], tmp_path: Path) -> None:
    assert json_members("lsmod") == set(pymodutils.LoadedModule.__match_args__)
    assert json_members("modinfo") == {*pymodutils.ModuleInfo.__match_args__, *modinfo.FieldValues.__match_args__}
    Ko().write(tmp_path / "lib/modules/6.1.0/kernel/forged.ko")
    summary = json.loads(command("depmod", ["--json", "-b", str(tmp_path), "6.1.0"]).out)
    assert json_members("depmod") == summary.keys() - {"schema"}
    place = ["-d", str(tmp_path), "-S", "6.1.0", "-C", "/var/empty"]
    (found,) = json.loads(command("modprobe", ["--json", "-D", *place, "forged"]).out)["plans"]
    (unknown,) = json.loads(command("modprobe", ["--json", "-qD", *place, "nosuch"]).out)["plans"]
    shown = {*documents.ConfigDocument.__match_args__, *documents.SymbolsDocument.__match_args__}
    assert json_members("modprobe") == found.keys() | found["steps"][0].keys() | shown
    assert json_members("insmod") == {"modules", *documents.Inserted.__match_args__}
    assert json_members("rmmod") == {"modules", *documents.Removed.__match_args__}
    assert json_members("kmod") == {*documents.NodesDocument.__match_args__}
    missing = section(text_of("pymodutils-json.5"), "Sh MODPROBE").partition("Something missing has\n")[2]
    assert unknown["missing"][0].keys() <= set(re.findall(r"\w+", missing))


# --- Python


def test_public_names() -> None:
    page = text_of("pymodutils.3")
    for name in pymodutils.__all__:
        assert re.search(rf"(?m)^(?:\.It (?:Vt|Fn)|\.Vt|\.Va) {name}\b", page), name


def test_members_of_public_classes() -> None:
    words = set(re.findall(r"\w+", text_of("pymodutils.3")))
    for name in pymodutils.__all__:
        thing = getattr(pymodutils, name)
        if isinstance(thing, type):
            members = set(thing.__match_args__) if issubclass(thing, Record) else set(vars(thing))
            members |= {member for member, value in vars(thing).items() if callable(value)}
            public = {member for member in members if not member.startswith("_")} - {"of"}
            assert public <= words, name


def test_reference_is_what_the_docstrings_say() -> None:
    """`man/reference.py` makes it."""
    done = subprocess.run(
        [sys.executable, "-c", "import runpy; print(runpy.run_path('man/reference.py')['current_page'](), end='')"],
        cwd=REPO, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout == text_of("pymodutils.3")


def test_kinds_of_errors() -> None:
    text = section(text_of("pymodutils.3"), "Sh EXCEPTIONS")
    kinds = {name for name, value in vars(errors).items() if isinstance(value, type)}
    assert kinds <= set(re.findall(r"\w+", text))


def test_example_programs_are_valid() -> None:
    blocks = re.findall(r"(?ms)^\.Bd -literal.*?\n(.*?)^\.Ed$", section(text_of("pymodutils.3"), "Sh EXAMPLES"))
    assert blocks
    for block in blocks:
        compile(block, "example", "exec")


# --- installation


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where `make install` has put everything."""
    need(shutil.which("make"), "make")
    folder = tmp_path_factory.mktemp("installed")
    make = ["make", "-s", "-f", "packaging.mk", "install-files", "install-links"]
    subprocess.run([*make, f"DESTDIR={folder}", "PREFIX=/usr/local"], cwd=REPO, check=True)
    return folder


def test_make_install_puts_all_pages(installed: Path) -> None:
    for page in PAGES:
        assert installed.joinpath("usr/local/share/man", f"man{page.suffix[1]}", page.name).is_file()


def test_the_list_of_files_is_complete(installed: Path) -> None:
    """docs/install.md names everything that is installed, and nothing else."""
    table = (REPO / "docs/install.md").read_text().partition("| below PREFIX | |\n|---|---|\n")[2].partition("\n\n")[0]
    words = [word for row in table.splitlines() for word in re.findall(r"`([^`]+)`", row.split("|")[1])]
    expand = ["bash", "-c", f"printf '%s\\0' {' '.join(words)}"]
    named = subprocess.check_output(expand, cwd=installed / "usr/local", text=True).split("\0")[:-1]
    assert all(installed.joinpath("usr/local", name).exists() for name in named), named
    for path in installed.joinpath("usr/local").rglob("*"):
        name = str(path.relative_to(installed / "usr/local"))
        assert path.is_dir() or name in named or any(name.startswith(f"{other.rstrip('/')}/") for other in named), name
