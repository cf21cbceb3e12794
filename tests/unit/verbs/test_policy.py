# SPDX-License-Identifier: LGPL-2.1-or-later
"""kmod deny, undeny, allow, policy: what is written, what it does, and what is said about it."""

from __future__ import annotations

import datetime
import json
import os
from pathlib import Path

import pytest

from pymodutils import (
    Context,
    EditedError,
    Error,
    FormatError,
    LiveKernelNotAskedError,
    PolicyReport,
    Roots,
    allow,
    check,
    deny,
    explain,
    policy_audit,
    policy_diff,
    policy_show,
    policy_verify,
    undeny,
)
from pymodutils.cli.verbs import rules
from pymodutils.effects import policyfiles, publish
from pymodutils.verbs.report import for_same_system
from tests.support.common import run_inside
from tests.support.forgedsystem import RELEASE, forge_system, lay_files, lay_kernel, needing
from tests.support.schemas import check_document

MODULES = {
    "base": needing("base"),
    "sctp": needing("sctp", "base", strings=["alias=net-pf-2-proto-132"]),
    "soft": needing("soft", strings=["softdep=pre: helper", "alias=fs-soft"]),
    "helper": needing("helper"),
    "weak": needing("weak", strings=["weakdep=other"]),
    "other": needing("other"),
    "usb_storage": needing("usb_storage"),
}
TODAY = datetime.date.today().isoformat()
TOML, CONF = "etc/pymodutils/policy.toml", "etc/modprobe.d/00-pymodutils-policy.conf"


@pytest.fixture
def roots(tmp_path: Path) -> Roots:
    return forge_system(tmp_path, MODULES, builtin=["zswap"])


def files(roots: Roots) -> dict[str, bytes]:
    """All files below /etc, and what is left of directories of ours."""
    top = Path(roots.base, "etc")
    return {str(path.relative_to(top)): path.read_bytes() if path.is_file() else b"" for path in top.rglob("*")}


def codes(report: PolicyReport) -> list[tuple[str, str | None]]:
    return [(warning.code, warning.module) for warning in report.warnings]


def test_a_denied_module_is_kept_out_by_three_lines(roots: Roots) -> None:
    report = deny(Context(roots), ["soft", "usb-storage"], reason="not used here")
    assert report.written == (f"{roots.base}/{TOML}", f"{roots.base}/{CONF}")
    assert Path(roots.base, TOML).read_text() == (
        f'[deny.soft]\nreason = "not used here"\ndate = {TODAY}\n\n'
        f'[deny.usb_storage]\nreason = "not used here"\ndate = {TODAY}\n'
    )
    assert Path(roots.base, CONF).read_text().splitlines()[2:] == [
        f"# soft: not used here ({TODAY})", "softdep soft pre:", "install soft /bin/false", "blacklist soft",
        f"# usb_storage: not used here ({TODAY})", "softdep usb_storage pre:", "install usb_storage /bin/false",
        "blacklist usb_storage",
    ]  # fmt: skip
    assert [(found.name, found.verdict) for found in report.verified] == [
        ("soft", "blocked"),
        ("usb_storage", "blocked"),
    ]
    assert report.holds and codes(report) == []
    assert [(rule.name, rule.reason, rule.line) for rule in report.rules] == [
        ("soft", "not used here", 5), ("usb_storage", "not used here", 9),
    ]  # fmt: skip


def test_a_second_denial_changes_nothing(roots: Roots) -> None:
    deny(Context(roots), "soft", reason="why")
    before = files(roots)
    report = deny(Context(roots), "soft")
    assert (report.written, report.holds, files(roots)) == ((), True, before)
    assert deny(Context(roots), "soft", reason="why").written == ()
    assert len(deny(Context(roots), "soft", reason="another").written) == 2


