# SPDX-License-Identifier: LGPL-2.1-or-later
"""kmod ensure: from any state into any other, a second time nothing, and whole files whatever happens."""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pymodutils import (
    Context,
    EnsureReport,
    EnsureResult,
    FormatError,
    PolicyRule,
    deny,
    ensure,
    lint,
    policy_show,
    read_wanted,
    wanted_in,
)
from pymodutils.effects import publish
from pymodutils.verbs.carried import ModulesBehind
from tests.support.common import note_made, run_inside
from tests.support.fakekernel import FakeKernel
from tests.support.schemas import check_document

RW, RO = 0o644, 0o444
OWN, LIST = "etc/modprobe.d/zz-pymodutils-m.conf", "etc/modules-load.d/pymodutils.conf"


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeKernel:
    """`m` with parameters, which needs `base`; `top` needs `m`; `zswap` is builtin."""
    kernel = FakeKernel(tmp_path, monkeypatch)
    kernel.parameters = {"m": {"w": ("int", RW, "1"), "r": ("bool", RO, "N"), "hid": ("int", 0, "0")}}
    kernel.tree({"base": [], "m": ["base"], "top": ["m", "base"], "other": []}, builtin=["zswap"])
    (kernel.modules / "modules.builtin.modinfo").write_bytes(b"zswap.parmtype=on:bool\0zswap.license=GPL\0")
    kernel.parameters["zswap"] = {"on": ("bool", RW, "N")}
    kernel.lay_parameters("zswap")
    (kernel.config / "00-theirs.conf").write_text("options other x=1\n")
    return kernel


def place(kernel: FakeKernel, name: str) -> Path:
    return Path(kernel.roots.config_root, name)


def files(kernel: FakeKernel) -> dict[str, bytes]:
    top = place(kernel, "etc")
    return {str(path.relative_to(top)): path.read_bytes() for path in sorted(top.rglob("*")) if path.is_file()}


def run(kernel: FakeKernel, text: str, *, check: bool = False) -> EnsureReport:
    with Context(kernel.roots) as context:
        return ensure(context, text, check=check)


def one(kernel: FakeKernel, text: str, *, name: str = "m", check: bool = False) -> EnsureResult:
    (result,) = run(kernel, f"[module.{name}]\n{text}\n", check=check).results
    return result


# --- 8 states to start from, 8 that are wanted


def load(kernel: FakeKernel, name: str = "m", parameters: str = "") -> None:
    with Context(kernel.roots) as context:
        context.load(name, parameters)


def denied_by_policy(kernel: FakeKernel) -> None:
    with Context(kernel.roots) as context:
        deny(context, "m")


STARTS: dict[str, Callable[[FakeKernel], None]] = {
    "absent": lambda kernel: kernel.tree({"base": [], "other": []}, builtin=["zswap"]),
    "available": lambda kernel: None,
    "loaded": load,
    "loaded with other parameters": lambda kernel: load(kernel, "m", "w=9 r=0"),
    "loaded and in use": lambda kernel: load(kernel, "top"),
    "builtin": lambda kernel: kernel.tree({"base": [], "other": []}, builtin=["zswap", "m"]),
    "denied by the policy": denied_by_policy,
    "denied by others": lambda kernel: kernel.configure("install m /bin/false\n"),
}

WANTS = {
    "loaded": 'state = "loaded"',
    "unloaded": 'state = "unloaded"',
    "available": 'state = "available"',
    "denied": 'state = "denied"',
    "any": "",
    "loaded at boot": 'state = "loaded"\nat_boot = true',
    "with parameters": "parameters = {w = 5, r = true}",
    "exactly these options": "parameters = {w = 5}\noptions_exactly = true\nat_boot = false",
}

# By start and wish: what is an error. All others are reached; P: only after a reboot or another load.
ERRORS = {
    ("absent", "loaded"): "absent", ("absent", "available"): "absent", ("absent", "loaded at boot"): "absent",
    ("absent", "with parameters"): "absent", ("absent", "exactly these options"): "absent",
    ("builtin", "unloaded"): "builtin", ("builtin", "denied"): "builtin", ("builtin", "with parameters"):
    "unknown-parameter", ("builtin", "exactly these options"): "unknown-parameter",
    ("loaded and in use", "unloaded"): "in-use",
    ("denied by others", "loaded"): "denied", ("denied by others", "available"): "denied",
    ("denied by others", "loaded at boot"): "denied",
}  # fmt: skip
PENDING = {
    ("loaded and in use", "denied"), ("loaded", "with parameters"), ("loaded with other parameters", "with parameters"),
    ("loaded and in use", "with parameters"),
}  # fmt: skip
STATE_AFTER = {"loaded": "live", "unloaded": "available", "loaded at boot": "live"}


