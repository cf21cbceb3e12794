# SPDX-License-Identifier: LGPL-2.1-or-later
"""EFI signature lists: the certificates in the variables db (of the firmware) and MokListRT (of the machine's owner).

Source: UEFI specification, "Signature Database".
"""

from __future__ import annotations

from struct import Struct

from ..errors import FormatError

_LIST = Struct("<16sIII")  # type, bytes of the list, of its header, of each entry
_OWNER_BYTES = 16
_X509 = bytes.fromhex("a159c0a5e494a74a87b5ab155c2bf072")
ATTRIBUTE_BYTES = 4
"""Bytes that a file of efivarfs has before the variable's."""


def certificates_in(data: bytes) -> list[bytes]:
    """Return the X.509 certificates (DER) of a variable, in order. Raises `FormatError`."""
    found, at = [], 0
    while at < len(data):
        if at + _LIST.size > len(data):
            raise FormatError("an EFI signature list is cut off")
        kind, size, header, entry = _LIST.unpack_from(data, at)
        start, end = at + _LIST.size + header, at + size
        if not at + _LIST.size <= start <= end <= len(data) or (start < end and entry <= _OWNER_BYTES):
            raise FormatError("an EFI signature list has impossible sizes")
        if kind == _X509:
            found += [data[place + _OWNER_BYTES : place + entry] for place in range(start, end - entry + 1, entry)]
        at = end
    return found