def test_taking_it_back_gives_the_bytes_that_there_were(roots: Roots) -> None:
    lay_files(Path(roots.base), {"etc/modprobe.d/x.conf": "alias a b\n"})
    start = files(roots)
    deny(Context(roots), "sctp", reason="first")
    one = files(roots)
    deny(Context(roots), ["soft", "base"])
    assert undeny(Context(roots), ["base", "soft"]).written
    assert files(roots) == one
    undeny(Context(roots), "sctp")
    assert files(roots) == start


def test_a_policy_with_comments_keeps_them(roots: Roots) -> None:
    text = "# ours\n\n[deny.soft]\n# because\nreason = 'x'\n"
    lay_files(Path(roots.base), {TOML: text})
    deny(Context(roots), "sctp")
    assert text[text.index("[deny.soft]") :] in Path(roots.base, TOML).read_text()
    undeny(Context(roots), "sctp")
    assert Path(roots.base, TOML).read_text() == text
    assert b"install soft /bin/false" in Path(roots.base, CONF).read_bytes()


def test_a_file_that_somebody_edited_stays(roots: Roots) -> None:
    deny(Context(roots), "soft")
    path = Path(roots.base, CONF)
    path.write_text(path.read_text() + "# mine\n")
    before = files(roots)
    for change, name in ((deny, "sctp"), (undeny, "soft")):
        with pytest.raises(EditedError) as error:
            change(Context(roots), name)
        assert error.value.path == str(path)
        assert files(roots) == before
    assert [code for code, _ in codes(policy_verify(Context(roots)))] == ["edited"]
    done = run_inside("kmod", ["deny", "sctp"], roots)
    assert (done.status, done.err.count(b"\n")) == (2, 1) and b"--force" in done.err
    deny(Context(roots), "sctp", force=True)
    assert b"# mine" not in path.read_bytes() and b"install sctp" in path.read_bytes()


def test_tables_that_are_written_in_another_way_are_left_to_their_author(roots: Roots) -> None:
    lay_files(Path(roots.base), {TOML: "deny = {soft = {}}\n"})
    with pytest.raises(FormatError, match="by hand"):
        undeny(Context(roots), "soft")
    with pytest.raises(FormatError, match="by hand"):  # with its table as well it would be no TOML any more
        deny(Context(roots), "soft", reason="another")
    assert Path(roots.base, TOML).read_text() == "deny = {soft = {}}\n"


@pytest.mark.parametrize("name", ["a*", "a b", "", "x.ko", "/etc"])
def test_what_is_no_name_is_refused(roots: Roots, name: str) -> None:
    with pytest.raises(Error):
        deny(Context(roots), ["soft", name])
    assert not Path(roots.base, CONF).exists()


@pytest.mark.parametrize("at", ["create", "sync", "rename"])
@pytest.mark.parametrize("which", [0, 1])
def test_both_files_or_neither(roots: Roots, monkeypatch: pytest.MonkeyPatch, at: str, which: int) -> None:
    deny(Context(roots), "soft")
    before = files(roots)
    name = ("policy.toml", "00-pymodutils-policy.conf")[which]

    class Failing(publish.Directory):
        failed = False

        def __init__(self, path: str, *, owner: str) -> None:
            super().__init__(path, self.hook, owner=owner)

        def hook(self, boundary: str) -> None:
            if boundary == f"before {at} {name}" and not Failing.failed:
                Failing.failed = True
                raise OSError(28, os.strerror(28))

    monkeypatch.setattr(policyfiles, "Directory", Failing)
    with pytest.raises(OSError, match="No space"):
        deny(Context(roots), "sctp")
    assert Failing.failed and files(roots) == before


def test_a_dry_run_writes_nothing(roots: Roots) -> None:
    report = deny(Context(roots), "soft", dry_run=True)
    assert (report.written, files(roots) if Path(roots.base, "etc").exists() else {}) == ((), {})


def test_a_dry_run_says_nothing_of_rules_that_are_not_written(roots: Roots) -> None:
    """That a door is open now is no fault of theirs, and to write them is no next step of its own."""
    done = run_inside("kmod", ["deny", "--dry-run", "soft"], roots)
    assert done.out.startswith(b"nothing written; this is how it stands without that:\nsoft ")
    assert b"warning" not in done.out and b"next:" not in done.out


