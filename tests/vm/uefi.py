# SPDX-License-Identifier: LGPL-2.1-or-later
"""A machine with UEFI for `boot`: its variables are ours, and under Secure Boot its kernel is one that they allow.

    with boot("6.12", machine=uefi("6.12", folder, {"db": signature_list(certificate)}, owner=certificate)) as guest:

Nothing is signed for it: the hash of the kernel's image is put into db. The kernel and its initial file system are
files of a disk, since QEMU's own loader would change the image.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import pefile
from virt.firmware.efi import efivar, guids, ucs16
from virt.firmware.efi.devpath import DevicePath
from virt.firmware.varstore import edk2
from virt.peutils import pesign

from tests.support import assets
from tests.support.kernelforge import SHA256_LIST, signature_list

_FIRMWARE = Path("/usr/share/OVMF")
_OWNERS = {
    **dict.fromkeys(("db", "dbx"), "d719b2cb-3d3a-4596-a3bc-dad00e67656f"),
    **dict.fromkeys(("PK", "KEK"), "8be4df61-93ca-11d2-aa0d-00e098032b8c"),
    **dict.fromkeys(("MokListRT", "MokListXRT"), "605dab50-e046-4300-abb6-3dd810dd8b23"),
}
_PLAIN, _AUTHENTICATED = 0x07, 0x27  # kept, for the boot loader and the kernel; and to be changed by who can sign

Machine = Callable[[Path, int, str], list[str]]


def uefi(kernel: str, folder: Path, variables: Mapping[str, bytes], owner: bytes | None = None) -> Machine:
    """QEMU's words for a machine with these variables; `owner` is the certificate with which Secure Boot is on.

    The variables are lists of signatures. What the machine needs lies in `folder`.
    """
    image = next(assets.linux(kernel).glob("boot/vmlinuz-*"))
    values = dict(variables)
    if owner:
        digest = pesign.pe_authenticode_hash(pefile.PE(data=image.read_bytes()))
        values["db"] = signature_list(digest, kind=SHA256_LIST) + values.get("db", b"")
        values |= {"PK": signature_list(owner), "KEK": signature_list(owner)}
    store = edk2.Edk2VarStore(str(_FIRMWARE / "OVMF_VARS_4M.fd"))
    stored = store.get_varlist()
    for name, value in values.items():
        attributes = _PLAIN if name.startswith("Mok") else _AUTHENTICATED
        stored[name] = efivar.EfiVar(
            ucs16.from_string(name), guid=guids.parse_str(_OWNERS[name]), attr=attributes, data=value
        )
    if owner:
        stored.enable_secureboot()

    def words(running: Path, memory: int, options: str) -> list[str]:
        disk, written = folder / "disk", folder / "variables"
        disk.mkdir()
        shutil.copy(image, disk / "linux.efi")
        shutil.move(running / "initramfs", disk / "initrd")
        (running / "initramfs").touch()
        arguments = f"initrd=\\initrd {options}".encode("utf-16-le") + b"\0\0"
        entry = stored.add_boot_entry("linux", DevicePath.filepath("linux.efi"), arguments)
        stored.append_boot_order(entry)
        store.write_varstore(str(written), stored)
        return [
            *"qemu-system-x86_64 -machine pc,accel=tcg -cpu max,la57=off -nodefaults -display none -no-reboot".split(),
            *("-m", str(memory)),
            *("-drive", f"if=pflash,format=raw,readonly=on,file={_FIRMWARE / 'OVMF_CODE_4M.fd'}"),
            *("-drive", f"if=pflash,format=raw,file={written}"),
            *("-drive", f"if=none,id=disk,format=raw,readonly=on,file=fat:{disk}"),
            *("-device", "virtio-blk-pci,drive=disk"),
            *("-serial", f"file:{running / 'console'}", "-serial", "stdio"),
        ]

    return words
