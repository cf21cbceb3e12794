# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is signed in a module file, and by whom, for verification: the trailer and the PKCS#7 message before it.

The asn1crypto library reads the message (`signature.py`, which modinfo uses, has a reader that starts faster).
Source: include/linux/module_signature.h, kernel/module_signature.c, crypto/asymmetric_keys/pkcs7_parser.c.
"""

from __future__ import annotations

from struct import Struct

from ..records import Record
from .signature import MAGIC, MOST_SIGNATURE_BYTES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_TRAILER = Struct(">BBBBB3sI")  # algorithm, hash, id_type, signer_len, key_id_len, padding, sig_len
TAIL = _TRAILER.size + len(MAGIC)
"""Bytes of the trailer, with the magic text."""

PGP, X509, PKCS7 = 0, 1, 2
"""Values of `Trailer.id_type`."""

DIGESTS = {
    "1.3.14.3.2.26": "sha1",
    "2.16.840.1.101.3.4.2.4": "sha224",
    "2.16.840.1.101.3.4.2.1": "sha256",
    "2.16.840.1.101.3.4.2.2": "sha384",
    "2.16.840.1.101.3.4.2.3": "sha512",
}
RSA = "1.2.840.113549.1.1.1"
CIPHERS: dict[str, str | None] = {
    RSA: None,
    "1.2.840.10045.4.1": "sha1",
    "1.2.840.10045.4.3.1": "sha224",
    "1.2.840.10045.4.3.2": "sha256",
    "1.2.840.10045.4.3.3": "sha384",
    "1.2.840.10045.4.3.4": "sha512",
}
"""Ciphers that can be verified, each with the digest that its name says; those of elliptic curves say one."""

_DATA = "1.2.840.113549.1.7.1"
_NO_PARAMETERS = (b"", b"\x05\x00")  # absent, or NULL


class Damaged(Exception):
    """Tells why a signature is none that a kernel takes, whatever its key: an answer, no error."""


class Trailer(Record):
    """What stands behind the signature. `content` counts the bytes of the file that are signed."""

    id_type: int
    algorithm: int
    hash: int
    content: int
    signer_length: int
    key_length: int
    length: int
    is_plain: bool


class Signer(Record):
    """One signer of a message; algorithms are object identifiers with dots.

    `issuer` (DER) and `serial` (contents of the INTEGER) name the certificate, or `key_id` the key; the others are
    None. `has_attributes`: it signed attributes instead of the file itself.
    """

    issuer: bytes | None
    serial: bytes | None
    key_id: bytes | None
    digest: str
    cipher: str
    signature: bytes
    has_attributes: bool


class Message(Record):
    """A PKCS#7 message: its signers, and how many certificates it brings along."""

    signers: tuple[Signer, ...]
    certificates: int


def read_trailer(tail: bytes, size: int) -> Trailer | None:
    """Return the trailer of a file of `size` bytes that ends with `tail`, `TAIL` bytes; None of an unsigned one.

    Raises `Damaged`.
    """
    if not tail.endswith(MAGIC) or len(tail) < TAIL:
        return None
    algorithm, hash_id, id_type, signer_length, key_length, padding, length = _TRAILER.unpack_from(tail)
    plain = not (algorithm or hash_id or signer_length or key_length or any(padding))
    content = size - TAIL - length
    if id_type in (PGP, X509):
        content -= signer_length + key_length
    if content <= 0:
        raise Damaged("the signature is larger than the file")
    if not 0 < length <= MOST_SIGNATURE_BYTES:
        raise Damaged("the signature has an impossible size")
    return Trailer(id_type, algorithm, hash_id, content, signer_length, key_length, length, plain)


class MessageReader:
    """Reads PKCS#7 messages, and remembers: the modules of a kernel are signed by one key, so that their messages
    differ in the signature alone, which is the end of them.
    """  # fmt: skip

    _MOST = 16

    def __init__(self, cms: Any) -> None:
        self._cms = cms
        self._known: dict[int, tuple[bytes, Message]] = {}

    def read(self, data: bytes) -> Message:
        """Return what a message says. Raises `Damaged`."""
        start, known = self._known.get(len(data), (b"", None))
        if known and data.startswith(start):
            return known.replace(signers=(known.signers[0].replace(signature=data[len(start) :]),))
        message = self._parse(data)
        if len(message.signers) == 1 and data.endswith(message.signers[0].signature):
            if len(self._known) >= self._MOST:
                self._known.clear()
            self._known[len(data)] = data[: len(data) - len(message.signers[0].signature)], message
        return message

    def _parse(self, data: bytes) -> Message:
        """Return what a message says. Raises `Damaged`."""
        try:
            info = self._cms.ContentInfo.load(data, strict=True)
            if info["content_type"].native != "signed_data":
                raise Damaged("the message is not signed data")
            signed = info["content"]
            content = signed["encap_content_info"]
            if content["content_type"].dotted != _DATA or content["content"].native is not None:
                raise Damaged("the message is not a detached signature of data")
            signers = tuple([_signer(item) for item in signed["signer_infos"]])
            _check_form(signed)
            certificates = signed["certificates"]
            count = 0 if certificates.native is None else len(certificates)
        except Damaged:
            raise
        except Exception:  # a library of others on bytes of strangers: whatever it raises, they cannot be decoded
            raise Damaged("the message cannot be decoded") from None
        if not signers:
            raise Damaged("the message has no signer")
        return Message(signers, count)


def _check_form(signed: Any) -> None:
    """Check what RFC 5652 (5.1, 5.3) and RFC 3370 demand, and a signature does not protect. Raises `Damaged`."""
    infos = list(signed["signer_infos"])
    versions = [_number(info["version"]) for info in infos]
    expected = [3 if info["sid"].name == "subject_key_identifier" else 1 for info in infos]
    if versions != expected or _number(signed["version"]) != max(expected, default=1):
        raise Damaged("the message has a version that does not fit its form")
    digests = [info["digest_algorithm"] for info in infos]
    named = {item["algorithm"].dotted for item in signed["digest_algorithms"]}
    if not named.issuperset(item["algorithm"].dotted for item in digests):
        raise Damaged("the message does not name its signer's digest")
    used = [*digests, *signed["digest_algorithms"], *[info["signature_algorithm"] for info in infos]]
    plain = [item for item in used if item["algorithm"].dotted in (*DIGESTS, *CIPHERS)]
    if any(item["parameters"].dump() not in _NO_PARAMETERS for item in plain):
        raise Damaged("the message has parameters of algorithms that have none")


def _number(version: Any) -> int:
    return int.from_bytes(version.contents, "big")


def _signer(info: Any) -> Signer:
    identifier = info["sid"].chosen
    issuer = serial = key_id = None
    if info["sid"].name == "subject_key_identifier":
        key_id = identifier.native
    else:
        issuer, serial = identifier["issuer"].dump(), identifier["serial_number"].contents
    attributes = info["signed_attrs"]
    return Signer(
        issuer,
        serial,
        key_id,
        info["digest_algorithm"]["algorithm"].dotted,
        info["signature_algorithm"]["algorithm"].dotted,
        info["signature"].native,
        attributes.native is not None and len(attributes) > 0,
    )
