# SPDX-License-Identifier: LGPL-2.1-or-later
"""The signature appended to a module file.

PKCS#7 as the kernel's own sign-file writes it is read by `der.py` (the usual case, and all that a boot needs); any
other form goes to the `asn1crypto` library when that is installed.
Source: include/linux/module_signature.h, kernel/module_signature.c, scripts/sign-file.c;
docs/behaviour/2-formats.md, "Module files".
"""

from __future__ import annotations

import errno
from _struct import Struct

from ..errors import SignatureError
from ..names import decode
from ..optional import load
from ..records import Record
from .der import SignerInfo, digest_name, name_text, read_signer_info, unsigned_bytes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .source import Source

MAGIC = b"~Module signature appended~\n"
_TRAILER = Struct(">BBBBB3xI")  # algo hash id_type signer_len key_id_len sig_len

MOST_SIGNATURE_BYTES = 1 << 20
"""Bytes of a signature with its signer and key id; the usual ones have less than 1000."""

_ALGORITHMS = ("DSA", "RSA")
_ID_TYPES = ("PGP", "X509", "PKCS#7")
_HASHES = ("md4", "md5", "sha1", "rmd160", "sha256", "sha384", "sha512", "sha224", "sm3")


class Signature(Record):
    """A module signature.

    `id_type` is `PGP`, `X509` or `PKCS#7`; kernels since 4.3 take PKCS#7 alone. `signer` is the name of the
    certificate's issuer, empty where the signature does not tell. `key_id` is the certificate's serial number, or the
    key's identifier; `hash` is the digest's name. Of a PKCS#7 message that cannot be decoded, `signature` is the whole,
    and these three are None.
    """

    id_type: str
    signer: str | None
    key_id: bytes | None
    hash: str | None
    signature: bytes


def read_signature(source: Source) -> Signature | None:
    """Return the signature at the end of a module file, None when it has none.

    Raises `SignatureError`. Its errno is the kernel's answer to such a module: EBADMSG for a damaged signature, ENOPKG
    for one of an unknown kind.
    """
    end = source.size - len(MAGIC) - _TRAILER.size
    tail = source.read(max(end, 0), len(MAGIC) + _TRAILER.size)
    if not tail.endswith(MAGIC):
        return None
    if end < 0:
        raise SignatureError("file is too short for its signature", errno=errno.EBADMSG)
    algorithm, hash_id, id_type, signer_length, key_length, length = _TRAILER.unpack_from(tail)
    start = end - length - key_length - signer_length
    if start < 0 or length == 0:
        raise SignatureError("signature is larger than its file", errno=errno.EBADMSG)
    if end - start > MOST_SIGNATURE_BYTES:
        raise SignatureError(f"signature has more than {MOST_SIGNATURE_BYTES} bytes", errno=errno.EBADMSG)
    if algorithm >= len(_ALGORITHMS) or id_type >= len(_ID_TYPES) or hash_id >= len(_HASHES):
        raise SignatureError("unknown kind of signature", errno=errno.ENOPKG)
    body = source.read(start, end - start)
    signature = body[signer_length + key_length :]
    if _ID_TYPES[id_type] == "PKCS#7":
        return read_pkcs7(signature)
    key_id = body[signer_length : signer_length + key_length]
    return Signature(_ID_TYPES[id_type], _shown(body[:signer_length]), key_id, _HASHES[hash_id], signature)


def read_pkcs7(data: bytes) -> Signature:
    """Return the first signer of a PKCS#7 SignedData; unknown fields are None when it cannot be decoded."""
    info = read_signer_info(data) or _read_with_asn1crypto(data)
    if info is None:
        return Signature("PKCS#7", None, None, None, data)
    return Signature("PKCS#7", _shown(info.signer), info.key_id, info.digest, info.signature)


def _shown(text: bytes) -> str:
    """Return what kmod shows of a text: nothing after a NUL, which would end a field of `modinfo -0`."""
    return decode(text.partition(b"\0")[0])


def _read_with_asn1crypto(data: bytes) -> SignerInfo | None:
    """Do as `read_signer_info`, for the first signer of any SignedData that the library understands."""
    cms = load("asn1crypto.cms")
    if cms is None:
        return None
    try:
        info = cms.ContentInfo.load(data)["content"]["signer_infos"][0]
        identifier = info["sid"].chosen
        if info["sid"].name == "subject_key_identifier":
            signer, key_id = b"", identifier.native
        else:
            signer = name_text(identifier["issuer"].chosen.contents)
            key_id = unsigned_bytes(identifier["serial_number"].contents)
        digest = info["digest_algorithm"]["algorithm"].contents
        return SignerInfo(signer, key_id, digest_name(digest), info["signature"].native)
    except Exception:  # a library of others on bytes of strangers: whatever it raises, the signature is undecodable
        return None
