# SPDX-License-Identifier: LGPL-2.1-or-later
"""Whether a module's signature is one that the kernel takes: with its keys, by its rules.

Source: kernel/module/signing.c, crypto/asymmetric_keys/ (pkcs7_parser.c, pkcs7_trust.c, public_key.c). "Good" is what
loads where the kernel insists on signatures, "unknown key" what is refused there; "bad" is refused everywhere.
"""

from __future__ import annotations

from ..formats.signeddata import CIPHERS, DIGESTS, PGP, PKCS7, RSA, TAIL, X509, Damaged, MessageReader, read_trailer
from ..records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

    from ..formats.signeddata import Message, Signer, Trailer

GOOD, BAD, UNKNOWN_KEY, UNSIGNED, CANNOT_VERIFY = "good", "bad", "unknown key", "unsigned", "cannot verify"
"""Words of `ModuleSignature.state`."""

_NAMES = {
    "2.16.840.1.101.3.4.2.7": "SHA3-224",
    "2.16.840.1.101.3.4.2.8": "SHA3-256",
    "2.16.840.1.101.3.4.2.9": "SHA3-384",
    "2.16.840.1.101.3.4.2.10": "SHA3-512",
    "1.2.840.113549.2.5": "MD5",
    "1.2.156.10197.1.401": "SM3",
    "1.2.840.113549.1.1.10": "RSA-PSS",
    "2.16.840.1.101.3.4.3.17": "ML-DSA-44",
    "2.16.840.1.101.3.4.3.18": "ML-DSA-65",
    "2.16.840.1.101.3.4.3.19": "ML-DSA-87",
    "1.3.101.112": "Ed25519",
}
# Of the form before Linux 4.3: numbers of the kernel's enum pkey_hash_algo.
_OLD_DIGESTS = {2: "sha1", 4: "sha256", 5: "sha384", 6: "sha512", 7: "sha224"}
_OLD_RSA = 1
PKCS7_SINCE = (4, 3)
"""The Linux version from which on the kernel takes PKCS#7 alone."""


class VerificationKey(Record):
    """A certificate of which the kernel takes signatures.

    `subject` is its name as RFC 4514 writes it; `serial` and `key_id` (the subject key identifier, None where it has
    none) are hexadecimal; `source` is the file that it is from.
    """

    subject: str
    serial: str
    key_id: str | None
    source: str


class ModuleSignature(Record):
    """What is known of a module's signature.

    `state` is `good`, `bad`, `unknown key`, `unsigned` or `cannot verify`, None where it was not looked at. `signer` is
    the name in the certificate. `key_id` is the identifier of the key; where that is not known, what the signature has
    instead: the certificate's serial number. `key_source` is where the key is from. `text` says why, if there is more.
    """

    state: str | None
    signer: str | None = None
    key_id: str | None = None
    key_source: str | None = None
    text: str | None = None


NO_SIGNATURE = ModuleSignature(UNSIGNED)


class Libraries(Record):
    """The parts of the libraries `cryptography` and `asn1crypto` that verification needs."""

    x509: Any
    hashes: Any
    padding: Any
    ec: Any
    rsa: Any
    prehashed: Any
    invalid: type[Exception]
    cms: Any
    certificates: Any


class _Key:
    """A certificate, ready to verify with."""

    def __init__(self, der: bytes, source: str, libraries: Libraries) -> None:
        certificate = libraries.x509.load_der_x509_certificate(der)
        parsed = libraries.certificates.Certificate.load(der)
        body = parsed["tbs_certificate"]
        self.issuer: bytes = body["issuer"].dump()
        self.serial: bytes = body["serial_number"].contents
        self.key_id: bytes | None = parsed.key_identifier
        self.public: Any = certificate.public_key()
        self.name: str = common_name(body["subject"])
        self.shown: VerificationKey = VerificationKey(
            certificate.subject.rfc4514_string(),
            f"{certificate.serial_number:x}",
            self.key_id.hex() if self.key_id else None,
            source,
        )


def common_name(name: Any) -> str:
    """Return the common name in a Name of asn1crypto, or all of it if there is none."""
    for relative in name.chosen:
        for entry in relative:
            if entry["type"].native == "common_name":
                return str(entry["value"].native)
    return str(name.human_friendly)