@pytest.mark.parametrize("wish", WANTS)
@pytest.mark.parametrize("start", STARTS)
def test_from_each_state_into_each(kernel: FakeKernel, start: str, wish: str) -> None:
    STARTS[start](kernel)
    loaded, before = list(kernel.loaded), files(kernel)
    kernel.calls.clear()

    foreseen = one(kernel, WANTS[wish], check=True)
    assert (kernel.calls, kernel.loaded, files(kernel)) == ([], loaded, before)

    result = one(kernel, WANTS[wish])
    assert (result.error and result.error.code) == ERRORS.get((start, wish)), result
    assert result.reboot_needed is ((start, wish) in PENDING)
    assert (foreseen.changed, foreseen.error, foreseen.reboot_needed) == (
        result.changed, result.error, result.reboot_needed,
    )  # fmt: skip
    assert [action.replace(done=True) for action in foreseen.actions] == list(result.actions)
    assert foreseen.after.replace(parameters=result.after.parameters) == result.after
    if result.error:
        assert (kernel.loaded, files(kernel), result.changed) == (loaded, before, False)
    elif wish in STATE_AFTER and start not in ("builtin", "absent"):
        assert result.after.state == STATE_AFTER[wish]
    if wish == "denied" and not result.error:
        assert result.after.denied and "m" in [rule.name for rule in _rules(kernel)]
    if wish == "loaded at boot" and not result.error and start != "builtin":
        assert place(kernel, LIST).read_text().splitlines()[-1] == "m"
    assert files(kernel)["modprobe.d/00-theirs.conf"] == b"options other x=1\n"

    loaded, after = list(kernel.loaded), files(kernel)
    kernel.calls.clear()
    again = one(kernel, WANTS[wish])
    assert (again.changed, again.diff, again.actions, kernel.calls) == (False, (), (), [])
    assert (kernel.loaded, files(kernel)) == (loaded, after)
    assert again.error == result.error and again.reboot_needed is result.reboot_needed


def _rules(kernel: FakeKernel) -> list[PolicyRule]:
    with Context(kernel.roots) as context:
        return list(policy_show(context).rules)


def test_what_has_changed_is_named(kernel: FakeKernel) -> None:
    result = one(kernel, 'state = "loaded"\nat_boot = true')
    assert [(change.field, change.before, change.after) for change in result.diff] == [
        ("state", "available", "live"), ("at_boot", "false", "true"),
    ]  # fmt: skip
    result = one(kernel, 'state = "denied"\nat_boot = false')
    assert [(change.field, change.before, change.after) for change in result.diff] == [
        ("state", "live", "available"), ("denied", "false", "true"), ("at_boot", "true", "false"),
    ]  # fmt: skip


def test_what_was_done_in_vain_is_said(kernel: FakeKernel) -> None:
    kernel.configure("install m test -d /\n")
    error = one(kernel, 'state = "loaded"').error
    assert error and (error.code, error.text) == ("not-reached", "is not as wanted: load m")


# --- parameters


def test_what_can_be_set_is_set_and_the_rest_waits(kernel: FakeKernel) -> None:
    load(kernel)
    result = one(kernel, "parameters = {w = 5, r = true}")
    assert kernel.value("m", "w") == "5" and kernel.value("m", "r") == "N"
    assert result.reboot_needed and result.changed and result.error is None
    assert [(change.field, change.before, change.after) for change in result.diff] == [
        ("parameters.w", "1", "5"), ("options.r", None, "Y"), ("options.w", None, "5"),
    ]  # fmt: skip
    assert place(kernel, OWN).read_text().splitlines()[-1] == "options m w=5 r=Y"
    with Context(kernel.roots) as context:
        context.unload("m")
    load(kernel)
    assert kernel.value("m", "r") == "Y"
    assert not one(kernel, "parameters = {w = 5, r = true}").reboot_needed


def test_what_others_give_already_is_not_written(kernel: FakeKernel) -> None:
    kernel.configure("options m w=0x5\n")
    result = one(kernel, 'state = "loaded"\nparameters = {w = 5}')
    assert result.error is None and not place(kernel, OWN).exists()
    assert kernel.value("m", "w") == "0x5"