def test_an_alias_is_no_module(roots: Roots) -> None:
    """To deny it closes one of the ways in alone."""
    report = deny(Context(roots), "net-pf-2-proto-132", dry_run=True)
    (text,) = [warning.text for warning in report.warnings if warning.code == "unknown-module"]
    assert text.endswith("which is an alias: kmod deny sctp")


def test_to_take_a_denial_back_is_not_answered_with_denying(roots: Roots) -> None:
    deny(Context(roots), "sctp")
    done = run_inside("kmod", ["undeny", "sctpp"], roots)
    assert b"warning: sctpp: was not denied; similar ones that are: sctp\n" in done.out
    done = run_inside("kmod", ["undeny", "sctp"], roots)
    assert b"CAN GET IN" in done.out and b"next:" not in done.out


@pytest.mark.parametrize("name", ["a b", "a\ninstall b /bin/evil", "a*", "../a", ""])
def test_what_can_be_no_name_is_written_nowhere(roots: Roots, name: str) -> None:
    with pytest.raises(Error, match="is no name of a module"):
        deny(Context(roots), ["loop", name])
    assert not Path(roots.base, "etc/pymodutils").exists()


def test_of_a_name_that_nobody_can_know_there_is_an_error(roots: Roots) -> None:
    assert not deny(Context(roots), "nosuch", dry_run=True).errors
    Path(roots.modules, "modules.alias.bin").unlink()
    report = deny(Context(roots), "nosuch", dry_run=True)
    assert any(error.code == "cannot-tell" for error in report.errors)
    assert not any(warning.code == "unknown-module" for warning in report.warnings)


def test_of_many_modules_those_are_shown_that_can_get_in(roots: Roots, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "MOST_LINES", 2)
    done = run_inside("kmod", ["deny", "soft", "sctp", "base"], roots)
    assert b"\n3 of 3 modules are kept out\n" in b"\n" + done.out and b"BLOCKED" not in done.out


def test_an_empty_directory_of_the_administrator_stays(roots: Roots) -> None:
    directory = Path(roots.base, "etc/modprobe.d")
    directory.mkdir(parents=True)
    deny(Context(roots), "soft")
    undeny(Context(roots), "soft")
    assert directory.is_dir() and not any(directory.iterdir())


def test_what_is_said_of_modules_that_are_in_all_the_same(roots: Roots) -> None:
    lay_kernel(Path(roots.base), {"soft": "0 - Live 0x0", "of_a_file": "0 - Live 0x0"})
    assert codes(deny(Context(roots), "of_a_file", dry_run=True)) == [("loaded-now", "of_a_file")]
    report = deny(Context(roots), ["soft", "zswap", "nosuch", "sctpp"])
    assert set(codes(report)) == {
        ("loaded-now", "soft"), ("builtin", "zswap"), ("unknown-module", "nosuch"), ("unknown-module", "sctpp"),
    }  # fmt: skip
    assert any("sctp" in warning.text for warning in report.warnings if warning.module == "sctpp")
    assert not report.holds


def test_a_rule_of_others_that_opens_a_door_is_said(roots: Roots) -> None:
    lay_files(Path(roots.base), {"etc/modprobe.d/00-a.conf": "install soft /sbin/modprobe -i soft\n"})
    report = deny(Context(roots), "soft")
    assert ("door-open", "soft") in codes(report) and not report.holds


def test_what_stops_insmod_too(roots: Roots) -> None:
    assert deny(Context(roots), ["soft", "usb-storage"], cmdline=True).cmdline == "module_blacklist=soft,usb_storage"
    assert deny(Context(roots), "soft").cmdline is None
    names = [f"module_{number:03}" for number in range(96)]  # with commas 1055 bytes
    report = deny(Context(roots), names, cmdline=True)
    assert "too-long" in [warning.code for warning in report.warnings] and not report.holds
    assert "too-long" not in [warning.code for warning in deny(Context(roots), names[:93], cmdline=True).warnings]


