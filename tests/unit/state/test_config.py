# SPDX-License-Identifier: LGPL-2.1-or-later
"""modprobe.d, depmod.d and the kernel command line: grammar, precedence, merge, places; random input."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pymodutils.formats.cmdline import parse_kernel_command_line
from pymodutils.formats.depmodconf import parse_depmod_conf
from pymodutils.formats.fnmatch import fnmatch
from pymodutils.formats.modprobeconf import parse_modprobe_conf
from pymodutils.formats.rulefile import FOUND_BY_KEY, RuleFile
from pymodutils.roots import Roots
from pymodutils.state.config import read_config
from pymodutils.state.configdirs import config_files
from pymodutils.state.modulesload import read_modules_load
from tests.support.common import run_inside


def shown(text: str) -> list[str]:
    """Each rule of a modprobe.d text as `modprobe -c` shows it."""
    return [rule.render() for rule in parse_modprobe_conf(text.encode(), "f")[0]]


@pytest.mark.parametrize(
    ("text", "rules"),
    [
        ("alias a-b c-d", ["alias a_b c_d"]),
        ("alias a-[b-c] m", ["alias a_[b-c] m"]),
        ("blacklist snd-x", ["blacklist snd_x"]),
        ("options m-x a=1\tb=2", ["options m_x a=1 b=2"]),
        ("install m /bin/true $CMDLINE_OPTS", ["install m /bin/true $CMDLINE_OPTS"]),
        ("softdep xfs pre: a b post: c", ["softdep xfs pre: a bpost: c"]),
        ("softdep cifs x", ["softdep cifs "]),
        ("options m a=C:\\dir", ["options m a=C:dir"]),
        ("options m a=1 \\\nb=2", ["options m a=1 b=2"]),
        ("# x\\\nblacklist gone\nblacklist b", ["blacklist b"]),
        ("weakdep m a b", ["weakdep m a b"]),
    ],
)
def test_rules(text: str, rules: list[str]) -> None:
    assert shown(text) == rules


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("nonsense a b", [("nonsense", 1)]),
        ("\nalias a", [("alias", 2)]),
        ("  # indented", [("#", 1)]),
        ("alias a[ b", [("alias", 1)]),
        ("include x", [("include", 1)]),
        ("blacklist", [("blacklist", 1)]),
    ],
)
def test_bad_lines_are_named_with_their_place(text: str, problems: list[tuple[str, int]]) -> None:
    rules, found = parse_modprobe_conf(text.encode(), "f")
    assert rules == []
    assert [(problem.subject, problem.line) for problem in found] == problems
    assert {problem.file for problem in found} == {"f"}


@pytest.mark.parametrize(
    ("text", "rules"),
    [
        ("modprobe.blacklist=a,b-c,", ["blacklist a", "blacklist b-c", "blacklist "]),
        ("quiet loop.max_loop=3 ro", ["options loop max_loop=3"]),
        ("x.y", ["options x y"]),
        ('"m.q=a b"', ['options m q="a b"']),
        ('m.q="a b" z.w=1', ['options m q="a b"', "options z w=1"]),
        ("a.b.c=d", []),
        ("root=/dev/x.y", []),
        ("init=/x -- m.p=1", ["options m p=1"]),
    ],
)
def test_kernel_command_line(text: str, rules: list[str]) -> None:
    found, problems = parse_kernel_command_line(text.encode() + b"\n")
    assert [rule.render() for rule in found] == rules
    assert not problems


@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [
        ("a\\\\b", "ab", True),  # two in the file are one in the pattern, which makes the next character plain
        ("a\\\\b", "a\\b", False),
        ("a\\\\*", "a*", True),
        ("a\\\\*", "ab", False),
        ("a\\b", "ab", True),
        ("a?", "ab", True),
        ("a[bc]", "ac", True),
        ("a*", "a", True),
        ("a", "ab", False),
    ],
)
def test_patterns_of_aliases(tmp_path: Path, pattern: str, text: str, matches: bool) -> None:
    (tmp_path / "a.conf").write_text(f"alias {pattern} m\n")
    config = read_config(Roots(base=str(tmp_path), proc=str(tmp_path)), [str(tmp_path)])
    assert [rule.text for rule in config.aliases(text)] == ["m"] * matches


@pytest.mark.parametrize("name", ["k[", "k]", "[a", "x[b]]"])
def test_a_bad_module_name_on_the_kernel_command_line_is_a_problem(name: str) -> None:
    rules, problems = parse_kernel_command_line(f"{name}.b=1 loop.c=2\n".encode(), "/p")
    assert [rule.render() for rule in rules] == ["options loop c=2"]
    assert [(problem.subject, problem.file) for problem in problems] == [(name, "/p")]


@pytest.mark.parametrize(
    ("text", "rules", "bad"),
    [
        ("search updates built-in", [("search", ["updates", "built-in"])], []),
        (
            "override m * extra\nexternal .* /opt/m",
            [("override", ["m", "*", "extra"]), ("external", [".*", "/opt/m"])],
            [],
        ),
        ("exclude a b\nmake_map_files no\ninclude x", [("exclude", ["a", "b"])], []),
        ("override m * a # why\nsearch", [("override", ["m", "*", "a"]), ("search", [])], []),
        ("override m *\nfrobnicate\nexternal *", [], ["override", "frobnicate", "external"]),
    ],
)
def test_depmod_rules(text: str, rules: list[tuple[str, list[str]]], bad: list[str]) -> None:
    found, problems = parse_depmod_conf(text.encode(), "f")
    assert [(rule.kind, rule.words) for rule in found] == rules
    assert [problem.subject for problem in problems] == bad


def test_an_earlier_directory_hides_a_name_and_names_order_the_rest(tmp_path: Path) -> None:
    for name in ("etc/b.conf", "lib/a.conf", "lib/b.conf", "lib/.hidden.conf", "lib/not.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "lib/dir.conf").mkdir()
    (tmp_path / "lib/dangling.conf").symlink_to("nowhere")
    found = config_files([str(tmp_path / "etc"), str(tmp_path / "lib"), str(tmp_path / "none")])
    assert [Path(path).relative_to(tmp_path).as_posix() for path in found.files] == ["lib/a.conf", "etc/b.conf"]
    assert sorted(Path(problem.file or "").name for problem in found.problems) == ["dangling.conf", "dir.conf"]


def test_pipes_are_left_out_but_for_one_that_was_chosen(tmp_path: Path) -> None:
    """Also in the place of a directory, where modprobe would wait for it at boot."""
    pipes = [tmp_path / "etc/modprobe.d", tmp_path / "lib/modprobe.d/x.conf", tmp_path / "rules"]
    for pipe in pipes:
        pipe.parent.mkdir(exist_ok=True, parents=True)
        os.mkfifo(pipe)
    assert config_files([f"{tmp_path}/etc/modprobe.d", f"{tmp_path}/lib/modprobe.d"]).files == ()
    assert config_files([f"{tmp_path}/rules"]).files == (f"{tmp_path}/rules",)


def test_merge_keeps_order_and_places(tmp_path: Path) -> None:
    roots = Roots(base=str(tmp_path), release="6.1", config_root=str(tmp_path), proc=str(tmp_path / "proc"))
    files = {
        "etc/modprobe.d/a.conf": "options m a=1\nsoftdep m pre: x\n",
        "lib/modprobe.d/z.conf": "\noptions m z=1\n",
        "lib/modules/6.1/modules.softdep": "# c\nsoftdep m pre: late\nsoftdep n pre: y\n",
        "proc/cmdline": "m.k=1\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    config = read_config(roots)
    assert [rule.text for rule in config.options("m", None)] == ["a=1", "z=1", "k=1"]
    assert config.options("m", None)[1].origin == f"{tmp_path}/lib/modprobe.d/z.conf:2"
    first = config.first("softdep", "m")
    assert first
    assert first.softdeps() == (["x"], [])
    assert config.first("softdep", "n")


@given(st.binary(max_size=200))
def test_any_bytes_give_rules_or_problems(data: bytes) -> None:
    parse_modprobe_conf(data, "f")
    parse_depmod_conf(data, "f")
    parse_kernel_command_line(data)


@given(st.text(alphabet="aliasoptn sdep\t\\\n#[]=\"'.-", max_size=200))
def test_nearly_right_text_gives_rules_or_problems(text: str) -> None:
    parse_modprobe_conf(text.encode(), "f")
    parse_depmod_conf(text.encode(), "f")
    parse_kernel_command_line(text.encode())


# --- carriage returns


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (b"blacklist a\r\n", 1),
        (b"# comment\r\nblacklist a\nblacklist b\r\nblacklist c\r\n", 3),
        (b"# comment\r\nblacklist a\n", None),
        (b"blacklist a\rb\n", None),
        (b"blacklist a\r", 1),
    ],
)
def test_lines_that_end_in_a_carriage_return_are_told_of_once(tmp_path: Path, text: bytes, line: int | None) -> None:
    path = tmp_path / "a.conf"
    path.write_bytes(text)
    config = read_config(Roots(release="none"), [str(path)], command_line=False)
    found = [problem for problem in config.problems if problem.code == "carriage-return"]
    assert [(problem.severity, problem.file, problem.line) for problem in found] == (
        [("warning", str(path), line)] if line else []
    )


@pytest.mark.parametrize(("words", "told"), [([], True), (["-q"], False)])
def test_modprobe_says_that_such_rules_do_not_hold(tmp_path: Path, words: list[str], told: bool) -> None:
    path = tmp_path / "a.conf"
    path.write_bytes(b"install thing /bin/true\nblacklist a\r\n")
    done = run_inside("modprobe", [*words, "-D", "-C", str(path), "thing"], Roots(base=str(tmp_path), release="none"))
    said = (
        f"modprobe: WARNING: {path} line 2: the line ends in a carriage return, which is taken for a part of the rule; "
        "see kmod lint\n"
    )
    assert (said.encode() in done.err) is told
    assert b"carriage" not in done.out


def test_depmod_says_that_such_rules_do_not_hold(tmp_path: Path) -> None:
    path = tmp_path / "a.conf"
    path.write_bytes(b"search updates built-in\r\n")
    (tmp_path / "lib/modules/1.2.3").mkdir(parents=True)
    done = run_inside("depmod", ["-b", str(tmp_path), "-C", str(path), "1.2.3"])
    assert (
        f"depmod: WARNING: {path}:1: the line ends in a carriage return, which is taken for a part of the rule\n"
    ).encode() in done.err


# --- rules found by module

KEYS = ["a", "a-b", "a_b", "usb*", "[ab]", "a?b", "", "b\t", "x[", "\\a"]
LINES = st.lists(
    st.builds(
        lambda start, kind, gap, key, rest: f"{start}{kind}{gap}{key}{rest}",
        st.sampled_from(["", "", "", " ", "\t", "#", "\r"]),
        st.sampled_from([*FOUND_BY_KEY, "alias", "options", "include", "nonsense", ""]),
        st.sampled_from([" ", " ", " ", "  ", "\t", ""]),
        st.sampled_from(KEYS),
        st.sampled_from(["", " ", " pre: b", " /bin/false", "  x", "\ty", " x \\", "\r"]),
    ),
    max_size=12,
)


@given(LINES)
def test_the_quick_reader_says_what_the_plain_one_says(lines: list[str]) -> None:
    data = "\n".join(lines).encode()
    rules, problems = parse_modprobe_conf(data, "f")
    part = RuleFile.parse(data, "f")
    assert (part.rules, part.problems) == (rules, problems)
    for kind in FOUND_BY_KEY:
        assert part.of(kind) == [rule for rule in rules if rule.kind == kind]
        for name in [*KEYS, "usbnet", "aab"]:
            mine = [rule for rule in rules if rule.kind == kind]
            assert part.literal(kind, name) == next((rule for rule in mine if rule.key == name), None)
            if kind != "blacklist":
                assert part.first(kind, name) == next((rule for rule in mine if fnmatch(rule.key, name)), None)


def test_the_first_rule_of_all_files_counts(tmp_path: Path) -> None:
    folder = tmp_path / "etc/modprobe.d"
    folder.mkdir(parents=True)
    (folder / "b.conf").write_text("install m second\nsoftdep m pre: x\n")
    (folder / "a.conf").write_text("install [a-m] first\ninstall m never\nblacklist z\n")
    config = read_config(Roots(base=str(tmp_path), config_root=str(tmp_path), proc=str(tmp_path)))
    assert [rule and rule.text for rule in (config.install("m"), config.softdep("m"), config.install("z"))] == [
        "first", "pre: x", None,
    ]  # fmt: skip
    assert config.blacklisted("z") and not config.blacklisted("m")
    assert [rule.text for rule in config.rules] == ["first", "never", "", "second", "pre: x"]


def test_a_link_to_dev_null_masks_a_file_in_an_image_without_devices(tmp_path: Path) -> None:
    """An image that is not running has an empty /dev, and its links mean the device all the same."""
    for place in ("etc/modprobe.d", "usr/lib/modprobe.d", "etc/modules-load.d", "usr/lib/modules-load.d"):
        (tmp_path / place).mkdir(parents=True)
    (tmp_path / "usr/lib/modprobe.d/a.conf").write_text("blacklist hidden\n")
    (tmp_path / "usr/lib/modprobe.d/b.conf").write_text("blacklist seen\n")
    (tmp_path / "usr/lib/modules-load.d/a.conf").write_text("hidden\n")
    (tmp_path / "etc/modprobe.d/a.conf").symlink_to("/dev/null")
    (tmp_path / "etc/modules-load.d/a.conf").symlink_to("../../dev/null")
    root = str(tmp_path)
    roots = Roots(base=root, release="1", config_root=root, proc=f"{root}/proc", sys=f"{root}/sys")
    config = read_config(roots)
    assert [rule.key for rule in config.rules] == ["seen"]
    assert not config.problems
    loads = read_modules_load(roots)
    assert (loads.lines, loads.problems) == ((), ())
    assert [shadowed.file for shadowed in loads.shadowed] == [f"{root}/usr/lib/modules-load.d/a.conf"]


def test_aliases_that_match_come_in_reading_order(tmp_path: Path) -> None:
    (file := tmp_path / "a.conf").write_text(
        "alias al* one\nalias al-x two\nalias a[lm]_x three\nalias al_x four\nalias al y\n"
    )
    config = read_config(Roots(base=str(tmp_path), release="6.1"), [str(file)], command_line=False)
    assert [rule.text for rule in config.aliases("al-x")] == ["one", "two", "three", "four"]
    assert [rule.text for rule in config.aliases("al")] == ["one", "y"]
    assert config.aliases("b") == []
