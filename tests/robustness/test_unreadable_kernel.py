# SPDX-License-Identifier: LGPL-2.1-or-later
"""What cannot be read of /proc and /sys is not known: no verb takes it for something that is not there."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pymodutils import Context, Roots, devices, prune, syscalls
from pymodutils.state.processfacts import read_process_facts
from pymodutils.verbs.report import MOST_UNREAD
from tests.support.common import replace_call, run_inside
from tests.support.devices import lay_device
from tests.support.forgedsystem import forge_system, lay_files
from tests.support.schemas import check_document
from tests.unit.verbs.test_who import FILES, LOADED, MODULES

SSH: dict[str, str | bytes] = {
    "proc/1/environ": "SSH_CONNECTION=10.0.0.1 5 10.0.0.2 22\0",
    "proc/1/stat": "1 (x) S 0 1 1 0 0\n",
    "proc/1/net/route": "head\neth0 0000000A 00000000 0001 0 0 0 000000FF 0 0 0\n",
}


@pytest.fixture
def roots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Roots:
    monkeypatch.setattr("pymodutils.state.caller.os.getpid", lambda: 1)
    return forge_system(tmp_path, MODULES, files={**FILES, **SSH}, loaded=LOADED)


def spoil(path: Path) -> None:
    """Put in the place of something what the system refuses to open: a link that leads to itself."""
    shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    path.symlink_to(path.name)


# --- prune


@pytest.mark.parametrize(
    "place",
    [
        "proc/1", "proc/1/net", "proc/1/net/ptype", "proc/1/net/ip_tables_names", "proc/1/mountinfo", "proc/1/ns",
        "proc/9/fd", "proc/consoles", "proc/crypto", "proc/swaps", "proc/tty/ldiscs", "proc/misc", "proc/devices",
        "proc/sys/net", "proc/sys/net/bridge", "proc/sys/net/core/default_qdisc",
        "proc/sys/net/ipv4/tcp_congestion_control", "proc/sys/fs/binfmt_misc", "sys/block", "sys/block/md0/md",
        "sys/block/md0/md/level", "sys/block/dm-0/slaves", "sys/bus/pci/drivers/e1000", "sys/class/net",
        "sys/class/net/br0", "sys/class/net/br0/uevent", "sys/devices", "sys/devices/pci/1/driver", "sys/module/e1000",
        "sys/module/e1000/drivers/pci:e1000",
    ],
)  # fmt: skip
def test_nothing_is_removable_where_users_may_be_hidden(
    roots: Roots, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(syscalls, "delete_module", lambda *_: pytest.fail("a module was unloaded"))
    assert "idle" in prune(Context(roots)).removable
    spoil(Path(roots.base, place))
    report = prune(Context(roots), remove=True)
    assert report.removable == ()
    (idle,) = [candidate for candidate in report.candidates if candidate.module == "idle"]
    assert not idle.removable and idle.reason.startswith("cannot tell ")
    assert [error.file for error in report.errors if error.errno == errno.ELOOP]
    done = run_inside("kmod", ["prune", "--json"], roots)
    assert done.status == 2 and not any(one["removable"] for one in check_document(done.out)["candidates"])


@pytest.mark.parametrize("place", ["proc/1/environ", "proc/1/net/route", "proc/1/stat"])
def test_what_the_caller_works_by_is_not_known(roots: Roots, place: str) -> None:
    assert "carries the interface eth0" in next(
        candidate.reason for candidate in prune(Context(roots)).candidates if candidate.module == "e1000"
    )
    spoil(Path(roots.base, place))
    report = prune(Context(roots))
    assert report.removable == ()
    assert [error for error in report.errors if error.text.endswith("what the caller works by is not known")]
    done = run_inside("kmod", ["who", "idle"], roots)
    assert done.status == 2 and b"what the caller works by is not known" in done.err


def test_an_order_may_lack_steps_where_users_may_be_hidden(roots: Roots) -> None:
    shown = run_inside("kmod", ["who", "raid456"], roots).out
    assert b"  order: mdadm --stop /dev/md0; rmmod raid456\n" in shown
    spoil(Path(roots.base, "proc/swaps"))
    done = run_inside("kmod", ["who", "raid456"], roots)
    assert b"  order, as far as it is known: mdadm" in done.out
    assert (done.status, f"{roots.proc}/swaps: ".encode() in done.err) == (1, True)


def test_of_a_process_that_ends_nothing_is_missed(roots: Roots, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.listdir

    def listdir(path: Any = ".") -> list[str]:
        if str(path).endswith("/9/fd/"):
            raise ProcessLookupError(errno.ESRCH, "No such process", path)
        return real(path)

    replace_call(monkeypatch, "listdir", listdir)
    assert "idle" in prune(Context(roots)).removable


ODD = b"\xff\x1b[31m\n\0x\n] [ 1:\0"


@pytest.mark.parametrize(
    "place", sorted(name for name, text in {**FILES, **SSH}.items() if text[:3] not in ("-> ", b"-> "))
)
def test_bytes_that_no_kernel_writes_are_no_internal_error(roots: Roots, place: str) -> None:
    Path(roots.base, place).write_bytes(ODD)
    for words in (["prune"], ["who", "loop"]):
        done = run_inside("kmod", words, roots)
        assert done.status in (0, 1, 2) and b"internal error" not in done.err, done.err


def test_what_netlink_would_tell_hides_modules_of_its_kind_alone(roots: Roots, monkeypatch: pytest.MonkeyPatch) -> None:
    """The forged system has no netlink: an interface without a driver may be of any module that makes some."""
    shutil.rmtree(Path(roots.sys, "class/net/br0"))
    lay_files(Path(roots.proc), {"modules": "bridge 1 0 - Live 0x0\nnf_tables 1 0 - Live 0x0\nidle 1 0 - Live 0x0\n"})
    Path(roots.sys, "module/nf_tables").mkdir()
    found = {candidate.module: candidate for candidate in prune(Context(roots)).candidates}
    assert found["bridge"].reason.startswith("cannot tell who uses it: kinds of links are not known")
    assert found["nf_tables"].reason.startswith("cannot tell who uses it: ")
    assert found["idle"].removable


# --- devices


@pytest.fixture
def bus(tmp_path: Path) -> Roots:
    roots = forge_system(tmp_path, {"nic": ["alias=pci:v1*"], "hub": ["alias=usb:*"]}, loaded={"hub": "0 - Live 0x0"})
    sys = Path(roots.sys)
    lay_device(sys, "pci/nic", "pci:v1x")
    lay_device(sys, "usb/hub", "usb:x", driver="hub", module=True)
    lay_files(sys, {"module/nic/.x": ""})
    shutil.rmtree(sys / "module/nic")
    return roots


def _unread_text(path: Path, _monkeypatch: pytest.MonkeyPatch) -> None:
    (path / "modalias").unlink()
    (path / "modalias").mkdir()


def _unread_directory(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.scandir

    def scandir(place: Any = ".") -> Any:
        if str(place) == str(path):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), place)
        return real(place)

    replace_call(monkeypatch, "scandir", scandir)


VERBS = ["devices", "devices --unhandled", "autoload -n", "graph --devices --format=json", "closure --from=devices"]
Hide = Callable[[Path, pytest.MonkeyPatch], None]


@pytest.mark.parametrize("hide", [_unread_text, _unread_directory])
@pytest.mark.parametrize("device", ["pci/nic", "usb/hub"])
@pytest.mark.parametrize("words", VERBS)
def test_a_device_that_cannot_be_read_is_told_of(
    bus: Roots, words: str, device: str, hide: Hide, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run_inside("kmod", words.split(), bus).status < 2
    path = Path(bus.sys, "devices", device)
    hide(path, monkeypatch)
    done = run_inside("kmod", words.split(), bus)
    assert done.status == 2
    assert str(path).encode() in done.err
    if "--format=json" not in words:
        words += " --json"
    errors = check_document(run_inside("kmod", words.split(), bus).out)["errors"]
    assert [error["file"] for error in errors if str(path) in (error["file"] or "")]


def test_a_device_whose_driver_cannot_be_read_is_not_called_unhandled(
    bus: Roots, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.readlink

    def readlink(path: Any, **named: Any) -> str:
        if str(path).endswith("usb/hub/driver"):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        return str(real(path, **named))

    replace_call(monkeypatch, "readlink", readlink)
    report = devices(Context(bus), unhandled=True)
    assert [device.modalias for device in report.devices] == ["pci:v1x"]
    assert [error.file for error in report.errors] == [f"{bus.sys}/devices/usb/hub/driver"]


def test_a_device_that_goes_away_is_not_missed(bus: Roots) -> None:
    path = Path(bus.sys, "devices/pci/nic/modalias")
    path.unlink()
    path.symlink_to("gone")
    assert run_inside("kmod", ["devices"], bus).status == 0


def test_of_very_many_the_first_are_named(bus: Roots) -> None:
    for number in range(MOST_UNREAD + 5):
        Path(bus.sys, f"devices/pci/{number}/modalias").mkdir(parents=True)
    errors = devices(Context(bus)).errors
    assert len(errors) == MOST_UNREAD + 1
    assert errors[-1].text == "5 more files of /proc and /sys could not be read"


def test_ensure_unloads_nothing_that_the_caller_may_work_by(roots: Roots) -> None:
    wanted = Path(roots.base, "wanted.toml")
    wanted.write_text('[module.idle]\nstate = "unloaded"\n')
    assert run_inside("kmod", ["ensure", "--check", str(wanted)], roots).status == 1
    spoil(Path(roots.proc, "1/environ"))
    done = run_inside("kmod", ["ensure", "--check", "--json", str(wanted)], roots)
    (result,) = check_document(done.out)["results"]
    assert (done.status, result["error"]["code"], result["actions"]) == (2, "cannot-tell", [])
    assert result["error"]["text"].startswith(f"{roots.proc}/1/environ: ")


# --- parameters


@pytest.fixture
def set_up(tmp_path: Path) -> Roots:
    """A loaded module with a parameter that drifts, and another one without parameters."""
    files: dict[str, str | bytes] = {
        "sys/module/given/parameters/debug": "1\n", "sys/module/given/version": "1\n", "proc/cmdline": "ro\n",
        "etc/modprobe.d/x.conf": "options given debug=2\n", "proc/sys/kernel/tainted": "0\n",
        "proc/sys/kernel/modules_disabled": "0\n", "want.toml": "[module.given]\nparameters = {debug = 1}\n",
    }  # fmt: skip
    modules = {"given": ["parmtype=debug:int"], "plain": []}
    return forge_system(tmp_path, modules, files=files, loaded=dict.fromkeys(modules, "0 - Live 0x0"))


def document(roots: Roots, *words: str) -> tuple[int, dict[str, Any]]:
    done = run_inside("kmod", [*words, "--json"], roots)
    return done.status, check_document(done.out)


def test_a_module_that_sys_does_not_show_may_have_parameters(set_up: Roots) -> None:
    assert document(set_up, "status", "given")[1]["modules"][0]["parameters"] == {"debug": "1"}
    assert document(set_up, "params", "plain") == (0, {**document(set_up, "params", "plain")[1], "errors": []})
    shutil.rmtree(Path(set_up.sys, "module"))
    Path(set_up.sys, "module").mkdir()
    status, report = document(set_up, "status", "given")
    assert (status, report["modules"][0]["parameters"]) == (0, None)
    for words in (["params", "given"], ["params", "plain"], ["params"], ["params", "--changed"]):
        status, report = document(set_up, *words)
        assert status == 2
        assert "the values of now are not known" in report["errors"][0]["text"]
        assert report["errors"][0]["file"].startswith(f"{set_up.sys}/module/")
    for words in (["reload", "--plan", "given"], ["reload", "plain"], ["params", "--save", "given"]):
        done = run_inside("kmod", words, set_up)
        assert done.status == 2 and b"the values of now are not known" in done.err, words
    status, report = document(set_up, "ensure", "--check", f"{set_up.base}/want.toml")
    assert (status, report["results"][0]["error"]["code"]) == (2, "cannot-tell")


def test_values_that_cannot_be_read_are_not_taken_for_wanted_ones(set_up: Roots) -> None:
    assert run_inside("kmod", ["params", "given"], set_up).status == 1
    spoil(Path(set_up.sys, "module/given/parameters/debug"))
    for words in (["params", "given"], ["params"], ["params", "--changed"]):
        status, report = document(set_up, *words)
        assert status == 2 and "cannot be read: debug" in report["errors"][0]["text"], words
    (found,) = document(set_up, "params", "given")[1]["modules"][0]["params"]
    assert (found["live"], found["drift"], found["writable"]) == (None, None, None)
    status, report = document(set_up, "ensure", "--check", f"{set_up.base}/want.toml")
    assert (status, report["results"][0]["error"]["code"]) == (2, "cannot-tell")
    status, report = document(set_up, "reload", "--plan", "given")
    assert (status, report["error"]["code"]) == (1, "cannot-keep")


@pytest.mark.parametrize("place", ["module/given/version", "module/given/parameters", "module/given/notes"])
def test_one_module_that_cannot_be_read_hides_no_other(set_up: Roots, place: str) -> None:
    path = Path(set_up.sys, place)
    if place.endswith("notes"):
        path.mkdir()
    spoil(path)
    status, report = document(set_up, "status")
    assert status == 2 and [module["name"] for module in report["modules"]] == ["given", "plain"]
    assert [error["errno"] for error in report["errors"]] == [errno.ELOOP]


def test_taint_that_cannot_be_read(set_up: Roots) -> None:
    spoil(Path(set_up.proc, "sys/kernel/tainted"))
    status, report = document(set_up, "status")
    assert (status, report["kernel_taint"]) == (2, None)


def test_a_builtin_module_without_parameters_is_shown_by_nothing(tmp_path: Path) -> None:
    roots = forge_system(tmp_path, {}, builtin=["inside"], loaded={})
    assert document(roots, "params", "inside")[0] == 0
    Path(roots.sys, "module").rmdir()
    assert document(roots, "params", "inside")[0] == 2


# --- what the kernel lets in


FACTS = {
    "proc/sys/kernel/modules_disabled": "0\n", "sys/module/module/parameters/sig_enforce": "N\n",
    "sys/kernel/security/lockdown": "[none] integrity confidentiality\n",
}  # fmt: skip


@pytest.mark.parametrize("text", [None, b"", b"\xff\x1b[31m\n\0]", b"2\n"])
@pytest.mark.parametrize("place", FACTS)
def test_what_the_kernel_does_not_tell_opens_and_closes_no_door(set_up: Roots, place: str, text: bytes | None) -> None:
    lay_files(Path(set_up.base), FACTS)
    door = document(set_up, "check", "plain")[1]["checks"][0]["doors"]["insmod"]
    assert door["open"] is True
    path = Path(set_up.base, place)
    spoil(path)
    if text is not None:
        path.unlink()
        path.write_bytes(text)
    check = document(set_up, "check", "plain")[1]["checks"][0]
    assert (check["doors"]["insmod"]["open"], check["doors"]["by_name"]["open"]) == (None, True)
    assert None in check["kernel"].values()
    assert b"kernel would not take" not in run_inside("kmod", ["reload", "--plan", "plain"], set_up).out


@pytest.mark.parametrize("place", list(FACTS)[1:])
def test_a_kernel_without_signatures_or_lockdown_has_no_secret(set_up: Roots, place: str) -> None:
    lay_files(Path(set_up.base), FACTS)
    Path(set_up.base, place).unlink()
    assert document(set_up, "check", "plain")[1]["checks"][0]["doors"]["insmod"]["open"] is True


@pytest.mark.parametrize(
    ("text", "inside"),
    [("0 0 4294967295\n", False), ("0 1000 1\n1 2 3\n", True), ("0 10", None), ("\x1b", None), ("", None)],
)
def test_a_map_of_users(tmp_path: Path, text: str, inside: bool | None) -> None:
    lay_files(tmp_path, {"self/uid_map": text})
    assert read_process_facts(Roots(proc=str(tmp_path))).in_user_namespace is inside
