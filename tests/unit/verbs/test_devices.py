# SPDX-License-Identifier: LGPL-2.1-or-later
"""kmod devices: drivers, candidates and their states, on a forged /sys."""

from __future__ import annotations

from pathlib import Path

import pytest

from pymodutils import Context, Device, DeviceCandidate, LiveKernelNotAskedError, Place, Roots, devices
from tests.support.common import run_inside
from tests.support.devices import lay_device
from tests.support.forgedsystem import forge_system, needing, of_another_release
from tests.support.schemas import check_document

MODULES = {
    "net": needing("net", strings=["alias=pci:v1d1*"]),
    "net_old": needing("net_old", strings=["alias=pci:v1d*"]),
    "sound": needing("sound", strings=["alias=pci:v2d*", "alias=pci:v2*"]),
    "disk": needing("disk", strings=["alias=pci:v3d*"]),
}
CONF = "blacklist net-old\ninstall disk /bin/false\n"


@pytest.fixture
def roots(tmp_path: Path) -> Roots:
    roots = forge_system(
        tmp_path, MODULES, builtin=["inside"], files={"etc/modprobe.d/a.conf": CONF}, loaded={"net": "1 - Live 0x0"}
    )
    sys = Path(roots.sys)
    lay_device(sys, "pci0/00:03", "pci:v1d1", driver="net", module=True)
    lay_device(sys, "pci0/00:04", "pci:v2d7")
    lay_device(sys, "pci0/00:05", "pci:v3d7")
    lay_device(sys, "pci0/00:06", "pci:v9d9")
    lay_device(sys, "pci0/00:07", "pci:v8d8", driver="own")
    lay_device(sys, "pci0/00:08", None, driver="own")
    lay_device(sys, "virtual/dmi/id", "dmi:bvnX", bus="class/dmi")
    lay_device(sys, "pci0/00:09", "pci:[")
    return roots


def by_name(found: tuple[Device, ...]) -> dict[str, Device]:
    return {device.path.rpartition("/")[2]: device for device in found}


def test_drivers_candidates_and_what_keeps_them_out(roots: Roots) -> None:
    report = devices(Context(roots))
    found = by_name(report.devices)
    conf = f"{roots.base}/etc/modprobe.d/a.conf"
    assert list(found) == ["00:03", "00:04", "00:05", "00:06", "00:07", "00:09", "id"]
    assert found["00:03"] == Device(
        f"{roots.sys}/devices/pci0/00:03", "pci:v1d1", "net",
        (
            DeviceCandidate("net", "live", None),
            DeviceCandidate("net_old", "available", Place(conf, 1, "blacklist net_old")),
        ), "pci",
    )  # fmt: skip
    assert found["00:04"].candidates == (DeviceCandidate("sound", "available", None),)
    (disk,) = found["00:05"].candidates
    assert (disk.module, disk.by and disk.by.line) == ("disk", 2)
    assert (found["00:06"].candidates, found["00:07"].driver, found["00:09"].candidates) == ((), "own", ())
    assert found["id"].bus is None
    assert report.errors == ()


def test_unhandled_devices_are_those_of_buses_without_a_driver(roots: Roots) -> None:
    report = devices(Context(roots), unhandled=True)
    assert list(by_name(report.devices)) == ["00:04", "00:05", "00:06", "00:09"]
    assert all(device.is_unhandled for device in report.devices)


def test_the_modules_of_another_release(roots: Roots) -> None:
    report = devices(of_another_release(roots))
    assert [candidate.state for candidate in by_name(report.devices)["00:03"].candidates] == ["available", "available"]
    with pytest.raises(LiveKernelNotAskedError):
        devices(Context(Roots.of_system("/nowhere")))


def test_the_command(roots: Roots) -> None:
    done = run_inside("kmod", ["devices"], roots)
    assert (done.status, done.err) == (0, b"")
    lines = [line.split() for line in done.out.decode().splitlines()]
    conf = f"{roots.base}/etc/modprobe.d/a.conf"
    assert lines[0] == ["DEVICE", "DRIVER", "MODULE", "STATE", "KEPT", "OUT", "BY", "MODALIAS"]
    assert lines[1] == [f"{roots.sys}/devices/pci0/00:03", "net", "net", "live", "-", "pci:v1d1"]
    assert lines[2] == ["net_old", "available", f"{conf}:1"]
    assert lines[5] == [f"{roots.sys}/devices/pci0/00:06", "-", "-", "-", "-", "pci:v9d9"]
    done = run_inside("kmod", ["devices", "--unhandled", "--json"], roots)
    document = check_document(done.out)
    assert done.status == 1
    assert [device["driver"] for device in document["devices"]] == [None] * 4


def test_nothing_unhandled_is_good(tmp_path: Path) -> None:
    roots = forge_system(tmp_path, MODULES)
    lay_device(Path(roots.sys), "pci0/00:03", "pci:v1d1", driver="net")
    done = run_inside("kmod", ["devices", "--unhandled"], roots)
    assert (done.status, done.out, done.err) == (0, b"no such device\n", b"")


def test_mistakes_and_what_cannot_be_told(roots: Roots, tmp_path: Path) -> None:
    done = run_inside("kmod", ["devices", "net"], roots)
    assert (done.status, done.out) == (2, b"") and b"shows all devices, not net" in done.err
    done = run_inside("kmod", ["devices", "--root", "/tmp"], roots)
    assert done.status == 2 and b"its devices are not known" in done.err
    Path(roots.modules, "modules.alias.bin").write_bytes(b"damage")
    done = run_inside("kmod", ["devices"], roots)
    assert done.status == 2 and done.err.count(b"\n") == 1
    done = run_inside("kmod", ["devices"], roots.replace(sys=f"{tmp_path}/none"))
    assert done.status == 2 and b"none/devices: No such file or directory" in done.err


def test_without_a_module_directory_drivers_are_known_and_candidates_are_not(roots: Roots) -> None:
    elsewhere = roots.replace(module_dir="/nowhere")
    done = run_inside("kmod", ["devices", "--json"], elsewhere)
    document = check_document(done.out)
    assert (done.status, done.err.count(b"\n")) == (2, 1)
    assert document["errors"][0]["file"] == elsewhere.modules
    assert document["devices"][0]["driver"] == "net" and not any(one["candidates"] for one in document["devices"])


def test_entries_of_the_firmwares_tables_that_stand_for_others_are_not_unhandled(tmp_path: Path) -> None:
    roots = forge_system(tmp_path, MODULES)
    sys = Path(roots.sys)
    lay_device(sys, "acpi/keyboard", "acpi:PNP0303:", bus="bus/acpi")
    (sys / "devices/acpi/keyboard/physical_node").mkdir()
    lay_device(sys, "acpi/root", "acpi:LNXSYSTM:", bus="bus/acpi")
    lay_device(sys, "acpi/lost", "acpi:XYZ0001:", bus="bus/acpi")
    assert list(by_name(devices(Context(roots), unhandled=True).devices)) == ["lost"]
