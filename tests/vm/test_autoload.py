# SPDX-License-Identifier: LGPL-2.1-or-later
"""kmod autoload on a real kernel with devices that QEMU plugs in: it loads what the real modprobe loads for them."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.schemas import check_document
from tests.vm.cases import configure
from tests.vm.harness import Guest, Job

DEVICES = (
    "-device qemu-xhci,id=usb -device intel-hda -device virtio-rng-pci -device virtio-net-pci -device nvme,serial=1"
).split()
MODULES = (
    "e1000 virtio_net virtio_pci virtio_rng virtio_balloon xhci_pci uhci_hcd ehci_pci usbhid hid_generic nvme loop "
    "snd_hda_intel i2c_piix4 pcspkr psmouse serio_raw evdev ata_piix ata_generic pata_acpi intel_agp kvm_amd kvm_intel "
    "intel_rapl_msr rapl acpi_cpufreq floppy"
).split()

ASK_MODPROBE = """
import glob, subprocess
def modaliases():
    found = set()
    for directory, _names, files in os.walk("/sys/devices"):
        if "modalias" in files:
            found.add(read(directory + "/modalias").strip())
    return sorted(found - {""})
before = None
while (asked := modaliases()) != before:
    subprocess.run(["/opt/kmod34/bin/modprobe", "-abq", *asked])
    time.sleep(1)
    before = asked
print(len(asked))
"""


class Monitor:
    """QEMU's monitor: plugs devices in and pulls them out."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(str(path))
        self._lines = self._socket.makefile()
        self.do("qmp_capabilities")

    def do(self, command: str, **arguments: str) -> None:
        self._socket.sendall(json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")
        for line in self._lines:
            answer: dict[str, Any] = json.loads(line)
            assert "error" not in answer, answer
            if "return" in answer:
                return


def until(condition: Callable[[], object], what: str) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, f"no {what}"
        time.sleep(0.2)


def names(guest: Guest) -> set[str]:
    return set(guest.run("true").modules)


@pytest.fixture
def plugged(boot_own: Callable[..., Guest], tmp_path: Path) -> Iterator[tuple[Guest, Monitor]]:
    monitor = tmp_path / "qmp"
    qemu = [*DEVICES, "-qmp", f"unix:{monitor},server=on,wait=off"]
    yield boot_own(modules=MODULES, qemu=qemu), Monitor(monitor)


LOOK_AT_DEVICES = """
import json, subprocess
found = {}
for directory, names, files in os.walk("/sys/devices"):
    if "modalias" in files and (alias := read(directory + "/modalias").strip()):
        driver = os.path.basename(os.readlink(directory + "/driver")) if "driver" in names else None
        done = subprocess.run(["/opt/kmod34/bin/modprobe", "-R", alias], capture_output=True)
        found[directory] = [alias, driver, done.stdout.decode().split()]
print(json.dumps(found))
"""


def check_devices(guest: Guest) -> None:
    """kmod devices says of each device what /sys and the real modprobe say."""
    expected = json.loads(guest.python(LOOK_AT_DEVICES, timeout=100).check().stdout)
    shown = check_document(guest.tool("ours", ["kmod", "devices", "--json"], timeout=60).check().stdout)["devices"]
    assert {device["path"] for device in shown} == expected.keys()
    loaded = names(guest)
    for device in shown:
        alias, driver, modules = expected[device["path"]]
        assert (device["modalias"], device["driver"]) == (alias, driver)
        states = {candidate["module"]: candidate["state"] for candidate in device["candidates"]}
        assert len(states) == len(device["candidates"])
        assert [module for module, state in states.items() if state != "builtin"] == [
            module for module in dict.fromkeys(modules) if states.get(module) != "builtin"
        ]
        assert all((state == "live") == (module in loaded) for module, state in states.items() if state != "builtin")
    done = guest.tool("ours", ["kmod", "devices", "--unhandled", "--json"], timeout=60)
    unhandled = {device["path"] for device in check_document(done.stdout)["devices"]}
    assert (done.status, bool(unhandled)) in ((1, True), (0, False))
    assert not [path for path in unhandled if expected[path][1]]


FORGE = """
import socket
message = b"add@/devices/x|ACTION=add|SUBSYSTEM=x|MODALIAS=MODULE|".replace(b"|", bytes(1))
forger = socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, 15)
forger.bind((0, 0))
port = int(read("/tmp/pid"))
for number in range(10_000):
    forger.sendto(message, (0, 1) if number % 2 else (port, 0))
"""


def start(guest: Guest) -> Job:
    """Start the service, and wait until it is ready."""
    command = "echo $$ >/tmp/pid; exec kmod autoload --json --ready-fd=3 3>/tmp/ready"
    job = guest.start(command, env={"PATH": "/opt/pymodutils/bin:/usr/bin"}, timeout=200)
    until(lambda: guest.run("cat /tmp/ready").stdout == b"\n", "readiness")
    return job


@pytest.mark.one_kernel
def test_what_modprobe_loads_for_the_devices_and_what_is_plugged_in_later(
    plugged: tuple[Guest, Monitor],
) -> None:
    guest, monitor = plugged
    before = names(guest)
    assert int(guest.python(ASK_MODPROBE, timeout=120).check().stdout) > 20
    by_modprobe = names(guest)
    assert {"virtio_net", "virtio_rng", "snd_hda_intel", "xhci_pci", "nvme"} <= by_modprobe
    guest.reset()
    assert names(guest) == before
    configure("blacklist snd_hda_intel\n")(guest)
    shown = guest.tool("ours", ["kmod", "autoload", "-n", "--json"], timeout=60).check()
    assert names(guest) == before
    would = {module["module"]: module["outcome"] for module in check_document(shown.stdout)["modules"]}
    assert would["snd_hda_intel"] == "denied" and would["nvme"] == "would-load"
    guest.run("rm /etc/modprobe.d/test.conf").check()

    job = start(guest)
    assert names(guest) == by_modprobe
    check_devices(guest)
    (line,) = [line for line in guest.run("cat /proc/$(cat /tmp/pid)/status").stdout.splitlines() if b"VmRSS" in line]
    resident = int(line.split()[1])
    assert resident < 20 * 1024  # 13,644 on Python 3.11: docs/kerneld.md

    assert "e1000" not in by_modprobe and "usbhid" not in by_modprobe
    monitor.do("device_add", driver="e1000", id="net1")
    until(lambda: "e1000" in names(guest), "driver of the network interface")
    monitor.do("device_add", driver="usb-kbd", id="keys", bus="usb.0")
    until(lambda: {"usbhid", "hid_generic"} <= names(guest), "driver of the keyboard")
    monitor.do("device_del", id="net1")
    until(lambda: guest.run("ls /sys/bus/pci/drivers/e1000 | grep 0000").stdout == b"", "unplugging")
    guest.run(["rmmod", "e1000"]).check()
    monitor.do("device_add", driver="e1000", id="net2")
    until(lambda: "e1000" in names(guest), "driver after unplugging")

    guest.python(FORGE.replace("MODULE", "loop"), timeout=60).check()
    guest.run("kill -USR1 $(cat /tmp/pid); sleep 1; kill -TERM $(cat /tmp/pid)").check()
    done = job.wait().check()
    report = check_document(done.stdout)
    assert "loop" not in names(guest)
    assert report["foreign"] >= 9000  # of those to its own port some may have found no room
    assert {"e1000", "usbhid", "hid_generic"} <= {module["module"] for module in report["modules"]}
    assert [
        module for module in report["modules"] if module["outcome"] == "failed" and module["module"] == "loop"
    ] == []
    assert b"foreign messages; devices looked at" in done.stderr
