# SPDX-License-Identifier: LGPL-2.1-or-later
"""Devices of a forged /sys."""

from __future__ import annotations

from pathlib import Path

from tests.support.forgedsystem import lay_files


def lay_device(
    sys: Path, name: str, modalias: str | None, *, bus: str = "bus/pci", driver: str | None = None, module: bool = False
) -> str:
    """Lay a device below SYS/devices, with the driver bound to it and that one's module of the same name."""
    top = f"devices/{name}"
    up = "../" * (name.count("/") + 2)
    files = {f"{top}/subsystem": f"-> {up}{bus}", f"{top}/uevent": ""}
    if modalias is not None:
        files[f"{top}/modalias"] = f"{modalias}\n"
    if driver:
        files[f"{top}/driver"] = f"-> {up}{bus}/drivers/{driver}"
        place = sys / bus / "drivers" / driver
        if not place.exists():
            lay_files(place, {"bind": ""})
            if module:
                lay_files(place, {"module": f"-> ../../../../module/{driver}"})
    lay_files(sys, files)
    return f"{sys}/{top}"