def test_a_name_that_no_module_can_have_is_not_denied(roots: Roots) -> None:
    with pytest.raises(Error, match="55 at most"):
        deny(Context(roots), "x" * 56)
    assert not Path(roots.config_root, "etc/pymodutils").exists()


def test_another_system(roots: Roots) -> None:
    image = Roots.of_system(roots.base, RELEASE)
    assert [found.verdict for found in deny(Context(image), "soft").verified] == ["blocked"]
    done = run_inside("kmod", ["deny", f"--root={roots.base}", "sctp"])
    assert done.status == 0 and b"sctp" in Path(roots.base, CONF).read_bytes()


def test_next_steps_are_about_the_system_that_was_asked_about(roots: Roots) -> None:
    image = Context(Roots.of_system(roots.base, RELEASE))
    assert [found.remedy for found in check(image, "soft").checks] == [f"kmod deny --root={roots.base} soft"]
    assert [found.remedy for found in check(Context(roots), "soft").checks] == ["kmod deny soft"]
    deny(image, "soft")
    assert explain(image, "soft").explanations[0].next == (f"kmod undeny --root={roots.base} soft",)
    other = Context(Roots(base=roots.base, release=RELEASE), config=["/dev/null"])
    assert check(other, "sctp").checks[0].remedy == f"kmod deny -d {roots.base} -S {RELEASE} sctp"
    Path(roots.base, "lib/modules/9.9").mkdir()
    assert check(image, "sctp").checks[0].remedy == f"kmod deny --root={roots.base} -S {RELEASE} sctp"


def test_next_steps_that_can_only_be_about_the_running_system_are_left_out(roots: Roots) -> None:
    image, own = Context(Roots.of_system(roots.base, RELEASE)), Context(Roots(release="9.9"))
    told = {
        "modprobe soft": (None, None),
        "reboot": (None, None),
        "mokutil --import KEY.der": (None, None),
        "depmod 9.9": (f"depmod -b {roots.base} {RELEASE}", "depmod 9.9"),
        "modinfo -p soft": (f"modinfo -b {roots.base} -k {RELEASE} -p soft", "modinfo -k 9.9 -p soft"),
        "update-initramfs -u -k 9.9": (f"chroot {roots.base} update-initramfs -u -k 9.9", "update-initramfs -u -k 9.9"),
        "apt install x && reboot": (f"chroot {roots.base} apt install x", "apt install x"),
        "make -C /lib/modules/9.9/build M=$PWD modules": (None, "make -C /lib/modules/9.9/build M=$PWD modules"),
        "kmod config soft": (f"kmod config --root={roots.base} soft", "kmod config -S 9.9 soft"),
    }
    for command, expected in told.items():
        assert (for_same_system(image, command), for_same_system(own, command)) == expected
        assert for_same_system(Context(roots), command) == command
    other = Context(Roots(release="9.9", module_dir="/my modules"))
    assert for_same_system(other, "kmod deny soft") == "kmod deny -m '/my modules' -S 9.9 soft"


def test_an_audit_of_another_system_needs_names(roots: Roots) -> None:
    image = Context(Roots.of_system(roots.base, RELEASE))
    deny(image, "soft")
    assert codes(policy_audit(image, ["soft"])) == [("would-deny", "soft")]
    with pytest.raises(LiveKernelNotAskedError):
        policy_audit(image)


# --- allowlists


def test_what_is_not_needed_is_denied(roots: Roots) -> None:
    source = Path(roots.base, "wanted")
    source.write_text("Module Size Used by\nsoft 16384 0\n# c\nweak\n")
    report = allow(Context(roots), ["sctp"], source=str(source))
    assert report.allowed == ("sctp", "soft", "weak")
    assert [rule.name for rule in report.rules] == ["usb_storage"]
    verdicts = {found.name: found.verdict for found in check(Context(roots), everything=True).checks}
    assert {name for name, verdict in verdicts.items() if verdict == "blocked"} == {"usb_storage"}
    assert report.holds


