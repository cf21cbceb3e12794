# SPDX-License-Identifier: LGPL-2.1-or-later
"""Boot Debian with our package in place of kmod and run the checks of checks.sh in it.

    python -m tests.acceptance [bookworm] [trixie]      default: both, one after the other
    python -m tests.acceptance --keep FOLDER ...        leave disk, console and results there

Emulation in software only. Takes about ten minutes for each release the first time; needs root, for mmdebstrap.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.acceptance import image

LIMIT = 45 * 60  # seconds of a whole boot, under emulation on a busy machine
KERNEL_OPTIONS = (
    "root=/dev/vda rootfstype=ext4 ro console=ttyS0 panic=-1 mitigations=off tsc=reliable no_timer_check nowatchdog "
    "random.trust_cpu=on cryptomgr.notests=1 net.ifnames=0 systemd.default_timeout_start_sec=900"
)
CHECKS = re.findall(r"(?m)^check_(\w+)\(\)", image.HERE.joinpath("checks.sh").read_text())


def boot(system: image.System, limit: float = LIMIT) -> str:
    """Boot the system and wait until it powers off; what it wrote to its second serial port."""
    results = system.folder / "results"
    command: list[str | Path] = [
        *"qemu-system-x86_64 -machine pc,accel=tcg -cpu max -m 1536 -nodefaults -display none -no-reboot".split(),
        *("-kernel", system.kernel, "-initrd", system.initrd, "-append", KERNEL_OPTIONS),
        *("-drive", f"file={system.disk},format=raw,if=virtio,cache=unsafe"),
        *("-nic", "user,model=virtio-net-pci,restrict=on"),
        *("-serial", f"file:{system.folder / 'console'}", "-serial", f"file:{results}"),
    ]
    with subprocess.Popen(command) as process:
        try:
            process.wait(limit)
        except subprocess.TimeoutExpired:
            process.kill()
    return results.read_text(errors="replace").replace("\r\n", "\n") if results.exists() else ""


def failures(results: str) -> list[str]:
    """Names of the checks that did not end well, or at all."""
    passed = set(re.findall(r"(?m)^=== (\w+) ok \d+$", results))
    return [name for name in CHECKS if name not in passed]


def accept(codename: str, folder: Path) -> bool:
    """Build, boot, check; print what came of it."""
    start = time.monotonic()
    system = image.build(codename, folder)
    print(f"{codename}: disk and initramfs built in {time.monotonic() - start:.0f} s", flush=True)
    start = time.monotonic()
    results = boot(system)
    print(
        "".join(f"{codename}: {line[4:]}\n" for line in results.splitlines() if re.match(r"=== \w+ \w+ \d+$", line)),
        end="",
    )
    failed = failures(results)
    if failed:
        console = folder.joinpath("console").read_text(errors="replace")
        print(f"--- end of the console\n{console[-6000:]}\n--- results\n{results[-30000:]}")
    verdict = f"FAILED: {' '.join(failed)}" if failed else "all checks passed"
    print(f"{codename}: {verdict} in {time.monotonic() - start:.0f} s of emulation", flush=True)
    return not failed


def main() -> int:
    """Parse the command line; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.acceptance")
    parser.add_argument("release", nargs="*", default=["bookworm", "trixie"])
    parser.add_argument("--keep", type=Path)
    arguments = parser.parse_args()
    if os.geteuid():
        parser.error("needs root")
    accepted = []
    for codename in arguments.release:
        with tempfile.TemporaryDirectory(prefix="pymodutils-acceptance-") as scratch:
            folder = (arguments.keep or Path(scratch)) / codename
            folder.mkdir(parents=True)
            accepted.append(accept(codename, folder))
    return 0 if all(accepted) else 1


if __name__ == "__main__":
    sys.exit(main())
