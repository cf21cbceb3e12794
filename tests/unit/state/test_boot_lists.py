# SPDX-License-Identifier: LGPL-2.1-or-later
"""What loads or refuses modules besides modprobe.d: modules-load.d, udev rules, the kernel command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from pymodutils.formats.cmdline import BootRule, parse_boot_rules
from pymodutils.formats.modulesload import parse_modules_load
from pymodutils.formats.udevrules import parse_udev_rules
from pymodutils.roots import Roots
from pymodutils.state.config import read_config
from pymodutils.state.modulesload import read_modules_load
from pymodutils.state.udevrules import read_udev_loads


def lay(root: Path, files: dict[str, str]) -> Roots:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if text.startswith("-> "):
            path.symlink_to(text[3:])
        else:
            path.write_text(text)
    return Roots.of_system(str(root))


# --- the kernel command line


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("ro quiet", []),
        ("module_blacklist=a,b-c", [("module_blacklist", "a", True), ("module_blacklist", "b-c", True)]),
        ("module-blacklist=a", [("module_blacklist", "a", True)]),
        ('module_blacklist="a,,b"', [("module_blacklist", "a", True), ("module_blacklist", "b", True)]),
        ('"module_blacklist=a b"', [("module_blacklist", "a b", True)]),
        ('module_blacklist="a', [("module_blacklist", "a", True)]),
        (
            "module_blacklist=a module_blacklist=b",
            [("module_blacklist", "a", False), ("module_blacklist", "b", True)],
        ),
        (
            "initcall_blacklist=f initcall_blacklist=g",
            [("initcall_blacklist", "f", True), ("initcall_blacklist", "g", True)],
        ),
        ("modules_load=x,y -- module_blacklist=a", [("modules_load", "x", True), ("modules_load", "y", True)]),
        ("x.module_blacklist=a module_blacklist", []),
        (
            f"module_blacklist=a module_blacklist={'x' * 1022},b",
            [("module_blacklist", "a", False), ("module_blacklist", "x" * 1022, True), ("module_blacklist", "b", True)],
        ),
        (
            f"module_blacklist=a module_blacklist={'x' * 1023},b",
            [
                ("module_blacklist", "a", True),
                ("module_blacklist", "x" * 1023, False),
                ("module_blacklist", "b", False),
            ],
        ),
    ],
)
def test_boot_rules(line: str, expected: list[tuple[str, str, bool]]) -> None:
    rules = parse_boot_rules(line.encode() + b"\n")
    assert rules == [BootRule(parameter, name, "/proc/cmdline", effective) for parameter, name, effective in expected]


# --- modules-load.d


def test_lines_of_modules_load() -> None:
    data = b"# c\nloop\n\n  snd-seq\t\n;c\n #c\nparport_pc io=0x378\r\n\xff"
    assert list(parse_modules_load(data)) == [(2, "loop"), (4, "snd-seq"), (7, "parport_pc io=0x378"), (8, "\udcff")]


def test_modules_load_files_shadow_one_another_by_name_and_are_read_by_name(tmp_path: Path) -> None:
    roots = lay(tmp_path, {
        "usr/lib/modules-load.d/20-b.conf": "b",
        "usr/lib/modules-load.d/10-x.conf": "shipped",
        "run/modules-load.d/30-c.conf": "c one=1",
        "etc/modules-load.d/10-x.conf": "own",
        "etc/modules-load.d/off": "not read",
    })  # fmt: skip
    found = read_modules_load(roots, "modules_load=early")
    assert [(line.text, line.line) for line in found.lines] == [("early", 0), ("own", 1), ("b", 1), ("c one=1", 1)]
    assert (found.lines[3].name, found.lines[3].arguments) == ("c", "one=1")
    assert found.lines[1].origin == f"{tmp_path}/etc/modules-load.d/10-x.conf:1"
    assert [(pair.file, pair.by) for pair in found.shadowed] == [
        (f"{tmp_path}/usr/lib/modules-load.d/10-x.conf", f"{tmp_path}/etc/modules-load.d/10-x.conf")
    ]
    assert not found.problems


@pytest.mark.parametrize("linked", [True, False])
def test_etc_modules_is_read_once_and_by_systemd_only_through_a_link(tmp_path: Path, *, linked: bool) -> None:
    files = {"etc/modules": "loop max_loop=4\n", "etc/modules-load.d/z.conf": "z"}
    if linked:
        files["etc/modules-load.d/modules.conf"] = "-> ../modules"
    found = read_modules_load(lay(tmp_path, files))
    assert sorted((line.text, line.by_systemd) for line in found.lines) == [("loop max_loop=4", linked), ("z", True)]


def test_what_cannot_be_read_is_a_problem_and_the_rest_is_read(tmp_path: Path) -> None:
    roots = lay(tmp_path, {"etc/modules-load.d/a.conf": "-> nowhere", "etc/modules-load.d/b.conf": "b"})
    (tmp_path / "etc/modules").mkdir()
    found = read_modules_load(roots)
    assert [line.text for line in found.lines] == ["b"]
    assert [problem.file for problem in found.problems] == [
        f"{tmp_path}/etc/modules-load.d/a.conf", f"{tmp_path}/etc/modules",
    ]  # fmt: skip


# --- udev rules

DRIVERS = """
# do not edit
ACTION!="add", GOTO="drivers_end"
ENV{MODALIAS}=="?*", RUN{builtin}+="kmod load '$env{MODALIAS}'"
SUBSYSTEM=="tifm", ENV{TIFM_CARD_TYPE}=="SD", \\
# between
  RUN{builtin}+="kmod load tifm_sd"