def test_ours_counts_more_than_what_others_give(kernel: FakeKernel) -> None:
    kernel.configure("options m w=7\n")
    result = one(kernel, 'state = "loaded"\nparameters = {w = 5}')
    assert result.error is None and kernel.value("m", "w") == "5"


def test_what_counts_more_than_ours_is_an_error(kernel: FakeKernel) -> None:
    (kernel.proc / "cmdline").write_text("m.w=7\n")
    result = one(kernel, "parameters = {w = 5}")
    assert result.error and (result.error.code, result.error.file) == ("overruled", f"{kernel.proc}/cmdline")
    (kernel.proc / "cmdline").write_text("\n")
    (kernel.config / "zzz.conf").write_text("options m w=8\n")
    result = one(kernel, "parameters = {w = 5}")
    assert result.error and (result.error.code, result.error.line) == ("overruled", 1)
    assert not place(kernel, OWN).exists()


def test_options_exactly(kernel: FakeKernel) -> None:
    one(kernel, "parameters = {w = 5, hid = 2}")
    assert one(kernel, "parameters = {w = 6}").changed  # the other one stays
    assert place(kernel, OWN).read_text().splitlines()[-1] == "options m hid=2 w=6"
    assert one(kernel, "parameters = {w = 6}\noptions_exactly = true").changed
    assert place(kernel, OWN).read_text().splitlines()[-1] == "options m w=6"
    kernel.configure("options m r=1\n")
    result = one(kernel, "parameters = {w = 6}\noptions_exactly = true")
    assert result.error and (result.error.code, result.error.line, result.error.subject) == (
        "options-elsewhere",
        1,
        "r",
    )
    kernel.configure("")
    assert one(kernel, "options_exactly = true").changed and not place(kernel, OWN).exists()


@pytest.mark.parametrize(
    ("text", "code"),
    [("parameters = {nosuch = 1}", "unknown-parameter"), ('parameters = {w = "x"}', "bad-value"),
     ("parameters = {w = 4294967296}", "bad-value"), ("parameters = {w = 'a\"b'}", "bad-value")],
)  # fmt: skip
def test_parameters_that_cannot_be(kernel: FakeKernel, text: str, code: str) -> None:
    before = files(kernel)
    result = one(kernel, f'state = "loaded"\n{text}')
    assert result.error and result.error.code == code
    assert (kernel.calls, files(kernel)) == ([], before)


def test_a_builtin_module_has_its_parameters_from_the_command_line(kernel: FakeKernel) -> None:
    result = one(kernel, "parameters = {on = true}", name="zswap")
    assert result.error and result.error.code == "builtin" and "zswap.on=Y" in result.error.text
    (kernel.proc / "cmdline").write_text("zswap.on=1\n")
    result = one(kernel, 'state = "loaded"\nparameters = {on = true}', name="zswap")
    assert result.error is None and kernel.value("zswap", "on") == "Y"
    assert one(kernel, 'state = "loaded"\nparameters = {on = true}', name="zswap").changed is False


# --- at boot


def test_the_list_for_boots_has_what_is_wanted(kernel: FakeKernel) -> None:
    run(kernel, "[module.m]\nat_boot = true\n[module.other]\nat_boot = true\n")
    assert place(kernel, LIST).read_text().splitlines()[2:] == ["m", "other"]
    one(kernel, "at_boot = false")
    assert place(kernel, LIST).read_text().splitlines()[2:] == ["other"]
    one(kernel, "at_boot = false", name="other")
    assert not place(kernel, LIST).exists()


def test_what_others_list_is_theirs(kernel: FakeKernel) -> None:
    theirs = place(kernel, "etc/modules-load.d/theirs.conf")
    theirs.parent.mkdir()
    theirs.write_text("# x\nm\n")
    result = one(kernel, "at_boot = true")
    assert (result.changed, result.error, result.after.at_boot) == (False, None, True)
    result = one(kernel, "at_boot = false")
    assert result.error and (result.error.code, result.error.file, result.error.line) == (
        "listed-elsewhere", str(theirs), 2,
    )  # fmt: skip
    assert theirs.read_text() == "# x\nm\n" and not place(kernel, LIST).exists()


