# SPDX-License-Identifier: LGPL-2.1-or-later
"""EFI signature lists: what the firmware (variables db, dbx) and the machine's owner (MokListRT, MokListXRT) say.

Source: UEFI specification, "Signature Database"; the kernel's parse_efi_signature_list.
"""

from __future__ import annotations

from struct import Struct

from ..errors import FormatError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_LIST = Struct("<16sIII")  # type, bytes of the list, of its header, of each entry
_OWNER_BYTES = 16
X509 = bytes.fromhex("a159c0a5e494a74a87b5ab155c2bf072")
X509_SHA256 = bytes.fromhex("92a4d23bc0967940b420fcf98ef103ed")
SHA256 = bytes.fromhex("2616c4c14c509240aca941f936934328")
"""Types of lists that the kernel reads: certificates; hashes of what is signed in certificates; hashes of files."""

MOST_ENTRIES = 1 << 18
"""Entries of a variable; the longest list of what is forbidden has some hundreds."""

ATTRIBUTE_BYTES = 4
"""Bytes that a file of efivarfs has before the variable's."""


def entries_in(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the type of list and the content of each entry of a variable, in order. Raises `FormatError`."""
    at = count = 0
    while at < len(data):
        if at + _LIST.size > len(data):
            raise FormatError("an EFI signature list is cut off")
        kind, size, header, entry = _LIST.unpack_from(data, at)
        start, end = at + _LIST.size + header, at + size
        fits = at + _LIST.size <= start < end <= len(data)
        if not fits or entry < _OWNER_BYTES or (end - start) % entry:
            raise FormatError("an EFI signature list has impossible sizes")
        count += (end - start) // entry
        if count > MOST_ENTRIES:
            raise FormatError(f"more than {MOST_ENTRIES} entries in EFI signature lists")
        for place in range(start, end, entry):
            yield kind, data[place + _OWNER_BYTES : place + entry]
        at = end
