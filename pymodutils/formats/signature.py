"""The signature appended to a module file.

Source: include/linux/module_signature.h, scripts/sign-file.c; contract 2, "Module files". PKCS#7 as the kernel's own
sign-file writes it is read by `der.py` (the usual case, and all that a boot needs); any other form goes to the
`asn1crypto` library when that is installed.
"""

from __future__ import annotations

from struct import Struct

from ..errors import SignatureError
from ..optional import load
from ..records import Record
from .der import digest_name, magnitude, name_text, read_signer_info

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .source import Source

MAGIC = b"~Module signature appended~\n"
_TRAILER = Struct(">BBBBB3xI")  # algo hash id_type signer_len key_id_len sig_len

LIMIT = 1 << 20
"""Bytes of a signature with its signer and key id; the usual ones have less than 1000."""

ALGORITHMS = ("DSA", "RSA")
ID_TYPES = ("PGP", "X509", "PKCS#7")
HASHES = ("md4", "md5", "sha1", "rmd160", "sha256", "sha384", "sha512", "sha224", "sm3")


class Signature(Record):
    """A module signature.

    Of a PKCS#7 message that cannot be decoded, `signature` is the whole, and `signer`, `key_id` and `hash` are None.
    """

    id_type: str
    signer: bytes | None
    key_id: bytes | None
    hash: str | None
    signature: bytes


def read_signature(source: Source) -> Signature | None:
    """The signature at the end of a module file, None when it has none. Raises `SignatureError` for a damaged one."""
    end = source.size - len(MAGIC)
    if end < 0 or source.read(end, len(MAGIC)) != MAGIC:
        return None
    end -= _TRAILER.size
    if end < 0:
        raise SignatureError("file is too short for its signature")
    algorithm, hash_id, id_type, signer_length, key_length, length = _TRAILER.unpack(source.read(end, _TRAILER.size))
    start = end - length - key_length - signer_length
    if start < 0 or length == 0:
        raise SignatureError("signature is larger than its file")
    if end - start > LIMIT:
        raise SignatureError(f"signature has more than {LIMIT} bytes")
    if algorithm >= len(ALGORITHMS) or id_type >= len(ID_TYPES) or hash_id >= len(HASHES):
        raise SignatureError("unknown kind of signature")
    body = source.read(start, end - start)
    signature = body[signer_length + key_length :]
    if ID_TYPES[id_type] == "PKCS#7":
        return read_pkcs7(signature)
    key_id = body[signer_length : signer_length + key_length]
    return Signature(ID_TYPES[id_type], _as_c_string(body[:signer_length]), key_id, HASHES[hash_id], signature)


def read_pkcs7(data: bytes) -> Signature:
    """The first signer of a PKCS#7 SignedData; unknown fields are None when it cannot be decoded."""
    info = read_signer_info(data) or _read_with_asn1crypto(data)
    if info is None:
        return Signature("PKCS#7", None, None, None, data)
    signer, serial, digest, signature = info
    return Signature("PKCS#7", _as_c_string(signer), serial, digest, signature)


def _as_c_string(text: bytes) -> bytes:
    """What kmod shows of it: no NUL, which would end a field of `modinfo -0`, and nothing after one."""
    return text.partition(b"\0")[0]


def _read_with_asn1crypto(data: bytes) -> tuple[bytes, bytes, str, bytes] | None:
    """As `read_signer_info`, for the first signer of any SignedData that the library understands."""
    cms = load("asn1crypto.cms")
    if cms is None:
        return None
    try:
        info = cms.ContentInfo.load(data)["content"]["signer_infos"][0]
        sid = info["sid"].chosen
        issuer, serial = sid["issuer"].chosen.contents, sid["serial_number"].contents
        digest = info["digest_algorithm"]["algorithm"].contents
        return name_text(issuer), magnitude(serial), digest_name(digest), info["signature"].native
    except Exception:  # a library of others on bytes of strangers: whatever it raises, the signature is undecodable
        return None