def test_what_is_denied_is_taken_off_our_list(kernel: FakeKernel) -> None:
    one(kernel, 'state = "loaded"\nat_boot = true')
    result = one(kernel, 'state = "denied"')
    assert (result.after.at_boot, result.after.state, result.after.denied) == (False, "available", True)
    with Context(kernel.roots) as context:
        assert [finding.rule for finding in lint(context).findings if "pymodutils" in finding.file] == []


def test_lint_has_nothing_against_our_files(kernel: FakeKernel) -> None:
    run(kernel, '[module.m]\nstate = "loaded"\nat_boot = true\nparameters = {w = 5}\n')
    with Context(kernel.roots) as context:
        assert [finding for finding in lint(context).findings if "pymodutils" in finding.file] == []


# --- loading and unloading


def test_what_others_need_stays_and_dependencies_too(kernel: FakeKernel) -> None:
    load(kernel, "top")
    assert one(kernel, 'state = "unloaded"', name="top").changed
    assert kernel.loaded == ["base", "m"]
    assert one(kernel, 'state = "unloaded"').changed
    assert kernel.loaded == ["base"]


def test_modules_that_need_each_other_go_in_their_order(kernel: FakeKernel) -> None:
    load(kernel, "top")
    text = "".join(f'[module.{name}]\nstate = "unloaded"\n' for name in ("base", "m", "top"))
    report = run(kernel, text)
    assert report.is_reached and kernel.loaded == []
    assert [call[1] for call in kernel.calls if call[0] == "delete"] == ["top", "m", "base"]
    load(kernel, "top")
    kernel.hold("top")
    kernel.calls.clear()
    report = run(kernel, text)
    assert [result.error and result.error.code for result in report.results] == ["in-use"] * 3
    assert kernel.calls == []


def test_what_keeps_out_a_module_that_is_needed_is_in_the_way(kernel: FakeKernel) -> None:
    with Context(kernel.roots) as context:
        deny(context, "base")
    for text in ('state = "loaded"', 'state = "available"', "at_boot = true"):
        result = one(kernel, text)
        assert result.error and (result.error.code, result.error.line) == ("denied", 5)
        assert "install base /bin/false" in result.error.text and not result.changed
    report = run(kernel, '[module.m]\nstate = "loaded"\n[module.base]\nstate = "available"\n')
    assert report.is_reached and kernel.loaded == ["base", "m"]


def test_no_device(kernel: FakeKernel) -> None:
    kernel.script["m"] = [errno.ENODEV]
    result = one(kernel, 'state = "loaded"\nat_boot = true')
    assert result.error and (result.error.code, result.error.errno) == ("no-device", errno.ENODEV)
    assert result.changed and result.after.at_boot  # the file is written: the device may be there at the next boot
    assert [(action.action, action.done) for action in result.actions] == [("write-at-boot", True), ("load", False)]


def test_another_refusal_of_the_kernel(kernel: FakeKernel) -> None:
    kernel.script["m"] = [errno.EIO]
    result = one(kernel, 'state = "loaded"')
    assert result.error and (result.error.code, result.changed) == ("load-failed", False)
    load(kernel)
    kernel.script["m"] = [errno.EBUSY]
    result = one(kernel, 'state = "unloaded"')
    assert result.error and result.error.code == "unload-failed"
    kernel.script["m"] = [errno.EBUSY]
    result = one(kernel, 'state = "denied"')
    assert (result.error, result.reboot_needed, result.after.denied, result.after.state) == (None, True, True, "live")


def test_what_carries_the_caller_is_not_unloaded(kernel: FakeKernel) -> None:
    load(kernel)
    own = kernel.proc / str(os.getpid())
    own.mkdir()
    (own / "mountinfo").write_text("2 1 8:1 / / rw - m /dev/sda1 rw\n")
    result = one(kernel, 'state = "unloaded"')
    assert result.error and result.error.code == "carries-caller"
    result = one(kernel, 'state = "denied"')
    assert (result.error, result.reboot_needed, kernel.loaded) == (None, True, ["base", "m"])


def test_one_that_cannot_be_keeps_no_other_from_it(kernel: FakeKernel) -> None:
    report = run(kernel, '[module.nosuch]\nstate = "loaded"\n[module.m]\nstate = "loaded"\n')
    assert [(result.module, result.error is None) for result in report.results] == [("nosuch", False), ("m", True)]
    assert not report.is_reached and "m" in kernel.loaded


