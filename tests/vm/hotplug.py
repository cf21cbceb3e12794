# SPDX-License-Identifier: LGPL-2.1-or-later
"""How long it takes until the modules of a machine's devices are loaded: by kmod autoload, udevd, mdev, modprobe.

    python -m tests.vm.hotplug [ROUNDS]

All of them in the same machine of QEMU, one after the other, with all modules of Debian's kernel in the tree; then
devices are plugged in and pulled out by QEMU's monitor. Prints the tables of docs/kerneld.md. The status is 1 if one
does not load the modules that udevd loads.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.support import assets
from tests.vm import cpio, image
from tests.vm.harness import Guest, boot
from tests.vm.test_autoload import Monitor

KERNEL = "6.12"
ROUNDS = 3
DEVICES = (
    "-device qemu-xhci,id=usb -device intel-hda -device virtio-rng-pci -device virtio-net-pci -device nvme,serial=1 "
    "-device e1000"
).split()
PLUGGED: dict[str, dict[str, str]] = {
    "network interface, e1000e": {"driver": "e1000e"},
    "network interface, rtl8139": {"driver": "rtl8139"},
    "sound, AC97": {"driver": "AC97", "audiodev": "none"},
    "virtio balloon": {"driver": "virtio-balloon-pci"},
    "USB keyboard": {"driver": "usb-kbd", "bus": "usb.0"},
    "USB network": {"driver": "usb-net", "bus": "usb.0"},
}
"""Devices that are plugged in, as QEMU's monitor takes them."""

# --- what the guest needs besides


def programs_archive() -> Path:
    """busybox with mdev, and udevd with the one of its rules that loads modules."""
    key = image._digest(image._versions(assets.hotplug_programs()), Path(__file__).read_text())
    return assets.cached(f"hotplug-programs-{key}", _write_programs) / "cpio"


def _write_programs(folder: Path) -> None:
    unpacked = assets.hotplug_programs()
    with open(folder / "cpio", "wb") as output:
        archive = cpio.Writer(output)
        for name in ("usr", "usr/bin", "usr/lib", "usr/lib/systemd", "usr/lib/udev", "usr/lib/udev/rules.d", "etc"):
            archive.directory(name)
        rules = unpacked / "lib/udev/rules.d/80-drivers.rules"
        archive.file("usr/bin/busybox", (unpacked / "bin/busybox").read_bytes(), 0o755)
        archive.file("usr/lib/udev/rules.d/80-drivers.rules", rules.read_bytes())
        archive.symlink("usr/lib/systemd/systemd-udevd", "/usr/bin/udevadm")
        archive.file("etc/mdev.conf", b'$MODALIAS=.* 0:0 660 @/usr/sbin/modprobe -b "$MODALIAS"\n')
        archive.close()


# --- in the guest

MEASURE = """
import json, subprocess, threading
def busy():
    return sum(int(word) for word in read("/proc/stat").split()[1:4]) / os.sysconf("SC_CLK_TCK")
def resident():
    # of all processes that are no part of the harness, those of the kernel aside
    found = []
    for pid in os.listdir("/proc"):
        if pid.isdecimal() and int(pid) not in ours:
            try:
                if read(f"/proc/{pid}/cmdline") == own:
                    continue  # a copy of this process that is about to become another program
                status = dict(line.split(":", 1) for line in read(f"/proc/{pid}/status").splitlines())
                if "VmHWM" in status:
                    found.append(int(status["VmHWM"].split()[0]))
            except (OSError, ValueError):
                pass
    return found
own = read("/proc/self/cmdline")
ours = {int(pid) for pid in os.listdir("/proc") if pid.isdecimal()}
peak, count, done = 0, 0, False
def look():
    global peak, count
    while not done:
        found = resident()
        peak, count = max(peak, sum(found)), max(count, len(found))
        time.sleep(0.3)
def quiet(interval=1.0, rounds=2):
    # until no module has come for a while
    before, same = None, 0
    while same < rounds:
        now = set(modules())
        same = same + 1 if now == before else 0
        before = now
        time.sleep(interval)
looker = threading.Thread(target=look, daemon=True)
if LOOK: looker.start()
start, start_busy = time.monotonic(), busy()
BODY
seconds, cpu = time.monotonic() - start, busy() - start_busy
quiet()
done = True
print(json.dumps([seconds, cpu, peak, count, sorted(modules())]))
"""