def test_an_allowlist_grows_and_goes(roots: Roots) -> None:
    with pytest.raises(Error, match="--from"):
        allow(Context(roots), "soft")
    lay_kernel(Path(roots.base), {"soft": "0 - Live 0x0"})
    allow(Context(roots), source="lsmod")
    first = files(roots)
    assert {rule.name for rule in policy_show(Context(roots)).rules} == set(MODULES) - {"soft", "helper"}
    assert {rule.reason for rule in policy_show(Context(roots)).rules} == {"not on the allowlist"}
    allow(Context(roots), "sctp")
    assert {rule.name for rule in policy_show(Context(roots)).rules} == {"weak", "other", "usb_storage"}
    undeny(Context(roots), "weak")
    assert policy_show(Context(roots)).allowed == ("sctp", "soft", "weak")
    deny(Context(roots), "soft", reason="own")
    assert check(Context(roots), "soft").checks[0].doors.by_name.open is False
    undeny(Context(roots), "soft")
    assert undeny(Context(roots), everything=True).written and files(roots) != first
    assert not Path(roots.base, TOML).exists() and not Path(roots.base, CONF).exists()


def test_an_allowlist_is_for_all_installed_kernels(roots: Roots, tmp_path: Path) -> None:
    forge_system(tmp_path / "new", {**MODULES, "newer": needing("newer"), "soft": needing("soft", "usb_storage")})
    os.rename(tmp_path / "new/lib/modules" / RELEASE, tmp_path / "lib/modules/7.0")
    source = tmp_path / "wanted"
    source.write_text("soft\n")
    running = roots.replace(release="")
    report = allow(Context(running.replace(release=""), live=False), source=str(source))
    names = {rule.name for rule in report.rules}
    assert "newer" in names and "usb_storage" not in names  # one kernel's soft needs it


# --- policy


def test_what_another_kernel_changes(roots: Roots, tmp_path: Path) -> None:
    new = {
        "base": MODULES["base"], "helper": MODULES["helper"], "usb_storage": MODULES["usb_storage"],
        "soft": needing("soft", "usb_storage", "fresh", strings=["alias=fs-soft"]), "fresh": needing("fresh"),
        "sctp2": needing("sctp2", strings=["alias=net-pf-2-proto-132"]), "unrelated": needing("unrelated"),
    }  # fmt: skip
    forge_system(tmp_path / "new", new, builtin=["weak"])
    os.rename(tmp_path / "new/lib/modules" / RELEASE, tmp_path / "lib/modules/7.0")
    source = tmp_path / "wanted"
    source.write_text("soft\nsctp\nweak\nother\n")
    allow(Context(roots), source=str(source))
    report = policy_diff(Context(roots), "7.0")
    found = {(change.module, change.change): change for change in report.diff}
    assert set(found) == {
        ("sctp", "renamed"), ("weak", "builtin"), ("other", "gone"), ("usb_storage", "needed"), ("fresh", "needed"),
        ("sctp2", "new"), ("unrelated", "new"),
    }  # fmt: skip
    assert found["sctp", "renamed"].needed_by == ("sctp2",)
    assert found["usb_storage", "needed"].needed_by == ("soft",) and found["usb_storage", "needed"].denied
    assert not found["fresh", "needed"].denied
    done = run_inside("kmod", ["policy", "diff", "-S", "7.0", "--json"], roots)
    assert done.status == 1 and len(check_document(done.out)["diff"]) == 7
    assert run_inside("kmod", ["policy", "diff"], roots).status == 2
    assert run_inside("kmod", ["policy", "diff", "-S", "8.0"], roots).status == 2


def test_verify(roots: Roots) -> None:
    deny(Context(roots), "soft")
    assert policy_verify(Context(roots)).holds
    lay_files(Path(roots.base), {"etc/modprobe.d/00-a.conf": "softdep soft pre: helper\n"})
    assert codes(policy_verify(Context(roots))) == [("door-open", "soft")]
    os.unlink(Path(roots.base, "etc/modprobe.d/00-a.conf"))
    os.unlink(Path(roots.base, CONF))
    assert ("outdated", None) in codes(policy_verify(Context(roots)))


