# SPDX-License-Identifier: LGPL-2.1-or-later
"""kmod config: which rules count, what shadows what, where each stands; text and JSON."""

from __future__ import annotations

from pathlib import Path

import pytest

from pymodutils import Context, Roots
from pymodutils.diagnosis.rules import RuleStatus
from pymodutils.verbs.config import config
from tests.support.common import run_inside
from tests.support.forgedsystem import forge_system, lay_files
from tests.support.schemas import check_document

MODULES = {
    "loop": ["alias=block-major-7-*"],
    "soft": ["softdep=pre: loop", "softdep=post: loop"],
    "snd-x": [],
}


@pytest.fixture
def roots(tmp_path: Path) -> Roots:
    return forge_system(tmp_path, MODULES, builtin=["ext4"])


def shown(roots: Roots, files: dict[str, str], *names: str) -> list[str]:
    """Each rule in one line: kind, key, value, place, `+` if it counts, `-` if not, and what counts in its place."""
    lay_files(Path(roots.base), files)
    return [_line(rule, roots) for rule in config(Context(roots), names).rules]


def _line(rule: RuleStatus, roots: Roots) -> str:
    sign = {True: "+", False: "-", None: "?"}[rule.effective]
    words = [rule.kind, rule.key, rule.value, rule.origin, sign, rule.shadowed_by.origin if rule.shadowed_by else ""]
    text = " ".join(word for word in words if word)
    return text.replace(f"{roots.modules}/", "").replace(f"{roots.base}/etc/modprobe.d/", "").replace(roots.base, "")


SHIPPED = [
    "softdep soft pre: loop modules.softdep:2 +",
    "softdep soft post: loop modules.softdep:3 - modules.softdep:2",
]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("blacklist a\nblacklist a", ["blacklist a a.conf:1 +", "blacklist a a.conf:2 +"]),
        ("options a x=1\noptions a x=2", ["options a x=1 a.conf:1 +", "options a x=2 a.conf:2 +"]),
        ("alias a loop\nalias a snd-x", ["alias a loop a.conf:1 +", "alias a snd_x a.conf:2 +"]),
        ("install a x\ninstall a y", ["install a x a.conf:1 +", "install a y a.conf:2 - a.conf:1"]),
        ("remove a x\ninstall a y", ["install a y a.conf:2 +", "remove a x a.conf:1 +"]),
        ("install a* x\ninstall ab y", ["install a* x a.conf:1 +", "install ab y a.conf:2 - a.conf:1"]),
        ("install ab y\ninstall a* x", ["install ab y a.conf:1 +", "install a* x a.conf:2 +"]),
        ("install * y\ninstall a* x", ["install * y a.conf:1 +", "install a* x a.conf:2 - a.conf:1"]),
        ("weakdep a b\nweakdep a c", ["weakdep a b a.conf:1 +", "weakdep a c a.conf:2 - a.conf:1"]),
        ("softdep loop pre: soft\ninstall loop x",
         ["install loop x a.conf:2 - a.conf:1", "softdep loop pre: soft a.conf:1 +"]),
        ("softdep loop pre: no\ninstall loop x", ["install loop x a.conf:2 +", "softdep loop pre: no a.conf:1 +"]),
        ("install ext4 x", ["install ext4 x a.conf:1 -"]),
        ("options ext4 x=1\nremove ext4 x", ["remove ext4 x a.conf:2 +", "options ext4 x=1 a.conf:1 -"]),
        ("softdep ext4 pre: loop\nblacklist ext4", ["blacklist ext4 a.conf:2 -", "softdep ext4 pre: loop a.conf:1 +"]),
        ("install ext* x", ["install ext* x a.conf:1 +"]),
        ("softdep loop pre:\ninstall loop x", ["install loop x a.conf:2 +", "softdep loop pre: a.conf:1 +"]),
    ],
)  # fmt: skip
def test_which_rules_count(roots: Roots, text: str, expected: list[str]) -> None:
    found = shown(roots, {"etc/modprobe.d/a.conf": text})
    assert [line for line in found if line not in SHIPPED] == expected


def test_modules_softdep_takes_part_under_its_name(roots: Roots) -> None:
    files = {"etc/modprobe.d/00.conf": "softdep soft pre:", "etc/modprobe.d/t.conf": "softdep soft pre: snd-x"}
    assert shown(roots, files) == [
        "softdep soft pre: 00.conf:1 +",
        "softdep soft pre: loop modules.softdep:2 - 00.conf:1",
        "softdep soft post: loop modules.softdep:3 - 00.conf:1",
        "softdep soft pre: snd-x t.conf:1 - 00.conf:1",
    ]