WALK = """
def uevents():
    for directory, names, files in os.walk("/sys/devices"):
        if "uevent" in files:
            yield directory + "/uevent"
"""
COLDPLUG = {
    "kmod autoload": """
subprocess.run(["/opt/pymodutils/bin/kmod", "autoload", "--coldplug"], stdout=-3, stderr=-3)
""",
    "systemd-udevd": """
subprocess.run("rm -rf /run/udev; mkdir -p /run/udev /etc/udev", shell=True, check=True)
subprocess.run(["/usr/lib/systemd/systemd-udevd", "--daemon"], check=True)
subprocess.run(["/usr/bin/udevadm", "trigger", "--action=add"], check=True)
subprocess.run(["/usr/bin/udevadm", "settle", "--timeout=200"], check=True)
""",
    "busybox mdev": WALK + """
subprocess.run(["/usr/bin/busybox", "mdev", "-d"], check=True)
for path in uevents():
    try:
        with open(path, "w") as stream:
            stream.write("add")
    except OSError:
        pass
wanted = set(WANTED)
while not wanted <= set(modules()) and time.monotonic() - start < 200:
    time.sleep(0.2)
""",
    "find | xargs modprobe": """
# Buses bring further devices: again until nothing is new.
before = None
while before != (now := set(modules())):
    before = now
    subprocess.run("busybox find /sys/devices -name modalias | busybox xargs busybox cat | busybox sort -u |"
                   " busybox xargs /usr/sbin/modprobe -abq", shell=True)
""",
}  # fmt: skip
"""How each loads what the devices that are there ask for."""

SERVICES = {
    "kmod autoload": "rm -f /tmp/ready; PATH=/opt/pymodutils/bin:$PATH kmod autoload --ready-fd=3 3>/tmp/ready "
    "</dev/null >/dev/null 2>&1 & echo $! >/tmp/pid; until [ -s /tmp/ready ]; do sleep 0.2; done",
    "systemd-udevd": "rm -rf /run/udev; mkdir -p /run/udev /etc/udev; /usr/lib/systemd/systemd-udevd --daemon; "
    "udevadm trigger --action=add; udevadm settle; for d in /proc/[0-9]*; do read -r n <$d/comm; "
    '[ "$n" = systemd-udevd ] && echo ${d#/proc/} >/tmp/pid; [ -s /tmp/pid ] && break; done',
}
"""How each is started as a service; /tmp/pid has its number."""


class Answer:
    """What one of them did."""

    def __init__(self, guest: Guest, body: str, *, look: bool = False) -> None:
        code = MEASURE.replace("LOOK", str(look)).replace("BODY", body)
        found = json.loads(guest.python(code, timeout=300).check().stdout)
        self.seconds, self.cpu, self.memory, self.processes = found[:4]
        self.modules = set(found[4])


def reset(guest: Guest) -> None:
    """As after boot, but for modules that cannot be unloaded any more: they are there for all of them alike."""
    guest.python("print(*reset())", timeout=100).check()


def coldplug(guest: Guest, rounds: int) -> tuple[dict[str, list[Answer]], set[str]]:
    """Let each load what is there, in turn, `rounds` times; return what each did, and what udevd had loaded."""
    answers: dict[str, list[Answer]] = {name: [] for name in COLDPLUG}
    wanted = Answer(guest, COLDPLUG["systemd-udevd"]).modules
    for number in range(rounds + 1):
        for name, body in COLDPLUG.items():
            reset(guest)
            # The last round looks at memory, which takes time of the one processor.
            answers[name].append(Answer(guest, body.replace("WANTED", repr(sorted(wanted))), look=number == rounds))
    return answers, wanted


