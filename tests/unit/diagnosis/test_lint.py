# SPDX-License-Identifier: LGPL-2.1-or-later
"""Lint rules off the kernel: what differential/test_lint.py does not compare with kmod, and the command."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from pymodutils import Context, Roots, deny
from pymodutils.cli.verbs.lint import workflow_command
from pymodutils.diagnosis.lint import LINT_RULES
from pymodutils.diagnosis.lint.sources import Finding
from pymodutils.diagnosis.lint.spelling import Spellings
from pymodutils.formats.parametervalues import refusal
from pymodutils.verbs.lint import lint
from tests.support.common import BIN, REPO, run_inside
from tests.support.forgedsystem import RELEASE, forge_system, lay_files, needing
from tests.support.images import archive
from tests.support.koforge import Ko
from tests.support.schemas import check_document, check_failure

CONF = "etc/modprobe.d/x.conf"
PARAMETERS = ["parmtype=number:int", "parmtype=flag:bool", "parmtype=list:array of int", "parm=bare:no type"]


@pytest.fixture
def roots(tmp_path: Path) -> Roots:
    modules: dict[str, Ko | Sequence[str]] = {
        "loop": ["alias=block-major-7-*"],
        "snd-x": PARAMETERS,
        "soft": ["softdep=pre: loop"],
        "top": needing("top", "base", strings=["alias=al-top"]),
        "base": needing("base"),
        "quiet": needing("quiet", "base"),
        "needy": needing("needy", "base", strings=["alias=al-needy", "softdep=pre: loop"]),
        "own": Ko(modinfo=["license=GPL"], extra_sections={b".rodata": b"\0secret_knob\0"}),
    }
    modinfo = b"ext4.parm=x:y\0ext4.parmtype=x:int\0"
    return forge_system(tmp_path, modules, builtin=["ext4"], builtin_modinfo=modinfo)


def found(roots: Roots, files: dict[str, str | bytes]) -> list[str]:
    """Each finding as LINE LEVEL RULE."""
    lay_files(Path(roots.base), files)
    return [f"{f.line} {f.level} {f.rule}" for f in lint(Context(roots)).findings]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("blacklist loop\nblacklist loop\n", []),
        ("options loop\n", ["1 error bad-line"]),
        ("remove loop /bin/a\nremove loop /bin/b\n", ["2 warning shadowed"]),
        ("weakdep loop top\nweakdep loop base\n", ["2 warning shadowed"]),
        ("softdep soft pre: loop base\n", ["1 warning shadowed"]),
        ("install top /bin/false\n", ["1 warning side-loads"]),
        ("install top /bin/false\nblacklist top\n", []),
        ("install quiet /bin/false\n", []),  # nothing asks for it by an alias
        ("alias q quiet\ninstall quiet /bin/false\n", ["2 warning side-loads"]),
        ("install top /sbin/modprobe --ignore-install top\n", []),
        ("install soft /sbin/modprobe -i soft\n", ["1 error install-ignored"]),
        ("install needy /bin/false\n", ["1 error install-ignored"]),  # so nothing else is loaded
        ("softdep bas* post: loop\ninstall base /sbin/modprobe -i base\n", ["2 error install-ignored"]),
        ("install my-name /sbin/modprobe loop\nalias a my-name\n", []),
        ("install my-name /bin/false\n", ["1 note unknown-module"]),
        ("blacklist nosuch\noptions nosuch a=1\nsoftdep loop post: nosuch2\n",
         ["1 note unknown-module", "2 note unknown-module", "3 note unknown-module"]),
        ("options block-major-7-1 x=1\n", ["1 warning unknown-parameter"]),
        ("softdep block-major-7-1 pre: top\n", ["1 warning unknown-module"]),
        ("blacklist ext4\noptions ext4 x=1\ninstall ext4 /bin/true\n",
         ["1 note builtin-module", "2 note builtin-module", "3 warning builtin-module"]),
        ("remove ext4 /bin/true\nsoftdep loop post: ext4\nsoftdep ext4 pre: snd-x\n", []),  # modprobe does all that
        ("options snd-x number=1 flag list=1,2 bare=q dyndbg=+p async_probe\n", []),
        ("options snd-x numbr=1\n", ["1 warning unknown-parameter"]),
        ("options snd-x number\n", ["1 error bad-value"]),
        ("options snd-x number=x flag=maybe list=1,,2\n", ["1 error bad-value"] * 3),
        ('options snd-x number="7" flag="y"\n', []),
        ("options own secret-knob=1\n", []),
        ("options own secre=1\n", ["1 warning unknown-parameter"]),
        ("options * x=1\nblacklist lo*\n", []),
        ("alias net-pf-1 off\nalias x null\n", []),
        ("include /x\n", ["1 warning bad-line"]),
        ("loop\n", ["1 error bad-line"]),
        ("a\\\\b c\n", ["1 error bad-line"]),
        ("options loop \\\n  \\\n  # c\n", ["3 warning unknown-parameter"] * 2),
        ("options snd-x bare=q\\\\\n", []),  # two backslashes stand for one, and no blank follows
        ("options snd-x bare=q\\ \n", ["1 warning backslash"]),
        ("blacklist a\rb\n", ["1 note unknown-module"]),
    ],
)  # fmt: skip
def test_findings(roots: Roots, text: str, expected: list[str]) -> None:
    assert found(roots, {CONF: text}) == expected


def test_a_file_with_carriage_returns_is_one_finding(roots: Roots) -> None:
    assert found(roots, {CONF: b"blacklist a\r\n\r\nnonsense\r\n# c\r\n"}) == ["1 error crlf"]


@pytest.mark.parametrize("mark", [b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff"])
def test_byte_order_marks(roots: Roots, mark: bytes) -> None:
    assert found(roots, {CONF: mark + b"nonsense\n"}) == ["1 error bom"]


@pytest.mark.parametrize(
    ("name", "level"),
    [("x", "warning"), ("x.conf~", "note"), ("x.conf.bak", "note"), ("README", None), ("x.conf.dpkg-dist", None),
     (".x.cnf", None), (".x.conf", None), ("x.conf", None)],
)  # fmt: skip
def test_names_of_files(roots: Roots, name: str, level: str | None) -> None:
    expected = [] if level is None else [f"None {level} not-conf"]
    assert found(roots, {f"etc/modprobe.d/{name}": ""}) == expected
    assert found(roots, {f"etc/modules-load.d/{name}": ""}) == expected * 2


def test_what_lies_where_distributions_put_it_is_a_note(roots: Roots) -> None:
    text = "blacklist looop\noptions snd-x numbr=1\nalias a nosuch\nsoftdep soft pre:\n"
    expected = ["unknown-module", "unknown-parameter", "alias-nowhere"]
    assert found(roots, {"usr/lib/modprobe.d/0.conf": text, "usr/lib/modules-load.d/a.conf": "nosuch\n"}) == [
        *(f"{number} note {rule}" for number, rule in enumerate([*expected, "softdep-replaces-shipped"], 1)),
        "1 note modules-load-absent",
    ]
    here = [line for line in found(roots, {CONF: text}) if "note" not in line]
    assert here == [f"{number} warning {rule}" for number, rule in enumerate(expected, 1)]


def test_lines_of_modules_load(roots: Roots) -> None:
    text = "loop\nal-top\next4\nlop\nloop max_loop=1\noptions loop x=1\n# c\n"
    assert found(roots, {"etc/modules-load.d/a.conf": text}) == [
        "4 warning modules-load-absent", "5 error wrong-place", "6 error wrong-place",
    ]  # fmt: skip


def test_etc_modules_of_an_init_script_may_have_parameters(roots: Roots) -> None:
    assert found(roots, {"etc/modules": "loop max_loop=1\ninstall loop x\n"}) == ["2 error wrong-place"]


def test_what_keeps_a_module_from_being_loaded_at_boot(roots: Roots) -> None:
    files = {
        "etc/modules-load.d/a.conf": "loop\nbase\ntop\nsoft\next4\n",
        "proc/cmdline": "module_blacklist=loop modprobe.blacklist=ext4",
        CONF: "install base /bin/false\nblacklist top\ninstall soft /bin/false\n",
    }
    lay_files(Path(roots.base), files)
    report = lint(Context(roots))
    denied = [finding for finding in report.findings if finding.rule == "modules-load-denied"]
    assert [finding.line for finding in denied] == [1, 2, 3]  # softdeps of `soft` switch its install line off
    related = [finding.related.text for finding in denied if finding.related]
    assert related == ["module_blacklist=loop", "install base /bin/false", "blacklist top"]


@pytest.mark.parametrize(
    ("inside", "has"),
    [({CONF: "# nothing yet\n"}, "an older copy of this"), ({"etc/modprobe.d/y.conf": ""}, "no copy of this")],
)
def test_what_an_image_has_of_a_file_is_said(roots: Roots, inside: dict[str, str], has: str) -> None:
    image = archive({f"lib/modules/{RELEASE}/kernel/loop.ko": "", **inside})
    lay_files(Path(roots.base), {CONF: "blacklist loop\n", f"boot/initrd.img-{RELEASE}": image})
    (finding,) = lint(Context(roots)).findings
    assert finding.rule == "initramfs-stale" and has in finding.text


def test_what_kmod_deny_wrote_trips_no_rule(roots: Roots) -> None:
    """Not even for a module that is builtin or not there: the policy holds for all kernels."""
    deny(Context(roots), ["ext4", "nosuch", "lopp", "soft", "top"], initrd="none")
    assert lint(Context(roots)).findings == ()
    path = Path(roots.base, "etc/modprobe.d/00-pymodutils-policy.conf")
    with path.open("a") as file:
        file.write("blacklist nosuch\n")  # now these are lines of somebody's own
    assert {finding.rule for finding in lint(Context(roots)).findings} == {"unknown-module", "builtin-module"}


def test_module_blacklist_with_a_dash(roots: Roots) -> None:
    assert found(roots, {"proc/cmdline": "module_blacklist=snd-x,loop modprobe.blacklist=a-b x.y=1"}) == [
        "None error cmdline-dash", "None error cmdline-dash",
    ]  # fmt: skip


def test_without_modules_lines_are_looked_at_all_the_same(roots: Roots) -> None:
    lay_files(Path(roots.base), {CONF: "nonsense\nblacklist lop\ninstall a x\ninstall a y\n"})
    done = run_inside("kmod", ["lint", "--json", "-S", "9.9"], roots)
    document = check_document(done.out)
    assert [finding["rule"] for finding in document["findings"]] == ["bad-line", "shadowed"]
    assert [error["file"] for error in document["errors"]] == [f"{roots.base}/lib/modules/9.9"]
    assert done.status == 2


# --- values and typing errors


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        ("bool", ["y", "N", "1", "0", "on", "off", "yes", "true", "f"], ["", "2", "enable", "o", "-1"]),
        (
            "int",
            ["0", "-1", "+1", "010", "0x7fffffff", "-2147483648"],
            ["", "1x", "08", "0x", "2147483648", "1 2", "--1"],
        ),
        ("uint", ["4294967295", "+1"], ["-1", "4294967296"]),
        ("byte", ["255"], ["256", "-1"]),
        ("short", ["-32768"], ["32768"]),
        ("ulong", ["0xffffffffffffffff"], ["0x10000000000000000", "-1"]),
        ("hexint", ["0xff", "10"], ["ff", "g"]),
        ("charp", ["", "anything"], []),
        ("array of int", ["1", "1,2,0x3"], ["1,x", ","]),
        ("array of charp", ["a,b", ""], []),
        ("a_type_of_its_own", ["what,ever"], []),
    ],
)
def test_values(kind: str, good: list[str], bad: list[str]) -> None:
    assert [value for value in good if refusal(kind, value)] == []
    assert [value for value in bad if not refusal(kind, value)] == []


@pytest.mark.parametrize(
    ("kind", "refused"), [("bool", False), ("int", True), ("charp", True), ("array of int", True), ("odd", False)]
)
def test_a_parameter_without_a_value(kind: str, refused: bool) -> None:
    assert bool(refusal(kind, None)) is refused


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("nouveau", ["nouveau"] * 0), ("nouvau", ["nouveau"]), ("nouveaux", ["nouveau"]), ("noveau", ["nouveau"]),
        ("nuoveau", ["nouveau"]), ("xouveau", ["nouveau"]), ("nvueau", []), ("snd_sb9", []), ("abd", []), ("", []),
    ],
)  # fmt: skip
def test_typing_errors(name: str, expected: list[str]) -> None:
    assert Spellings(["nouveau", "snd_sb8", "abc"] if name != "nouveau" else []).near(name) == expected


def test_a_long_name_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    spellings = Spellings(["nouveau"])
    monkeypatch.setattr("pymodutils.diagnosis.lint.spelling._shortened", None)
    assert spellings.near("x" * 1_000_000) == []


# --- the command


def test_text_json_and_github(roots: Roots) -> None:
    lay_files(Path(roots.base), {CONF: "install loop /bin/a\n# c\ninstall loop /bin/b\x07\n"})
    report = lint(Context(roots))
    place = f"{roots.base}/{CONF}"
    done = run_inside("kmod", ["lint"], roots)
    assert done.out.decode() == (
        f"{place}:3: warning: only the first install line for a module counts, and that is {place}:1: "
        "install loop /bin/a [shadowed]\n"
    )
    assert (done.status, done.err) == (1, b"")
    for words in (["--json"], ["--format=json"]):
        assert run_inside("kmod", ["lint", *words], roots).out.decode() == report.to_json()
    document = check_document(report.to_json())
    assert document["findings"] == [{
        "file": place, "line": 3, "level": "warning", "rule": "shadowed", "text": document["findings"][0]["text"],
        "related": {"file": place, "line": 1, "text": "install loop /bin/a"},
    }]  # fmt: skip
    assert run_inside("kmod", ["lint", "--format=github"], roots).out.startswith(
        f"::warning file={place},line=3,title=kmod lint%3A shadowed::only the first ".encode()
    )


def test_workflow_commands_are_escaped() -> None:
    finding = Finding("a:b,c%", None, "note", "not-conf", "50%\nof: it, all", None)
    assert workflow_command(finding) == (
        "::notice file=a%3Ab%2Cc%25,line=1,title=kmod lint%3A not-conf::50%25\\x0aof: it, all"
    )


@pytest.mark.parametrize(
    ("text", "expected"), [("", 0), ("blacklist loop\n", 0), ("blacklist nosuch\n", 0), ("nonsense\n", 1)]
)
def test_exit_status_counts_no_notes(roots: Roots, text: str, expected: int) -> None:
    lay_files(Path(roots.base), {CONF: text})
    assert run_inside("kmod", ["lint"], roots).status == expected


def test_the_list_of_rules(roots: Roots) -> None:
    done = run_inside("kmod", ["lint", "--rules"], roots)
    lines = done.out.decode().splitlines()
    assert [line.split()[0] for line in lines] == [rule.name for rule in LINT_RULES]
    assert done.status == 0
    for rule in LINT_RULES:
        assert f".It Ic {rule.name}\n" in (REPO / "man/kmod-lint.8").read_text()


@pytest.mark.parametrize("words", [["operand"], ["--format=yaml"], ["--rules", "--format=github"]])
def test_mistakes_in_the_call(roots: Roots, words: list[str]) -> None:
    done = run_inside("kmod", ["lint", *words], roots)
    assert (done.status, done.out) == (2, b"")
    assert done.err.count(b"\n") == 1


def test_the_list_of_rules_is_text(roots: Roots) -> None:
    done = run_inside("kmod", ["lint", "--rules", "--json"], roots)
    assert done.status == 2
    assert "--rules" in check_failure(done.out)["errors"][0]["text"]


def test_chosen_files_are_looked_at_instead(roots: Roots, tmp_path: Path) -> None:
    lay_files(Path(roots.base), {CONF: "nonsense\n", "mine/a.conf": "install loop\n", "mine/b": ""})
    done = run_inside("kmod", ["lint", "--json", "-C", f"{roots.base}/mine"], roots)
    assert [(finding["file"], finding["rule"]) for finding in json.loads(done.out)["findings"]] == [
        (f"{roots.base}/mine/a.conf", "bad-line"), (f"{roots.base}/mine/b", "not-conf"),
    ]  # fmt: skip


def test_a_chosen_pipe_is_read_once_and_linted_as_a_file_is(roots: Roots, tmp_path: Path) -> None:
    text = "options snd-timer x=1\r\nblacklist b\n"
    (tmp_path / "a.conf").write_text(text)
    read, write = os.pipe()
    os.write(write, text.encode())
    os.close(write)
    found = [[(one.line, one.rule) for one in lint(Context(roots, config=path)).findings]
             for path in (tmp_path / "a.conf", f"/dev/fd/{read}")]  # fmt: skip
    os.close(read)
    assert found[0] == found[1]
    assert (1, "crlf") in found[0]


def test_the_real_program() -> None:
    done = subprocess.run([BIN / "kmod", "lint", "--rules"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("shadowed ")