def test_audit_denies_nothing_and_says_what_would_be(roots: Roots) -> None:
    deny(Context(roots), ["soft", "sctp"], reason="r")
    before = files(roots)
    assert codes(policy_audit(Context(roots))) == []
    lay_kernel(Path(roots.base), {"soft": "0 - Live 0x0"})
    assert codes(policy_audit(Context(roots))) == [("would-deny", "soft")]
    assert codes(policy_audit(Context(roots), ["sctp", "base"])) == [("would-deny", "sctp")]
    log = Path(roots.base, "log")
    log.write_text('{"event": "load", "module": "sctp"}\n{bad\nbase\n')
    done = run_inside("kmod", ["policy", "audit", f"--log={log}", "--json"], roots)
    assert done.status == 1
    assert [warning["module"] for warning in check_document(done.out)["warnings"]] == ["sctp"]
    assert files(roots) == before


# --- the commands


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (["deny", "soft"], 0),
        (["deny", "zswap"], 1),
        (["deny"], 2),
        (["deny", "a*"], 2),
        (["undeny", "soft"], 0),
        (["undeny", "--all"], 0),
        (["allow", "soft"], 2),
        (["allow", "--from", "/nowhere"], 2),
        (["policy", "show"], 0),
        (["policy", "verify"], 0),
        (["policy", "audit"], 0),
        (["policy", "rubbish"], 2),
        (["policy"], 2),
    ],
)
def test_exit_status(roots: Roots, words: list[str], status: int) -> None:
    assert run_inside("kmod", words, roots).status == status


@pytest.mark.parametrize("words", [["deny", "--cmdline", "soft", "nosuch"], ["undeny", "soft"], ["policy", "show"],
                                   ["policy", "verify"], ["allow", "--from", "lsmod", "soft"]])  # fmt: skip
def test_documents(roots: Roots, words: list[str]) -> None:
    run_inside("kmod", ["deny", "sctp"], roots)
    document = check_document(run_inside("kmod", [*words, "--json"], roots).out)
    assert document["verb"] == words[0] and document["rules"]


def test_text(roots: Roots) -> None:
    lay_kernel(Path(roots.base), {"soft": "0 - Live 0x0"})
    done = run_inside("kmod", ["deny", "--reason", "not used", "--cmdline", "sctp", "soft"], roots)
    assert done.out.decode().replace(roots.base, "") == (
        f"wrote /{TOML}\nwrote /{CONF}\n"
        "sctp  NOT LOADED, BLOCKED\n"
        "soft  IN THE KERNEL\n"
        "warning: soft: is in the kernel now: modprobe -r soft\n"
        "next: modprobe -r soft\n"
        "on the kernel command line, against insmod and the initramfs, too:\n"
        "  module_blacklist=sctp,soft\n"
    )
    done = run_inside("kmod", ["policy", "show"], roots)
    assert done.out.decode().replace(roots.base, "").splitlines()[1] == (f"sctp    {TODAY}  not used  /{CONF}:5")


def test_the_report_is_the_document(roots: Roots) -> None:
    report = deny(Context(roots), "soft")
    assert check_document(report.to_json()) == json.loads(report.to_json())


@pytest.mark.parametrize("content", [None, b"no index"])
def test_an_allowlist_is_not_compiled_without_a_list_of_modules(roots: Roots, content: bytes | None) -> None:
    """It would deny nothing then; the rules that there are stay."""
    assert run_inside("kmod", ["allow", "--from=lsmod"], roots).status != 2
    compiled = Path(roots.base, CONF)
    before = compiled.read_bytes()
    index = Path(roots.modules, "modules.dep.bin")
    index.unlink()
    if content:
        index.write_bytes(content)
    done = run_inside("kmod", ["allow", "other"], roots)
    assert done.status == 2 and b"cannot tell which modules there are: no usable modules.dep.bin" in done.err
    assert compiled.read_bytes() == before
