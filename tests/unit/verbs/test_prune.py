# SPDX-License-Identifier: LGPL-2.1-or-later
"""kmod prune: what nobody would miss, in the order in which it can go, and what stays."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from pymodutils import Context, PruneReport, Roots, prune, syscalls
from tests.support.common import run_inside
from tests.support.forgedsystem import forge_system, lay_files
from tests.support.schemas import check_document

LOADED = {
    "top": "0 - Live 0x0", "middle": "1 top, Live 0x0", "base": "2 middle,carrier, Live 0x0", "used": "1 - Live 0x0",
    "under": "1 used, Live 0x0", "stuck": "0 [permanent], Live 0x0", "carrier": "0 - Live 0x0", "alone": "0 - Live 0x0",
    "nic": "0 - Live 0x0", "mii": "1 nic, Live 0x0", "coming": "0 - Loading 0x0", "old": "- - Live 0x0",
    "root_bus": "0 - Live 0x0",
}  # fmt: skip
FILES: dict[str, str | bytes] = {
    "proc/1/mountinfo": "1 0 8:1 / / rw - ext3 /dev/sda1 rw\n",
    "proc/self/mountinfo": "1 0 8:1 / / rw - ext3 /dev/sda1 rw\n",
    "sys/class/net/veth0/uevent": "DEVTYPE=carrier\n",
    "sys/class/net/eth0/device": "-> ../../../devices/pci/1",
    "sys/devices/pci/1/uevent": "x",
    "sys/devices/pci/1/driver": "-> ../../../drivers/nic",
    "sys/drivers/nic/module": "-> ../../module/nic",
    "sys/drivers/bus/module": "-> ../../module/root_bus",
    "sys/dev/block/8:1": "-> ../../devices/scsi/sda1",
    "sys/devices/scsi/sda1/dev": "8:1\n",
    "sys/devices/scsi/driver": "-> ../../drivers/bus",
}  # fmt: skip


@pytest.fixture
def roots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Roots:
    monkeypatch.setattr("pymodutils.state.caller.os.getpid", lambda: 1)
    return forge_system(tmp_path, {name: [] for name in LOADED}, files=FILES, loaded=LOADED)


def shown(report: PruneReport) -> list[tuple[str, bool, str]]:
    return [(candidate.module, candidate.removable, candidate.reason) for candidate in report.candidates]


def test_nothing_goes_where_nobody_can_tell_what_it_carries(roots: Roots) -> None:
    Path(roots.modules, "modules.alias.bin").unlink()
    report = prune(Context(roots), remove=True)
    assert report.removable == report.removed == ()
    assert [error.code for error in report.errors if "no usable modules.alias.bin" in error.text] == ["cannot-tell"]
    assert ("alone", False, "cannot tell what it carries") in shown(report)
    assert ("root_bus", False, "carries the file system of / (/dev/sda1)") in shown(report)


def test_what_can_go_and_what_stays(roots: Roots) -> None:
    report = prune(Context(roots))
    assert shown(report) == [
        ("top", True, "nothing uses it"),
        ("middle", True, "only top needed it"),
        ("stuck", False, "permanent: the kernel does not unload it"),
        ("carrier", False, "something would be lost: veth0: interface, down"),
        ("alone", True, "nothing uses it"),
        ("nic", False, "something would be lost: eth0: interface, down"),
        ("root_bus", False, "carries the file system of / (/dev/sda1)"),
    ]
    assert report.removable == ("top", "middle", "alone")
    assert report.removed == ()
    assert report.candidates[3].would_lose == ("veth0: interface, down",)


def test_with_a_holder_gone_the_rest_follows(roots: Roots) -> None:
    (Path(roots.sys) / "class/net/veth0/uevent").unlink()
    assert ("base", True, "only middle, carrier needed it") in shown(prune(Context(roots)))


def test_remove_unloads_in_that_order(roots: Roots, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []

    def delete(name: bytes, _flags: int) -> None:
        calls.append(name.decode())
        if name == b"middle":
            raise OSError(errno.EAGAIN, "Resource temporarily unavailable")

    monkeypatch.setattr(syscalls, "delete_module", delete)
    report = prune(Context(roots), remove=True)
    assert calls == ["top", "middle", "alone"]
    assert report.removed == ("top", "alone")
    assert [error.subject for error in report.errors if error.severity == "error"] == ["middle"]


def test_the_command(roots: Roots, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(syscalls, "delete_module", lambda *_: None)
    done = run_inside("kmod", ["prune"], roots)
    lines = [" ".join(line.split()) for line in done.out.decode().splitlines()]
    assert lines[:3] == ["can go top nothing uses it", "can go middle only top needed it",
                         "stays stuck permanent: the kernel does not unload it"]  # fmt: skip
    assert lines[-1] == "order: rmmod top middle alone"
    assert run_inside("kmod", ["prune", "top"], roots).status == 2
    document = check_document(run_inside("kmod", ["prune", "--json", "--remove"], roots).out)
    assert document["removed"] == ["top", "middle", "alone"]


def test_exit_status(roots: Roots, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(syscalls, "delete_module", lambda *_: None)
    monkeypatch.setattr("pymodutils.verbs.prune.unknown", lambda _seen: [])
    assert run_inside("kmod", ["prune"], roots).status == 1
    assert run_inside("kmod", ["prune", "--remove"], roots).status == 0
    lay_files(Path(roots.proc), {"modules": "used 1 1 - Live 0x0\n"})
    done = run_inside("kmod", ["prune"], roots)
    assert (done.status, done.out) == (0, b"every loaded module is in use\n")


@pytest.mark.parametrize(
    ("modules", "loaded", "said"),
    [
        ("", 0, b"no module is loaded\n"),
        (None, None, b"this kernel cannot have modules: it is built without them\n"),
    ],
)
def test_without_modules(
    roots: Roots, modules: str | None, loaded: int | None, said: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pymodutils.verbs.prune.unknown", lambda _seen: [])
    lay_files(Path(roots.proc), {"version": "Linux version 6.1.0\n", "modules": modules or ""})
    if modules is None:
        (Path(roots.proc) / "modules").unlink()
    done = run_inside("kmod", ["prune"], roots)
    assert (done.status, done.out) == (0, said)
    assert check_document(run_inside("kmod", ["prune", "--json"], roots).out)["loaded"] == loaded
