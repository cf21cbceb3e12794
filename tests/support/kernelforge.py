# SPDX-License-Identifier: LGPL-2.1-or-later
"""Forge what a kernel is known by: images with certificates, ELF files with exports, variables of the firmware."""

from __future__ import annotations

import random
import struct
from collections.abc import Mapping

X509_LIST = bytes.fromhex("a159c0a5e494a74a87b5ab155c2bf072")
SHA256_LIST = bytes.fromhex("2616c4c14c509240aca941f936934328")
X509_SHA256_LIST = bytes.fromhex("92a4d23bc0967940b420fcf98ef103ed")

Export = tuple[int, bool, str]
"""CRC, whether it is for modules under the GPL alone, and namespace."""


def kernel_with(*certificates: bytes, measured: bool = True, decoy: bytes = b"", around: int = 1 << 16) -> bytes:
    """The bytes of a kernel with a list of certificates, aligned as in one, with its size behind it."""
    row = b"".join(certificates)
    size = struct.pack("<Q", len(row)) if measured else b"\xff" * 8
    text = random.Random(1).randbytes(around)
    return text + row + bytes(-len(row) % 8) + size + text + decoy + b"\xff" * 64


def certificate_like() -> bytes:
    """What is formed like a certificate as far as it is looked for: version 3, a serial number, and nothing else."""
    body = bytes.fromhex("a003020102") + b"\x02\x01\x07" + b"\x04\x82\x01\x00" + bytes(256)
    inner = b"\x30\x82" + len(body).to_bytes(2, "big") + body
    return b"\x30\x82" + len(inner).to_bytes(2, "big") + inner


def bzimage(payload: bytes, size: int) -> bytes:
    """Documentation/arch/x86/boot.rst: two sectors of setup, then code, then what is compressed, with its size."""
    setup = bytearray(3 * 512)
    setup[0x1F1] = 2
    setup[0x1FE:0x200] = b"\x55\xaa"
    setup[0x202:0x208] = b"HdrS" + struct.pack("<H", 0x20F)
    part = payload if payload.startswith(b"\x1f\x8b") else payload + struct.pack("<I", size)
    struct.pack_into("<II", setup, 0x248, 256, len(part))
    return bytes(setup) + b"\xf4" * 256 + part + b"\xf4" * 100


def zboot(payload: bytes, _size: int) -> bytes:
    """drivers/firmware/efi/libstub/zboot-header.S."""
    return b"MZ\0\0zimg" + struct.pack("<II", 64, len(payload)) + bytes(48) + payload + bytes(32)


def zimage(payload: bytes, _size: int) -> bytes:
    """ARM's: code that decompresses, with a number that tells what it is, then what is compressed."""
    return b"\0\0\xa0\xe1" * 9 + struct.pack("<I", 0x016F2818) + b"\x1f\x8b\x08 no" + bytes(500) + payload + bytes(9)


def wrapped(payload: bytes, _size: int) -> bytes:
    """MIPS's vmlinuz: an ELF file with the code that decompresses, and among its data what is compressed."""
    return _elf([(".text", 0x10000, b"\x08\0\xe0\x03" * 99), (".data", 0x20000, bytes(600) + payload)], 32, "<")


def unified(payload: bytes, size: int) -> bytes:
    """A bzImage inside a program for EFI."""
    return b"MZ" + bytes(1022) + bzimage(payload, size)


def signature_list(*entries: bytes, kind: bytes = X509_LIST) -> bytes:
    """UEFI's EFI_SIGNATURE_LIST: entries of one size, each with its owner."""
    size = 16 + len(entries[0])
    head = kind + struct.pack("<III", 28 + size * len(entries), 0, size)
    return head + b"".join(b"OWNEROWNEROWNER!" + entry for entry in entries)


def kernel_elf(
    exports: Mapping[str, Export], *, bits: int = 64, order: str = "<", relative: bool = True, fields: int = 3,
    flags_table: bool = False, crcs: bool = True, data: bytes = b"",
) -> bytes:  # fmt: skip
    """A kernel as an ELF file without symbols: tables of exports, their CRCs, and the strings that they point to.

    `data` is something more in it.
    """
    base = 0xFFFFFFFF81000000 if bits == 64 else 0xC1000000
    strings, places = b"\0", {"": base}
    for text in [*exports, *[namespace for _, _, namespace in exports.values()]]:
        if text not in places:
            places[text] = base + len(strings)
            strings += text.encode() + b"\0"
    parts: list[tuple[str, int, bytes]] = [("__ksymtab_strings", base, strings)]
    address = base + 0x10000
    word = "i" if relative else "Q" if bits == 64 else "I"
    width = struct.calcsize(order + word)
    groups = [("", sorted(exports))]
    if not flags_table:
        free = {name for name, (_, gpl, _) in exports.items() if not gpl}
        groups = [("", sorted(free)), ("_gpl", sorted(exports.keys() - free))]
    for suffix, names in groups:
        table = b""
        for name in names:
            for target in (base + 0x100000, places[name], places[exports[name][2]])[:fields]:
                here = address + len(table) if relative and target != base else 0
                table += struct.pack(order + word, 0 if relative and target == base else target - here)
        parts.append((f"__ksymtab{suffix}", address, table))
        if crcs:
            packed = b"".join(struct.pack(order + "I", exports[name][0]) for name in names)
            parts.append((f"__kcrctab{suffix}", address + len(table) + width, packed))
        address += 0x10000
    if flags_table:
        parts.append(("__kflagstab", address, bytes(exports[name][1] for name in sorted(exports))))
    return _elf([*parts, *([(".data", 0, data)] if data else [])], bits, order)


def _elf(parts: list[tuple[str, int, bytes]], bits: int, order: str) -> bytes:
    names = b"\0" + b"".join(name.encode() + b"\0" for name, _, _ in parts) + b".shstrtab\0"
    header_size, entry_size = (64, 64) if bits == 64 else (52, 40)
    body, table = b"", bytes(entry_size)
    for name, address, data in [*parts, (".shstrtab", 0, names)]:
        at = header_size + len(body)
        kind, flags = (3, 0) if name == ".shstrtab" else (1, 2)
        fields = (names.index(name.encode() + b"\0"), kind, flags, address, at, len(data), 0, 0, 1, 0)
        table += struct.pack(order + ("IIQQQQIIQQ" if bits == 64 else "IIIIIIIIII"), *fields)
        body += data
    ident = b"\x7fELF" + bytes((bits // 32, 1 if order == "<" else 2, 1)) + bytes(9)
    count = len(parts) + 2
    head = (
        2,
        62 if bits == 64 else 3,
        1,
        0,
        0,
        header_size + len(body),
        0,
        header_size,
        0,
        0,
        entry_size,
        count,
        count - 1,
    )
    return ident + struct.pack(order + ("HHIQQQIHHHHHH" if bits == 64 else "HHIIIIIHHHHHH"), *head) + body + table
