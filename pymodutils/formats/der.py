"""Just enough DER to read the SignerInfo that the kernel's sign-file writes, and nothing else.

A general library takes 60 ms to import, seven times the interpreter's own start, and `modinfo` shows the signature of
every module of a distribution. So the one shape in use is read here, strictly: any irregularity gives None, and
`signature.py` asks the library. Source: RFC 2315 section 9 (SignedData, SignerInfo), RFC 5280 (Name).
"""

from __future__ import annotations

SEQUENCE, SET, INTEGER, OCTET_STRING, OID = 0x30, 0x31, 0x02, 0x04, 0x06
CONTEXT_0 = 0xA0

_SIGNED_DATA = bytes.fromhex("2a864886f70d010702")
_COMMON_NAME = bytes.fromhex("550403")
_STRING_TAGS = (0x0C, 0x13, 0x16)  # UTF8String, PrintableString, IA5String

_DIGESTS = {
    bytes.fromhex("2a864886f70d0205"): "md5",
    bytes.fromhex("2b0e03021a"): "sha1",
    bytes.fromhex("608648016503040201"): "sha256",
    bytes.fromhex("608648016503040202"): "sha384",
    bytes.fromhex("608648016503040203"): "sha512",
    bytes.fromhex("608648016503040204"): "sha224",
    bytes.fromhex("608648016503040208"): "sha3-256",
    bytes.fromhex("608648016503040209"): "sha3-384",
    bytes.fromhex("60864801650304020a"): "sha3-512",
}


class _Irregular(Exception):
    """Not the expected shape."""


def _element(data: bytes, at: int) -> tuple[int, int, int]:
    """The element at `at`: its tag, the start and the end of its contents."""
    if at + 2 > len(data):
        raise _Irregular
    tag, length, start = data[at], data[at + 1], at + 2
    if length & 0x80:
        count = length & 0x7F
        if not 1 <= count <= 4 or start + count > len(data):
            raise _Irregular
        length = int.from_bytes(data[start : start + count], "big")
        start += count
    if start + length > len(data):
        raise _Irregular
    return tag, start, start + length


def _fields(element: tuple[int, bytes], tag: int) -> list[tuple[int, bytes]]:
    """The elements inside `element`, which must have that tag, as (tag, contents)."""
    if element[0] != tag:
        raise _Irregular
    data, found, at = element[1], [], 0
    while at < len(data):
        kind, start, at = _element(data, at)
        found.append((kind, data[start:at]))
    return found


def read_signer_info(data: bytes) -> tuple[bytes, bytes, str, bytes] | None:
    """(issuer's common name, serial number, digest name, signature) of the only signer; None for any other shape."""
    try:
        return _read(data)
    except (_Irregular, ValueError, IndexError, StopIteration):
        return None


def _read(data: bytes) -> tuple[bytes, bytes, str, bytes]:
    (content_info,) = _fields((SEQUENCE, data), SEQUENCE)
    kind, content = _fields(content_info, SEQUENCE)
    if kind != (OID, _SIGNED_DATA):
        raise _Irregular
    (signed_data,) = _fields(content, CONTEXT_0)
    (info,) = _fields(_fields(signed_data, SEQUENCE)[-1], SET)
    _version, issuer_and_serial, digest, *rest = _fields(info, SEQUENCE)
    issuer, serial = _fields(issuer_and_serial, SEQUENCE)
    algorithm = _fields(digest, SEQUENCE)[0]
    signature = next(contents for tag, contents in rest if tag == OCTET_STRING)
    if serial[0] != INTEGER or algorithm[0] != OID or algorithm[1] not in _DIGESTS:
        raise _Irregular
    return _common_name(issuer), serial[1], _DIGESTS[algorithm[1]], signature


def _common_name(issuer: tuple[int, bytes]) -> bytes:
    """The commonName of a Name: a SEQUENCE of SETs of (OID, string) pairs."""
    for relative in _fields(issuer, SEQUENCE):
        for pair in _fields(relative, SET):
            kind, value = _fields(pair, SEQUENCE)
            if kind == (OID, _COMMON_NAME):
                if value[0] not in _STRING_TAGS:
                    raise _Irregular
                return value[1]
    raise _Irregular