def test_in_another_system_only_files_count(kernel: FakeKernel) -> None:
    text = '[module.m]\nstate = "loaded"\nat_boot = true\nparameters = {w = 5}\n[module.other]\nstate = "denied"\n'
    with Context(kernel.roots, live=False) as context:
        report = ensure(context, text)
        assert report.is_reached and not report.reboot_needed and kernel.calls == []
        assert [result.after.state for result in report.results] == ["available", "available"]
        assert {path.removeprefix(f"{kernel.roots.config_root}/etc/") for path in report.written} == {
            "modprobe.d/zz-pymodutils-m.conf", "modules-load.d/pymodutils.conf", "pymodutils/policy.toml",
            "modprobe.d/00-pymodutils-policy.conf",
        }  # fmt: skip
        assert not ensure(context, text).changed


# --- whole files


TEXT = (
    '[module.m]\nstate = "loaded"\nat_boot = true\nparameters = {w = 5}\n'
    '[module.other]\nstate = "denied"\n[module.base]\nparameters = {}\nat_boot = true\n'
)


def test_a_process_that_ends_between_any_two_writes_leaves_whole_files(
    kernel: FakeKernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each boundary in turn; afterwards every file is the old or the new one, and a second run gets there."""
    one(kernel, "parameters = {w = 4, hid = 1}")
    one(kernel, "at_boot = true", name="other")
    old = files(kernel)
    run(kernel, TEXT)
    new = files(kernel)
    real = publish.Directory.__init__
    number = 0
    while True:
        number += 1
        _put(kernel, old)
        for name in reversed(list(kernel.needs)):
            kernel.delete_module(name.encode(), os.O_NONBLOCK)
        seen = 0

        def dying(_boundary: str, at: int = number) -> None:
            nonlocal seen
            seen += 1
            if seen == at:
                raise KeyboardInterrupt

        monkeypatch.setattr(
            publish.Directory, "__init__", lambda self, path, owner="depmod": real(self, path, dying, owner=owner)
        )
        try:
            run(kernel, TEXT)
        except KeyboardInterrupt:
            now = files(kernel)
            assert all(data in (old.get(name), new.get(name)) for name, data in now.items()), number
            assert set(old) & set(new) <= set(now)
            monkeypatch.setattr(publish.Directory, "__init__", real)
            assert run(kernel, TEXT).is_reached
        assert files(kernel) == new
        if seen < number:
            break
    assert number > 20


def _put(kernel: FakeKernel, content: dict[str, bytes]) -> None:
    top = place(kernel, "etc")
    for name in files(kernel):
        if name not in content:
            (top / name).unlink()
    for name, data in content.items():
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_bytes(data)


def test_a_full_disk_is_an_error_of_the_module(kernel: FakeKernel, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(boundary: str) -> None:
        if boundary == "before write zz-pymodutils-m.conf":
            raise OSError(errno.ENOSPC, "No space left on device")

    real = publish.Directory.__init__
    monkeypatch.setattr(
        publish.Directory, "__init__", lambda self, path, owner="depmod": real(self, path, full, owner=owner)
    )
    report = run(kernel, TEXT)
    codes = {result.module: result.error and result.error.code for result in report.results}
    assert codes == {"m": "not-written", "other": None, "base": None}
    assert "m" not in kernel.loaded and "base" in place(kernel, LIST).read_text()


def test_files_of_ours_that_somebody_edited_stay(kernel: FakeKernel) -> None:
    run(kernel, TEXT)
    for name in (OWN, LIST):
        place(kernel, name).write_bytes(place(kernel, name).read_bytes() + b"# mine\n")
    before = files(kernel)
    report = run(kernel, "[module.m]\nparameters = {w = 6}\n[module.base]\nat_boot = false\n")
    assert [result.error and result.error.code for result in report.results] == ["not-written"] * 2
    assert files(kernel) == before
    with Context(kernel.roots) as context:
        assert ensure(context, "[module.m]\nparameters = {w = 6}\n", force=True).is_reached


# --- the text


@pytest.mark.parametrize(
    "text",
    ["x", "a = 1", "[module]\nm = 1", "[module.'a b']\n", "[module.m]\nstate = 'there'", "[module.m]\nstates = 'x'",
     "[module.m]\nat_boot = 1", "[module.m]\nparameters = 1", "[module.m]\nparameters = {w = 1.5}",
     "[module.m]\nparameters = {w = [[1]]}", "[module.m]\nparameters = {'w x' = 1}",
     "[module.m]\nparameters = {w-w = 1, w_w = 2}", "[module.a-b]\n[module.a_b]\n",
     "[module.m]\nstate = 'denied'\nat_boot = true", "[module.m]\nstate = 'unloaded'\nat_boot = true",
     "[module.m]\noptions_exactly = 'yes'", "[" * 5000],
)  # fmt: skip
def test_wishes_that_are_none(kernel: FakeKernel, text: str, tmp_path: Path) -> None:
    with pytest.raises(FormatError):
        run(kernel, text)
    path = tmp_path / "wishes.toml"
    path.write_text(text)
    with pytest.raises(FormatError) as caught:
        read_wanted(path)
    assert caught.value.path == str(path)
    done = run_inside("kmod", ["ensure", str(path)], kernel.roots)
    assert (done.status, done.out, done.err.count(b"\n")) == (2, b"", 1)


def test_values_are_as_the_kernel_takes_them() -> None:
    (wanted,) = wanted_in(b"[module.a-b]\nparameters = {a = true, b = [1, 2], c = 0x10, d = 'x y', e = [false, 'z']}\n")
    assert wanted.name == "a_b" and wanted.state == "any"
    assert dict(wanted.parameters or {}) == {"a": "Y", "b": "1,2", "c": "16", "d": "x y", "e": "N,z"}
    with pytest.raises(FormatError):
        wanted_in(b"\xff")


# --- the command


def test_the_command(kernel: FakeKernel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "wishes.toml"
    path.write_text(TEXT)
    check = run_inside("kmod", ["ensure", "--check", str(path)], kernel.roots)
    assert (check.status, check.err) == (1, b"") and b"would load m" in check.out
    document = check_document(run_inside("kmod", ["ensure", "--check", "--json", str(path)], kernel.roots).out)
    assert document["checked"] and document["results"][0]["changed"] and kernel.calls == []
    done = run_inside("kmod", ["ensure", "--json", str(path)], kernel.roots)
    assert done.status == 0 and len(check_document(done.out)["written"]) == 4
    for words in (["--check"], []):
        done = run_inside("kmod", ["ensure", *words, str(path)], kernel.roots)
        assert done.status == 0 and b"m  as wanted" in done.out
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b'[module.nosuch]\nstate = "loaded"\n')))
    done = run_inside("kmod", ["ensure", "-"], kernel.roots)
    assert done.status == 1 and b"absent: there is no such module" in done.out
    path.write_text('[module.nosuch]\nstate = "loaded"\n')
    done = run_inside("kmod", ["ensure", "-m", "/nowhere", str(path)], kernel.roots)
    assert (
        done.status == 2 and b"cannot-tell: cannot tell whether there is such a module: no module directory" in done.out
    )
    for words in ([], ["a", "b"], ["/nowhere/x.toml"]):
        assert run_inside("kmod", ["ensure", *words], kernel.roots).status == 2


def test_what_only_the_kernel_knows_is_not_said_of_another_system(kernel: FakeKernel, tmp_path: Path) -> None:
    wanted = tmp_path / "wanted.toml"
    wanted.write_text('[module.m]\nstate = "unloaded"\n')
    image = [f"--root={kernel.roots.base}", "--check", str(wanted)]
    done = run_inside("kmod", ["ensure", *image])
    assert done.status == 0 and b"m  as wanted\n  by its files; whether it is loaded is not known" in done.out
    assert b"by its files" not in run_inside("kmod", ["ensure", "--check", str(wanted)], kernel.roots).out
    (tmp_path / "empty").mkdir()
    done = run_inside("kmod", ["ensure", f"--root={tmp_path}/empty", "--check", str(wanted)])
    assert (
        done.status == 2 and b"cannot-tell: cannot tell whether there is such a module: no module directory" in done.out
    )


def test_near_names_are_offered(kernel: FakeKernel) -> None:
    error = one(kernel, 'state = "loaded"', name="othr").error
    assert error and (error.code, error.text) == ("absent", "there is no such module for this kernel; similar: other")


def test_aliases_are_looked_up_once_for_all_modules(kernel: FakeKernel, monkeypatch: pytest.MonkeyPatch) -> None:
    """All ask what the caller stands on, by the same aliases."""
    for name in ("m", "top", "other"):
        load(kernel, name)
    made = note_made(monkeypatch, ModulesBehind)
    wishes = "".join(f'[module.{name}]\nstate = "unloaded"\n' for name in ("m", "top", "other"))
    assert [result.changed for result in run(kernel, wishes, check=True).results] == [True, True, True]
    assert len(made) == 1