class Keyring:
    """The certificates of which the kernel takes signatures; tells whether a signature is good.

    Each of `certificates` is DER and where it is from. One that cannot be read is added to `unreadable`. `takes_old`
    says that the kernel is from before `PKCS7_SINCE`, and takes the older form of signatures, alone.
    """

    def __init__(
        self, certificates: Iterable[tuple[bytes, str]], libraries: Libraries, *, takes_old: bool = False
    ) -> None:
        self.unreadable: list[str] = []
        self._keys: list[_Key] = []
        self._libraries = libraries
        self._takes_old = takes_old
        from hashlib import new  # here, because it is not needed where nothing is verified

        self._digest = new
        self._reader = MessageReader(libraries.cms)
        self._names: dict[bytes, str] = {}
        seen: set[bytes] = set()
        for der, source in certificates:
            if der in seen:
                continue
            seen.add(der)
            try:
                self._keys.append(_Key(der, source, libraries))
            except Exception:  # the libraries' own, and a key of an algorithm that they do not know
                self.unreadable.append(source)

    @property
    def keys(self) -> tuple[VerificationKey, ...]:
        """All keys."""
        return tuple([key.shown for key in self._keys])

    def check(self, data: bytes | memoryview) -> ModuleSignature:
        """Tell of a whole, uncompressed module whether its signature is good."""
        try:
            trailer = read_trailer(bytes(data[-TAIL:]), len(data))
            if trailer is None:
                return NO_SIGNATURE
            view = memoryview(data)
            content, rest = view[: trailer.content], bytes(view[trailer.content : len(data) - TAIL])
            if trailer.id_type in (PGP, X509):
                return self._check_old(trailer, content, rest)
            if trailer.id_type != PKCS7:
                return _cannot(f"unknown kind of signature: {trailer.id_type}")
            if self._takes_old:
                return _cannot("a form that kernels before 4.3 do not take")
            if not trailer.is_plain:
                raise Damaged("the trailer has bits set that no kernel takes")
            return self._check_message(self._reader.read(rest), content)
        except Damaged as reason:
            return ModuleSignature(BAD, text=str(reason))

    def _check_message(self, message: Message, content: memoryview) -> ModuleSignature:
        """Go through the signers as the kernel does: one that is bad decides, then one that is good."""
        found: list[ModuleSignature] = []
        for signer in message.signers:
            result = self._check_signer(signer, content, message)
            if result.state == BAD:
                return result
            found.append(result)
        for state in (GOOD, CANNOT_VERIFY):
            for result in found:
                if result.state == state:
                    return result
        return found[0]

    def _check_signer(self, signer: Signer, content: memoryview, message: Message) -> ModuleSignature:
        key = self._find(signer)
        name, key_id = self._named(signer, key)
        described = ModuleSignature(None, name, key_id, key.shown.source if key else None)
        known = signer.cipher in CIPHERS
        digest = DIGESTS.get(signer.digest)
        if not known or digest is None:
            unknown = signer.digest if known else signer.cipher
            return described.replace(state=CANNOT_VERIFY, text=f"algorithm {_NAMES.get(unknown, unknown)}")
        if CIPHERS[signer.cipher] not in (None, digest):
            return described.replace(state=BAD, text="the message names two digests")
        if signer.has_attributes:
            return described.replace(state=BAD, text="the signature is of attributes, which no kernel takes")
        if key is None and message.certificates:
            return described.replace(state=CANNOT_VERIFY, text="the signature has a chain of certificates with it")
        if key is None:
            return described.replace(state=UNKNOWN_KEY)
        return self._verified(described, key, signer.signature, digest, content, is_rsa=signer.cipher == RSA)

    def _verified(
        self, described: ModuleSignature, key: _Key, signature: bytes, digest: str, content: memoryview, *, is_rsa: bool
    ) -> ModuleSignature:
        libraries, public = self._libraries, key.public
        kind = libraries.rsa.RSAPublicKey if is_rsa else libraries.ec.EllipticCurvePublicKey
        if not isinstance(public, kind):
            return described.replace(state=BAD, text="the signature is of another algorithm than its key")
        algorithm = libraries.prehashed(getattr(libraries.hashes, digest.upper())())
        value = self._digest(digest, content).digest()
        try:
            if is_rsa:
                public.verify(signature, value, libraries.padding.PKCS1v15(), algorithm)
            else:
                public.verify(signature, value, libraries.ec.ECDSA(algorithm))
        except libraries.invalid:
            return described.replace(state=BAD, text="the file is not what was signed")
        except Exception as error:  # what the library does not support
            return described.replace(state=CANNOT_VERIFY, text=f"algorithm: {error}")
        return described.replace(state=GOOD)

    def _find(self, signer: Signer) -> _Key | None:
        for key in self._keys:
            if signer.key_id is not None:
                if key.key_id == signer.key_id:
                    return key
            elif (key.issuer, key.serial) == (signer.issuer, signer.serial):
                return key
        return None

    def _named(self, signer: Signer, key: _Key | None) -> tuple[str | None, str | None]:
        if key is not None:
            return key.name, key.shown.key_id or key.shown.serial
        if signer.key_id is not None:
            return None, signer.key_id.hex()
        if signer.issuer not in self._names:
            try:
                name = common_name(self._libraries.certificates.Name.load(signer.issuer))
            except Exception:  # a library of others on bytes of strangers
                name = ""
            self._names[signer.issuer or b""] = name
        serial = int.from_bytes(signer.serial or b"", "big", signed=True)
        return self._names[signer.issuer or b""] or None, f"{serial:x}"

    # --- the form before Linux 4.3

    def _check_old(self, trailer: Trailer, content: memoryview, rest: bytes) -> ModuleSignature:
        signer = rest[: trailer.signer_length].partition(b"\0")[0].decode("utf-8", "replace")
        key_id = rest[trailer.signer_length : trailer.signer_length + trailer.key_length]
        described = ModuleSignature(None, signer or None, key_id.hex() or None)
        if not self._takes_old:
            return described.replace(state=CANNOT_VERIFY, text="a form that kernels since 4.3 do not take")
        digest = _OLD_DIGESTS.get(trailer.hash)
        if trailer.id_type == PGP or trailer.algorithm != _OLD_RSA or digest is None:
            return described.replace(state=CANNOT_VERIFY, text="an algorithm that is not known here")
        key = next((key for key in self._keys if key.key_id == key_id), None)
        if key is None:
            return described.replace(state=UNKNOWN_KEY)
        described = described.replace(key_source=key.shown.source)
        number = rest[trailer.signer_length + trailer.key_length :]
        if int.from_bytes(number[:2], "big") != len(number) - 2:
            return described.replace(state=BAD, text="the signature has an impossible size")
        return self._verified(described, key, number[2:], digest, content, is_rsa=True)


def _cannot(text: str) -> ModuleSignature:
    return ModuleSignature(CANNOT_VERIFY, text=text)


def version_of(release: str) -> Sequence[int]:
    """Return the first two numbers of a kernel's release; those of a new one if it has none."""
    words = release.split("-")[0].split("+")[0].split(".")
    try:
        return int(words[0]), int(words[1])
    except (ValueError, IndexError):
        return PKCS7_SINCE
