# SPDX-License-Identifier: LGPL-2.1-or-later
"""Whether a module's signature is one that the kernel takes: with its keys, by its rules.

Source: kernel/module/signing.c, crypto/asymmetric_keys/ (pkcs7_parser.c, pkcs7_trust.c, public_key.c). "Good" is what
loads where the kernel insists on signatures, "unknown key" what is refused there; "bad" is refused everywhere.
"""

from __future__ import annotations

from ..formats.signeddata import CIPHERS, DIGESTS, PGP, PKCS7, RSA, TAIL, X509, Damaged, MessageReader, read_trailer
from ..records import Record
from ..state.firmware import CERTIFICATE, FILE, SIGNED_PART
from .firmwarekeys import FirmwareRules, by_digest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any

    from ..formats.signeddata import Message, Signer, Trailer
    from .firmwarekeys import Forbidden

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


_DOUBT = ", and whether this kernel heeds that is not known"
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
    """A certificate, ready to verify with. `counts` says whether the kernel takes it, `reason` why that is not so."""

    def __init__(
        self, der: bytes, source: str, libraries: Libraries, counts: bool | None = True, reason: str = ""
    ) -> None:
        certificate = libraries.x509.load_der_x509_certificate(der)
        parsed = libraries.certificates.Certificate.load(der)
        body = parsed["tbs_certificate"]
        self.issuer: bytes = body["issuer"].dump()
        self.serial: bytes = body["serial_number"].contents
        self.key_id: bytes | None = parsed.key_identifier
        self.public: Any = certificate.public_key()
        self.counts = counts
        self.reason = reason
        self._certificate = certificate
        self.name: str = common_name(body["subject"])
        self.shown: VerificationKey = VerificationKey(
            certificate.subject.rfc4514_string(),
            f"{certificate.serial_number:x}",
            self.key_id.hex() if self.key_id else None,
            source,
        )

    def is_of(self, signer: Signer) -> bool:
        """Tell whether it is the key that a signer names."""
        if signer.key_id is not None:
            return self.key_id == signer.key_id
        return (self.issuer, self.serial) == (signer.issuer, signer.serial)

    def signed_part(self, digest: Callable[..., Any]) -> bytes:
        """Return the hash of what is signed in the certificate, by the algorithm of its own signature."""
        algorithm = self._certificate.signature_hash_algorithm
        return bytes(digest(algorithm.name, self._certificate.tbs_certificate_bytes).digest()) if algorithm else b""


def common_name(name: Any) -> str:
    """Return the common name in a Name of asn1crypto, or all of it if there is none."""
    for relative in name.chosen:
        for entry in relative:
            if entry["type"].native == "common_name":
                return str(entry["value"].native)
    return str(name.human_friendly)