def plug(guest: Guest, monitor: Monitor, name: str) -> tuple[dict[str, float], set[str], int]:
    """Start a service, plug each device in and pull it out; return how long each took, what is loaded, its memory."""
    reset(guest)
    guest.run(SERVICES[name], timeout=200).check()
    loaded, took = set(guest.run("true").modules), {}
    for device, arguments in PLUGGED.items():
        before = loaded
        start = time.monotonic()
        monitor.do("device_add", id="plugged", **arguments)
        while (loaded := set(guest.run("true").modules)) <= before:
            if time.monotonic() - start > 30:
                break
        took[device] = time.monotonic() - start
        time.sleep(2)
        loaded = set(guest.run("true").modules)
        monitor.do("device_del", id="plugged")
        time.sleep(2)
    status = guest.run("cat /proc/$(cat /tmp/pid)/status").check().stdout
    memory = next(int(line.split()[1]) for line in status.splitlines() if line.startswith(b"VmHWM"))
    return took, loaded, memory


def main(rounds: int = ROUNDS) -> bool:
    """Measure, print the tables, and tell whether one differs from udevd."""
    with tempfile.TemporaryDirectory() as folder:
        socket = Path(folder) / "qmp"
        qemu = [*DEVICES, "-audiodev", "none,id=none", "-qmp", f"unix:{socket},server=on,wait=off"]
        extra = [image.boot_programs_archive(), programs_archive()]
        guest = boot(KERNEL, modules=None, qemu=qemu, extra=extra)
        try:
            monitor = Monitor(socket)
            answers, wanted = coldplug(guest, rounds)
            differs = _show_coldplug(answers, wanted)
            sys.stdout.flush()
            plugged = {name: plug(guest, monitor, name) for name in SERVICES}
            differs |= _show_plugged(plugged)
        finally:
            guest.kill()
    return differs


def _show_coldplug(answers: dict[str, list[Answer]], wanted: set[str]) -> bool:
    print(f"Linux {assets.release(KERNEL)}, {len(wanted)} modules by udevd\n")
    print("| | seconds | CPU seconds | peak memory | modules |\n|---|---|---|---|---|")
    differs = False
    for name, (*timed, looked) in answers.items():
        seconds, cpu = (statistics.median(values) for values in ([a.seconds for a in timed], [a.cpu for a in timed]))
        missing, more = wanted - looked.modules, looked.modules - wanted
        other = ", ".join(
            [*(f"without {found}" for found in sorted(missing)), *(f"and {found}" for found in sorted(more))]
        )
        differs |= bool(missing | more)
        memory = f"{looked.memory / 1024:.0f} MB, {looked.processes} processes"
        print(f"| {name} | {seconds:.1f} | {cpu:.1f} | {memory} | {other or 'the same'} |")
    return differs


def _show_plugged(plugged: dict[str, tuple[dict[str, float], set[str], int]]) -> bool:
    print(f"\n| plugged in | {' | '.join(plugged)} |\n|{'---|' * (len(plugged) + 1)}")
    for device in PLUGGED:
        print(f"| {device} | {' | '.join(f'{took[device]:.1f} s' for took, _, _ in plugged.values())} |")
    print(
        f"| peak memory of the service | {' | '.join(f'{memory / 1024:.0f} MB' for _, _, memory in plugged.values())} |"
    )
    sys.stdout.flush()
    first, *others = [loaded for _, loaded, _ in plugged.values()]
    differing: Any = [sorted(first ^ other) for other in others if first != other]
    print(f"\nmodules afterwards: {differing or 'the same'}")
    return bool(differing)


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