EVERYWHERE = {
    "etc/modprobe.d/a.conf": "install lo* x\ninstall loop y\nalias my-loop loop\noptions block-major-7-1 q=1\n",
    "etc/modules-load.d/l.conf": "block-major-7-0\nsnd-x\n",
    "etc/modules": "loop max_loop=1\n",
    "usr/lib/udev/rules.d/8.rules": 'KERNEL=="a", RUN{builtin}+="kmod load loop snd_x"\nRUN{builtin}="kmod load"\n',
    "proc/cmdline": "modprobe.blacklist=loop,snd-x module_blacklist=loop module_blacklist=lo-op,snd_x"
                    " ext4.x=1 modprobe.blacklist=ext4"
                    " initcall_blacklist=f modules_load=loop\n",
}  # fmt: skip


def test_all_lists_are_read_each_with_its_place(roots: Roots) -> None:
    found = shown(roots, EVERYWHERE)
    assert [line for line in found if line not in SHIPPED] == [
        "blacklist loop /proc/cmdline +",
        "blacklist snd-x /proc/cmdline -",
        "blacklist ext4 /proc/cmdline -",
        "install lo* x a.conf:1 +",
        "install loop y a.conf:2 - a.conf:1",
        "alias my_loop loop a.conf:3 +",
        "options block_major_7_1 q=1 a.conf:4 +",
        "options ext4 x=1 /proc/cmdline +",
        "modules-load block-major-7-0 /etc/modules-load.d/l.conf:1 +",
        "modules-load snd-x /etc/modules-load.d/l.conf:2 +",
        "modules-load loop max_loop=1 /etc/modules:1 ?",
        'udev loop KERNEL=="a" /usr/lib/udev/rules.d/8.rules:1 +',
        'udev snd_x KERNEL=="a" /usr/lib/udev/rules.d/8.rules:1 +',
        "udev MODALIAS /usr/lib/udev/rules.d/8.rules:2 +",
        "module_blacklist loop /proc/cmdline - /proc/cmdline",
        "module_blacklist lo-op /proc/cmdline -",
        "module_blacklist snd_x /proc/cmdline +",
        "initcall_blacklist f /proc/cmdline +",
        "modules-load loop /proc/cmdline +",
    ]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("loop", [
            "blacklist loop /proc/cmdline +",
            "install lo* x a.conf:1 +",
            "install loop y a.conf:2 - a.conf:1",
            "alias my_loop loop a.conf:3 +",
            "modules-load block-major-7-0 /etc/modules-load.d/l.conf:1 +",
            "modules-load loop max_loop=1 /etc/modules:1 ?",
            'udev loop KERNEL=="a" /usr/lib/udev/rules.d/8.rules:1 +',
            "module_blacklist loop /proc/cmdline - /proc/cmdline",
            "modules-load loop /proc/cmdline +",
        ]),
        ("snd-x", [
            "blacklist snd-x /proc/cmdline -",
            "modules-load snd-x /etc/modules-load.d/l.conf:2 +",
            'udev snd_x KERNEL=="a" /usr/lib/udev/rules.d/8.rules:1 +',
            "module_blacklist snd_x /proc/cmdline +",
        ]),
        ("block-major-7-1", [
            "blacklist loop /proc/cmdline +",
            "install lo* x a.conf:1 +",
            "install loop y a.conf:2 - a.conf:1",
            "alias my_loop loop a.conf:3 +",
            "options block_major_7_1 q=1 a.conf:4 +",
            "modules-load block-major-7-0 /etc/modules-load.d/l.conf:1 +",
            "modules-load loop max_loop=1 /etc/modules:1 ?",
            'udev loop KERNEL=="a" /usr/lib/udev/rules.d/8.rules:1 +',
            "module_blacklist loop /proc/cmdline - /proc/cmdline",
            "modules-load loop /proc/cmdline +",
        ]),
        ("nothing", []),
        ("a[", []),
    ],
)  # fmt: skip
def test_rules_about_a_name(roots: Roots, name: str, expected: list[str]) -> None:
    assert shown(roots, EVERYWHERE, name) == expected


def test_a_pattern_counts_for_the_names_that_no_earlier_rule_has(roots: Roots) -> None:
    files = {"etc/modprobe.d/a.conf": "install loop y\ninstall * x\n"}
    assert shown(roots, files, "loop") == ["install loop y a.conf:1 +", "install * x a.conf:2 - a.conf:1"]
    assert shown(roots, files, "snd-x") == ["install * x a.conf:2 +"]


