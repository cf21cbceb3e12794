# SPDX-License-Identifier: LGPL-2.1-or-later
"""Kernel images: the kernel inside, whatever compresses it, and the certificates that it trusts from the start.

Read are x86's bzImage, ARM's zImage, EFI's compressed images ("zboot"), Image, Image.gz, ELF files, ELF files that
unpack the kernel (vmlinuz of MIPS, zImage of PowerPC), and unified images that hold one of these. Source:
Documentation/arch/x86/boot.rst, drivers/firmware/efi/libstub/zboot-header.S, arch/mips/boot/compressed,
certs/system_certificates.S.
"""

from __future__ import annotations

from ..errors import CompressionError, FormatError
from .cpio import compression_at, unpack
from .elf import SHF_ALLOC, SHT_NOBITS, ElfFile
from .source import BytesSource

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from .source import Source

MOST_BYTES = 1 << 28
"""Bytes of an image that is compressed, or of a kernel that is no ELF file; Debian's have a tenth of it."""

_ELF = b"\x7fELF"
_EXPORTED_NAMES = b"__ksymtab_strings"
_SETUP_MAGIC, _SETUP_MAGIC_AT = b"HdrS", 0x202
_ZBOOT_MAGIC = b"zimg"
_PAYLOAD_SINCE = 0x208  # version of the boot protocol from which on the header says where the kernel is
_SCANNED = (b"\x1f\x8b\x08", b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd", b"\x02\x21\x4c\x18", b"BZh", b"\x5d\x00\x00")
_MOST_TRIES = 32
_SHORTEST_KERNEL = 1 << 16
_SIZE_BYTES = 4  # the kernel's build puts the size behind what is compressed


def kernel_in(source: Source, limit: int = MOST_BYTES) -> Source:
    """Return the kernel in an image: an ELF file, or what is loaded into memory as it is; of `limit` bytes at most.

    Raises `FormatError`, `CompressionError` and `MissingSupportError`.
    """
    head = source.read(0, 64)
    if head.startswith(_ELF):
        return _wrapped(source, limit) or source
    if source.size > MOST_BYTES:
        raise FormatError(f"the image has more than {MOST_BYTES} bytes")
    data = source.read(0, source.size)
    payload = _zboot_payload(data) or _setup_payload(data)
    if payload is not None:
        return BytesSource(unpack(BytesSource(payload), 0, limit))
    if compression_at(head) and head[:2] != b"MZ":
        return BytesSource(unpack(source, 0, limit))
    found = _scan(data, limit)
    return BytesSource(data if found is None else found)


def _wrapped(source: Source, limit: int) -> Source | None:
    """Return the kernel in an ELF file that does no more than unpack it; None if the file is the kernel itself.

    A kernel that takes modules has a section with the names of its exports; a program that unpacks it has none.
    """
    try:
        if source.size > MOST_BYTES or ElfFile(source).section(_EXPORTED_NAMES) is not None:
            return None
    except FormatError:
        return None
    found = _scan(source.read(0, source.size), limit)
    return None if found is None else BytesSource(found)


def _zboot_payload(data: bytes) -> bytes | None:
    if data[:2] != b"MZ" or data[4:8] != _ZBOOT_MAGIC:
        return None
    start, size = int.from_bytes(data[8:12], "little"), int.from_bytes(data[12:16], "little")
    return _part(data, start, size)


def _setup_payload(data: bytes) -> bytes | None:
    """Return the compressed kernel in a bzImage, which may itself be part of the image."""
    at = data.find(_SETUP_MAGIC)
    while at >= 0:
        start = at - _SETUP_MAGIC_AT
        if start >= 0 and data[start + 0x1FE : start + 0x200] == b"\x55\xaa":
            version = int.from_bytes(data[at + 4 : at + 6], "little")
            if version < _PAYLOAD_SINCE:
                return None
            sectors = data[start + 0x1F1] or 4
            offset = int.from_bytes(data[start + 0x248 : start + 0x24C], "little")
            size = int.from_bytes(data[start + 0x24C : start + 0x250], "little")
            payload = _part(data, start + (sectors + 1) * 512 + offset, size)
            return payload if payload.startswith(b"\x1f\x8b") else payload[:-_SIZE_BYTES]
        at = data.find(_SETUP_MAGIC, at + 1)
    return None


def _part(data: bytes, start: int, size: int) -> bytes:
    part = data[start : start + size]
    if not size or len(part) != size:
        raise FormatError("the image is too short to hold its kernel")
    return part


def _scan(data: bytes, limit: int) -> bytes | None:
    """Return the first thing in an image that decompresses to what may be a kernel; None if there is none."""
    tries = 0
    for at in sorted(_places(data)):
        tries += 1
        if tries > _MOST_TRIES:
            break
        try:
            found = unpack(BytesSource(memoryview(data)[at:]), 0, limit)
        except CompressionError:
            continue
        if found.startswith(_ELF) or len(found) >= _SHORTEST_KERNEL:
            return found
    return None


def _places(data: bytes) -> Iterator[int]:
    for magic in _SCANNED:
        at = data.find(magic)
        for _ in range(_MOST_TRIES):
            if at < 0:
                break
            yield at
            at = data.find(magic, at + 1)


# --- certificates

# How a certificate goes on behind its two lengths: version 3, and a serial number.
_VERSION_3 = bytes.fromhex("a003020102") + b"\x02"
_MOST_CERTIFICATE = 1 << 16
_ALIGNMENT = 8
_MOST_FILLING = 1 << 20


def trusted_certificates(kernel: Source) -> list[bytes]:
    """Return the certificates (DER) of the kernel's own list, in its order.

    They stand one behind the other, and the number of their bytes behind them. If several lists do, and none has its
    length behind it, it cannot be told which one is meant, and there are none. Raises `FormatError`.
    """
    lists = [found for data in _parts(kernel) for found in _lists(data)]
    confirmed = [certificates for certificates, is_measured in lists if is_measured]
    if not confirmed and len(lists) == 1:
        confirmed = [lists[0][0]]
    return [certificate for certificates in confirmed for certificate in certificates]


def _parts(kernel: Source) -> Iterator[bytes]:
    """Yield what may hold the list: the sections in memory of an ELF file, or else everything."""
    if kernel.read(0, 4) != _ELF:
        if kernel.size > MOST_BYTES:
            raise FormatError(f"the kernel has more than {MOST_BYTES} bytes")
        yield kernel.read(0, kernel.size)
        return
    elf = ElfFile(kernel)
    for section in elf.sections():
        if section.flags & SHF_ALLOC and section.type != SHT_NOBITS and section.size:
            yield elf.data(section)


def _lists(data: bytes) -> Iterator[tuple[list[bytes], bool]]:
    """Yield each row of certificates, and whether the number of its bytes stands behind it."""
    at = data.find(_VERSION_3)
    end = 0
    while at >= 0:
        start = next((at - before for before in (8, 7, 6) if at - before >= end and _end(data, at - before, at)), None)
        if start is not None:
            certificates: list[bytes] = []
            end = start
            while following := certificate_end(data, end):
                certificates.append(data[end:following])
                end = following
            yield certificates, _is_measured(data, start, end)
        at = data.find(_VERSION_3, max(at + 1, end))


def _end(data: bytes, start: int, version_at: int) -> int | None:
    """Return where a certificate at `start` ends, if its contents begin at `version_at`."""
    found = certificate_end(data, start)
    inner = _element(data, start)
    body = inner and _element(data, inner[0])
    return found if body and body[0] == version_at else None


def certificate_end(data: bytes, start: int) -> int | None:
    """Return where the certificate of version 3 that begins at `start` ends; None if none does."""
    outer = _element(data, start)
    if outer is None or outer[1] - start > _MOST_CERTIFICATE:
        return None
    inner = _element(data, outer[0])
    if inner is None or inner[1] > outer[1] or not data.startswith(_VERSION_3, inner[0]):
        return None
    return outer[1]


def _element(data: bytes, at: int) -> tuple[int, int] | None:
    """Return where the contents of a SEQUENCE begin and end; None if there is no whole one."""
    if data[at : at + 1] != b"\x30" or at + 2 > len(data):
        return None
    length, start = data[at + 1], at + 2
    if length >= 0x80:
        count = length & 0x7F
        if count not in (1, 2, 3):
            return None
        length = int.from_bytes(data[start : start + count], "big")
        start += count
    return (start, start + length) if start + length <= len(data) else None


def _is_measured(data: bytes, start: int, end: int) -> bool:
    length = end - start
    at = start + -(-length // _ALIGNMENT) * _ALIGNMENT
    filling = data[at : at + _MOST_FILLING]
    at += (len(filling) - len(filling.lstrip(b"\0"))) // _ALIGNMENT * _ALIGNMENT
    return any(int.from_bytes(data[at : at + size], order) == length for size in (8, 4) for order in ("little", "big"))