SUBSYSTEM=="memstick", RUN{builtin}="kmod load mspro_block ms_block"
KERNEL=="x", RUN+="/sbin/modprobe -q parport_pc io=1"
KERNEL=="y", IMPORT{builtin}="kmod load"
KERNEL=="z", RUN+="/sbin/modprobe -r gone", RUN+="/bin/echo kmod load no", RUN{builtin}+="kmod list"
LABEL="drivers_end"
"""


def test_udev_rules_that_load(tmp_path: Path) -> None:
    found = read_udev_loads(lay(tmp_path, {"usr/lib/udev/rules.d/80-drivers.rules": DRIVERS}))
    assert [(load.line, load.modules, load.by_modalias, load.builtin, load.condition) for load in found.loads] == [
        (4, (), True, True, 'ENV{MODALIAS}=="?*"'),
        (5, ("tifm_sd",), False, True, 'SUBSYSTEM=="tifm", ENV{TIFM_CARD_TYPE}=="SD"'),
        (8, ("mspro_block", "ms_block"), False, True, 'SUBSYSTEM=="memstick"'),
        (9, ("parport_pc",), False, False, 'KERNEL=="x"'),
        (10, (), True, True, 'KERNEL=="y"'),
    ]
    assert found.loads[1].origin == f"{tmp_path}/usr/lib/udev/rules.d/80-drivers.rules:5"
    assert not found.problems


def test_udev_rule_files_shadow_one_another(tmp_path: Path) -> None:
    rule = 'RUN{builtin}="kmod load %s"'
    found = read_udev_loads(lay(tmp_path, {
        "usr/lib/udev/rules.d/50-a.rules": rule % "shipped",
        "etc/udev/rules.d/50-a.rules": rule % "own",
        "etc/udev/rules.d/60-b.conf": rule % "unread",
    }))  # fmt: skip
    assert [load.modules for load in found.loads] == [("own",)]
    assert len(found.shadowed) == 1


@pytest.mark.parametrize("line", ["RUN", "RUN=x", 'RUN{a="x"', 'RUN="x', '="x"', 'A=="b" nonsense'])
def test_a_line_that_is_no_udev_rule_is_left_out_whole(line: str) -> None:
    rules, problems = parse_udev_rules(f'A="1"\n\n{line}\nB="2"\n'.encode(), "f")
    assert [rule.tokens[0].key for rule in rules] == ["A", "B"]
    assert [(problem.file, problem.line) for problem in problems] == [("f", 3)]


def test_quotes_within_a_value() -> None:
    (rule,), _ = parse_udev_rules(b'A=="x\\"y", B=i"z"', "f")
    assert [token.value for token in rule.tokens] == ['x"y', "z"]


# --- links in another system


def test_links_of_another_system_lead_to_its_own_files(tmp_path: Path) -> None:
    """An absolute link would lead to this system's."""
    root = tmp_path / "image"
    roots = lay(root, {
        "usr/share/a": "blacklist a", "usr/share/b": "b", "usr/share/c": 'RUN{builtin}="kmod load c"',
        "etc/modprobe.d/a.conf": "-> /etc/alternatives/a", "etc/alternatives/a": "-> ../../usr/share/a",
        "etc/modules-load.d/b.conf": "-> /usr/share/b", "usr/share/modules": "d x=1",
        "etc/modules-load.d/z.conf": "-> /etc/modules", "etc/modules": "-> /usr/share/modules",
        "etc/udev/rules.d": "-> /usr/share/rules", "usr/share/rules/c.rules": "-> ../c",
        "etc/modprobe.d/ring.conf": "-> ring.conf", "etc/modprobe.d/out.conf": "-> ../../../../../outside",
    })  # fmt: skip
    (tmp_path / "outside").write_text("blacklist escaped")
    (root / "outside").write_text("blacklist o")
    config = read_config(roots, command_line=False)
    assert [rule.key for rule in config.rules] == ["a", "o"]
    assert [problem.file for problem in config.problems] == [f"{root}/etc/modprobe.d/ring.conf"]
    assert [(line.text, line.by_systemd) for line in read_modules_load(roots).lines] == [("b", True), ("d x=1", True)]
    assert [load.modules for load in read_udev_loads(roots).loads] == [("c",)]