class Keyring:
    """The certificates of which the kernel takes signatures; tells whether a signature is good.

    Each of `certificates` is DER and where it is from. `firmware` has those of the firmware, and what that forbids. One
    that cannot be read is added to `unreadable`. `takes_old` says that the kernel is from before `PKCS7_SINCE`, and
    takes the older form of signatures, alone. `are_all` says that the kernel has no other keys: all could be read.
    """

    def __init__(
        self,
        certificates: Iterable[tuple[bytes, str]],
        libraries: Libraries,
        *,
        takes_old: bool = False,
        firmware: FirmwareRules | None = None,
        are_all: bool = True,
    ) -> None:
        self.unreadable: list[str] = []
        self._keys: list[_Key] = []
        self._libraries = libraries
        self._takes_old = takes_old
        self._are_all = are_all
        from hashlib import new  # here, because it is not needed where nothing is verified

        self._digest = new
        self._reader = MessageReader(libraries.cms)
        self._names: dict[bytes, str] = {}
        self._revoked: list[tuple[_Key, Forbidden]] = []
        seen: set[bytes] = set()
        for der, source in certificates:
            if der not in seen:
                seen.add(der)
                self._add(der, source)
        rules = firmware or FirmwareRules()
        self._add_firmware(rules, seen)
        self._files = by_digest(rules.forbidden, FILE)
        self._sha256: Any = None  # of what was signed, if that is what was computed last

    def _add_firmware(self, rules: FirmwareRules, seen: set[bytes]) -> None:
        parts = by_digest(rules.forbidden, SIGNED_PART)
        for found in sorted(rules.keys, key=lambda key: (key.counts is not True, key.counts is not None)):
            if found.der in seen:
                continue
            seen.add(found.der)
            key = self._add(found.der, found.source, found.counts, found.reason)
            if key and found.is_late and key.counts is not False and (item := parts.get(key.signed_part(self._digest))):
                key.counts = False if item.counts else None
                key.reason = f"its certificate is forbidden by {item.source}{'' if item.counts else _DOUBT}"
        self._keys.sort(key=lambda key: (key.counts is not True, key.counts is not None))
        for item in rules.forbidden:
            if item.kind == CERTIFICATE and item.counts is not False and (key := self._read(item.content, item.source)):
                self._revoked.append((key, item))

    def _add(self, der: bytes, source: str, counts: bool | None = True, reason: str = "") -> _Key | None:
        key = self._read(der, source, counts, reason)
        if key:
            self._keys.append(key)
        return key

    def _read(self, der: bytes, source: str, counts: bool | None = True, reason: str = "") -> _Key | None:
        try:
            return _Key(der, source, self._libraries, counts, reason)
        except Exception:  # the libraries' own, and a key of an algorithm that they do not know
            self.unreadable.append(source)
            return None

    @property
    def keys(self) -> tuple[VerificationKey, ...]:
        """All keys that the kernel takes, and those of which that is not known."""
        return tuple([key.shown for key in self._keys if key.counts is not False])

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
            result = self._check_message(self._reader.read(rest), content)
            return self._check_file(result, data, len(content)) if self._files and result.state == GOOD else result
        except Damaged as reason:
            return ModuleSignature(BAD, text=str(reason))

    def _check_file(self, result: ModuleSignature, data: bytes | memoryview, signed: int) -> ModuleSignature:
        """Look whether the firmware forbids the whole file: a kernel that looks does so when the signature is good."""
        if self._sha256:
            state = self._sha256.copy()
            state.update(memoryview(data)[signed:])
        else:
            state = self._digest("sha256", data)
        item = self._files.get(state.digest())
        return result if item is None else _forbidden(result, f"the file is forbidden by {item.source}", item)

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
        """Return what is true of the signature by one signer, of whom a message may have several."""
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
        is_unknown = key is None or key.counts is False
        if is_unknown and message.certificates:
            return described.replace(state=CANNOT_VERIFY, text="the signature has a chain of certificates with it")
        revoked = self._find_revoked(signer)
        if revoked:
            its, item = revoked
            result = self._verified(described, its, signer.signature, digest, content, is_rsa=signer.cipher == RSA)
            if result.state == GOOD and (item.counts or (key and key.counts is not False)):
                return _forbidden(result, f"its certificate is forbidden by {item.source}", item)
        if key is None:
            return self._of_no_key(described)
        if key.counts is False:
            return described.replace(state=UNKNOWN_KEY, text=key.reason)
        result = self._verified(described, key, signer.signature, digest, content, is_rsa=signer.cipher == RSA)
        if key.counts is None and result.state == GOOD:
            return result.replace(state=CANNOT_VERIFY, text=key.reason)
        return result

    def _verified(
        self, described: ModuleSignature, key: _Key, signature: bytes, digest: str, content: memoryview, *, is_rsa: bool
    ) -> ModuleSignature:
        """Return what is true of a signature by this key: whether the content is what was signed."""
        libraries, public = self._libraries, key.public
        kind = libraries.rsa.RSAPublicKey if is_rsa else libraries.ec.EllipticCurvePublicKey
        if not isinstance(public, kind):
            return described.replace(state=BAD, text="the signature is of another algorithm than its key")
        algorithm = libraries.prehashed(getattr(libraries.hashes, digest.upper())())
        state = self._digest(digest, content)
        self._sha256 = state if digest == "sha256" else None
        value = state.digest()
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

    def _of_no_key(self, described: ModuleSignature) -> ModuleSignature:
        """Return what is true of a signature whose key is none of these."""
        if self._are_all:
            return described.replace(state=UNKNOWN_KEY)
        return described.replace(state=CANNOT_VERIFY, text="its key is none of those that could be read")

    def _find(self, signer: Signer) -> _Key | None:
        return next((key for key in self._keys if key.is_of(signer)), None)

    def _find_revoked(self, signer: Signer) -> tuple[_Key, Forbidden] | None:
        return next((found for found in self._revoked if found[0].is_of(signer)), None)

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
            return self._of_no_key(described)
        described = described.replace(key_source=key.shown.source)
        number = rest[trailer.signer_length + trailer.key_length :]
        if int.from_bytes(number[:2], "big") != len(number) - 2:
            return described.replace(state=BAD, text="the signature has an impossible size")
        return self._verified(described, key, number[2:], digest, content, is_rsa=True)


def _forbidden(result: ModuleSignature, text: str, item: Forbidden) -> ModuleSignature:
    """Return what follows when something is forbidden: all such modules are refused by a kernel that heeds it."""
    if item.counts:
        return result.replace(state=BAD, text=text)
    return result.replace(state=CANNOT_VERIFY, text=f"{text}{_DOUBT}")


def _cannot(text: str) -> ModuleSignature:
    return ModuleSignature(CANNOT_VERIFY, text=text)


def version_of(release: str) -> Sequence[int]:
    """Return the first two numbers of a kernel's release; those of a new one if it has none."""
    words = release.split("-")[0].split("+")[0].split(".")
    try:
        return int(words[0]), int(words[1])
    except (ValueError, IndexError):
        return PKCS7_SINCE