def test_of_another_system_the_kernel_command_line_is_not_known(roots: Roots) -> None:
    lay_files(Path(roots.base), EVERYWHERE)
    found = config(Context(Roots.of_system(roots.base, roots.release))).rules
    assert found and not [rule for rule in found if rule.file.endswith("cmdline")]


def test_files_and_those_that_shadow_them(roots: Roots) -> None:
    lay_files(Path(roots.base), {
        "etc/modprobe.d/a.conf": "", "usr/lib/modprobe.d/a.conf": "", "lib/modprobe.d/b.conf": "",
        "run/modules-load.d/m.conf": "x", "usr/lib/modules-load.d/m.conf": "x",
        "usr/lib/udev/rules.d/1.rules": "", "etc/udev/rules.d/1.rules": "",
    })  # fmt: skip
    files = {file.file.replace(roots.base, ""): file.shadowed_by for file in config(Context(roots)).files}
    assert files.pop("/usr/lib/modprobe.d/a.conf") == f"{roots.base}/etc/modprobe.d/a.conf"
    assert files.pop("/usr/lib/modules-load.d/m.conf") == f"{roots.base}/run/modules-load.d/m.conf"
    assert files.pop("/usr/lib/udev/rules.d/1.rules") == f"{roots.base}/etc/udev/rules.d/1.rules"
    assert not any(files.values())
    assert {"/etc/modprobe.d/a.conf", "/lib/modprobe.d/b.conf", "/run/modules-load.d/m.conf"} <= files.keys()


def test_what_cannot_be_read_makes_the_answer_uncertain(roots: Roots) -> None:
    lay_files(Path(roots.base), {"etc/modprobe.d/a.conf": "-> nowhere", "etc/modules-load.d/b.conf": "-> nowhere"})
    done = run_inside("kmod", ["config", "--json"], roots)
    document = check_document(done.out)
    assert [error["file"].replace(roots.base, "") for error in document["errors"]] == [
        "/etc/modprobe.d/a.conf", "/etc/modules-load.d/b.conf",
    ]  # fmt: skip
    assert done.status == 2


@pytest.mark.parametrize(("names", "expected"), [([], 0), (["loop"], 0), (["nothing"], 1), (["nothing", "loop"], 0)])
def test_exit_status(roots: Roots, names: list[str], expected: int) -> None:
    lay_files(Path(roots.base), {"etc/modprobe.d/a.conf": "blacklist loop"})
    assert run_inside("kmod", ["config", *names], roots).status == expected


def test_a_name_that_nothing_knows_has_similar_ones(roots: Roots) -> None:
    done = run_inside("kmod", ["config", "lopp"], roots)
    assert (done.status, done.out) == (1, b"no rule about lopp\nsimilar names: loop\n")
    assert config(Context(roots), ["ext4", "block-major-7-0"]).similar == ()


def test_of_a_symbol_another_index_knows(roots: Roots) -> None:
    Path(roots.modules, "modules.symbols.bin").unlink()
    assert not config(Context(roots), ["loop"]).errors
    (error,) = config(Context(roots), ["symbol:x"]).errors
    assert "no usable modules.symbols.bin" in error.text


def test_text(roots: Roots) -> None:
    lay_files(Path(roots.base), {"usr/lib/modprobe.d/a.conf": "install gone x"})
    lay_files(Path(roots.base), {"etc/modprobe.d/a.conf": "install loop x\ninstall loop y\n# c\ninstall loop y"})
    lay_files(Path(roots.base), {"etc/modprobe.d/b.conf": "install loop z\nblacklist a\x07\n"})
    done = run_inside("kmod", ["config"], roots)
    text = done.out.decode().replace(f"{roots.base}", "")
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert lines[:6] == [
        "RULE ABOUT VALUE PLACE NOTE",
        "blacklist a\\x07 /etc/modprobe.d/b.conf:2",
        "install loop x /etc/modprobe.d/a.conf:1 shadows line 2, line 4, /etc/modprobe.d/b.conf:1",
        "install loop y /etc/modprobe.d/a.conf:2 does not count: line 1 does",
        "install loop y /etc/modprobe.d/a.conf:4 does not count: line 1 does",
        "install loop z /etc/modprobe.d/b.conf:1 does not count: /etc/modprobe.d/a.conf:1 does",
    ]
    assert "/usr/lib/modprobe.d/a.conf shadowed by /etc/modprobe.d/a.conf" in lines
    assert done.err == b""


def test_documents_match_their_schema(roots: Roots) -> None:
    lay_files(Path(roots.base), EVERYWHERE)
    for names in ([], ["loop"], ["nothing"]):
        report = config(Context(roots), names)
        check_document(report.to_json())
        assert run_inside("kmod", ["config", "--json", *names], roots).out.decode() == report.to_json()
