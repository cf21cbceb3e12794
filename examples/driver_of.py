# SPDX-License-Identifier: LGPL-2.1-or-later
"""Which module drives this device?

python examples/driver_of.py /sys/bus/pci/devices/0000:00:03.0
python examples/driver_of.py usb:v046DpC52Bd1201dc00dsc00dp00ic03isc01ip01in00
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from pymodutils import Context


def modalias_of(device: Path) -> str:
    """Return the text by which a device asks for its driver."""
    return (device / "modalias").read_text().strip()


def driver_of(device: Path) -> str | None:
    """Return the module whose driver a device has; None for a driver of the kernel itself, or none."""
    module = device / "driver/module"
    return module.resolve().name if module.exists() else None


def candidates(system: Context, modalias: str) -> Iterator[tuple[str, str, str]]:
    """Yield name, state and origin of each module for a device; `denied` ones would not be loaded for it."""
    for match in system.lookup(modalias):
        rule = match.blacklisted or system.config.install(match.name)
        state = f"denied by {rule.origin}" if rule else system.status(match).state
        yield match.name, state, match.origin


if __name__ == "__main__":
    wanted = sys.argv[1]
    if wanted.startswith("/"):
        print("has:", driver_of(Path(wanted)) or "no module")
        wanted = modalias_of(Path(wanted))
    with Context() as here:
        for row in candidates(here, wanted):
            print(*row, sep="  ")
