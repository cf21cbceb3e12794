# SPDX-License-Identifier: LGPL-2.1-or-later
"""Just enough DER to read the SignerInfo that the kernel's sign-file writes, and nothing else.

A general library takes 60 ms to import, seven times the interpreter's own start, and `modinfo` shows the signature of
every module of a distribution. So the one shape in use is read here, and any other gives None: `signature.py` then asks
the library. What is read must be formed as OpenSSL demands, since kmod sees no signature in anything else. What nobody
is shown (attributes, the signed content, parameters of algorithms) is passed over unread.
Source: RFC 5652 section 5 (SignedData, SignerInfo), RFC 5280 (Certificate, Name), X.690; names of digests: OpenSSL.
"""

from __future__ import annotations

INTEGER, BIT_STRING, OCTET_STRING, OID, BMP_STRING = 0x02, 0x03, 0x04, 0x06, 0x1E
SEQUENCE, SET, CONTEXT_0, CONTEXT_1, CONTEXT_3 = 0x30, 0x31, 0xA0, 0xA1, 0xA3
KEY_IDENTIFIER = 0x80  # in place of issuer and serial number

_SIGNED_DATA = bytes.fromhex("2a864886f70d010702")
_COMMON_NAME = bytes.fromhex("550403")
_SUBJECT_KEY_IDENTIFIER = bytes.fromhex("551d0e")

# version, digest algorithms, content, [certificates], [revocation lists], signers
_SIGNED_DATA_FIELDS = (INTEGER, SET, SEQUENCE, CONTEXT_0, CONTEXT_1, SET)
# version, identifier, digest algorithm, [signed attributes], cipher, signature, [unsigned attributes]
_SIGNER_FIELDS = (INTEGER, SEQUENCE, SEQUENCE, CONTEXT_0, SEQUENCE, OCTET_STRING, CONTEXT_1)
_SIGNER_FIELDS_WITH_KEY = (INTEGER, KEY_IDENTIFIER, *_SIGNER_FIELDS[2:])
_OPTIONAL = (CONTEXT_0, CONTEXT_1)

# A string that these cannot decode is refused. OpenSSL takes any byte in those that have Latin-1 here.
_CODECS = {
    0x0C: "utf-8",  # UTF8String
    0x12: "latin-1",  # NumericString
    0x13: "latin-1",  # PrintableString
    0x14: "latin-1",  # TeletexString
    0x16: "latin-1",  # IA5String
    0x1C: "utf-32-be",  # UniversalString
    BMP_STRING: "utf-16-be",
}

_DIGESTS = {
    bytes.fromhex("2a864886f70d0204"): "md4",
    bytes.fromhex("2a864886f70d0205"): "md5",
    bytes.fromhex("2b0e03021a"): "sha1",
    bytes.fromhex("2b24030201"): "ripemd160",
    bytes.fromhex("608648016503040201"): "sha256",
    bytes.fromhex("608648016503040202"): "sha384",
    bytes.fromhex("608648016503040203"): "sha512",
    bytes.fromhex("608648016503040204"): "sha224",
    bytes.fromhex("608648016503040205"): "sha512-224",
    bytes.fromhex("608648016503040206"): "sha512-256",
    bytes.fromhex("608648016503040207"): "sha3-224",
    bytes.fromhex("608648016503040208"): "sha3-256",
    bytes.fromhex("608648016503040209"): "sha3-384",
    bytes.fromhex("60864801650304020a"): "sha3-512",
    bytes.fromhex("60864801650304020b"): "shake128",
    bytes.fromhex("60864801650304020c"): "shake256",
    bytes.fromhex("2a811ccf55018311"): "sm3",
    bytes.fromhex("2a85030701010202"): "GOST R 34.11-2012 with 256 bit hash",
    bytes.fromhex("2a85030701010203"): "GOST R 34.11-2012 with 512 bit hash",
    bytes.fromhex("28cf06030037"): "whirlpool",
    bytes.fromhex("2b060104018d3a0c020110"): "blake2b512",
    bytes.fromhex("2b060104018d3a0c020208"): "blake2s256",
}

# Bytes; longer ones are not written out, which would take time by the square of their length.
_LONGEST_OID = 128


class SignerInfo:
    """The signer of a message.

    `signer` is the name of who issued its certificate, empty where the message does not tell. `key_id` is the
    certificate's serial number, or the key's identifier if the message has that instead. `digest` is the algorithm's
    name.
    """

    __slots__ = ("digest", "key_id", "signature", "signer")

    def __init__(self, signer: bytes, key_id: bytes, digest: str, signature: bytes) -> None:
        self.signer: bytes = signer
        self.key_id: bytes = key_id
        self.digest: str = digest
        self.signature: bytes = signature


class _Irregular(ValueError):
    """Not the expected shape."""


_MOST_REMEMBERED = 16
# By its length: all of a message but the signature at its end, and what was read of it. The modules of a kernel are
# signed by one key, so that their messages differ in the signature alone.
_remembered: dict[int, tuple[bytes, SignerInfo]] = {}


def read_signer_info(data: bytes) -> SignerInfo | None:
    """Return what a SignedData says of its only signer; None for any other shape."""
    start, known = _remembered.get(len(data), (b"", None))
    if known and data.startswith(start):
        return SignerInfo(known.signer, known.key_id, known.digest, data[len(start) :])
    try:
        info, ends_with_signature = _read(data)
    except ValueError:
        return None
    if ends_with_signature:
        if len(_remembered) >= _MOST_REMEMBERED:
            _remembered.clear()
        _remembered[len(data)] = data[: len(data) - len(info.signature)], info
    return info


def _read(data: bytes) -> tuple[SignerInfo, bool]:
    """Return the signer's record, and whether its signature is the last thing in the message."""
    (message,) = _fields(data, SEQUENCE)
    kind, content = _fields(message, OID, CONTEXT_0)
    if kind != _SIGNED_DATA:
        raise _Irregular
    (signed_data,) = _fields(content, SEQUENCE)
    version, digests, content, certificates, _revoked, signers = _fields(
        signed_data, *_SIGNED_DATA_FIELDS, optional=_OPTIONAL
    )
    (signer,) = _fields(signers, SEQUENCE)
    tags = [tag for tag, _ in _elements(signer)]
    names_key = tags[1:2] == [KEY_IDENTIFIER]
    signer_version, identifier, digest, _signed, cipher, signature, _unsigned = _fields(
        signer, *(_SIGNER_FIELDS_WITH_KEY if names_key else _SIGNER_FIELDS), optional=_OPTIONAL
    )
    # the rest only to refuse what is irregular
    for number in version, signer_version:
        unsigned_bytes(number)
    for algorithm in *_all(digests, SEQUENCE), cipher:
        _algorithm(algorithm)
    _check_oid(_fields(content, OID, CONTEXT_0, optional=_OPTIONAL)[0])
    if names_key:
        name, key_id = _issuer_for_key(certificates, identifier), identifier
    else:
        issuer, serial = _fields(identifier, SEQUENCE, INTEGER)
        name, key_id = name_text(issuer), unsigned_bytes(serial)
    return SignerInfo(name, key_id, digest_name(_algorithm(digest)), signature), tags[-1] == OCTET_STRING


def _issuer_for_key(certificates: bytes, key_id: bytes) -> bytes:
    """Return the name of who issued the certificate of that key, if it is among these; else nothing."""
    for tag, certificate in _elements(certificates):
        if tag == SEQUENCE:
            try:
                issuer, key = _issuer_and_key(certificate)
                if key == key_id:
                    return name_text(issuer)
            except ValueError:
                continue
    return b""


def _issuer_and_key(certificate: bytes) -> tuple[bytes, bytes | None]:
    """Return the Name of a certificate's issuer and the identifier of its key."""
    (_tag, to_be_signed), *_ = _elements(certificate)
    elements = _elements(to_be_signed)
    if not elements:
        raise _Irregular
    _serial, _cipher, (issuer_tag, issuer), *_ = elements[1:] if elements[0][0] == CONTEXT_0 else elements
    if issuer_tag != SEQUENCE:
        raise _Irregular
    if elements[-1][0] == CONTEXT_3:
        (extensions,) = _fields(elements[-1][1], SEQUENCE)
        for extension in _all(extensions, SEQUENCE):
            (_tag, kind), *_critical, (_tag, value) = _elements(extension)
            if kind == _SUBJECT_KEY_IDENTIFIER:
                return issuer, _fields(value, OCTET_STRING)[0]
    return issuer, None


# What kmod shows of an element's contents. These raise ValueError for irregular ones.


def unsigned_bytes(integer: bytes) -> bytes:
    """Return the bytes of an INTEGER without its sign; none for 0."""
    number = int.from_bytes(integer, "big", signed=True)
    if len(integer) != (number if number >= 0 else ~number).bit_length() // 8 + 1:
        raise _Irregular  # not the shortest form
    return abs(number).to_bytes((abs(number).bit_length() + 7) // 8, "big")


def name_text(name: bytes) -> bytes:
    """Return the first commonName of a Name or, if there is none, the last entry of any type, encoded as it is."""
    entries = [_entry(entry) for relative in _all(name, SET) for entry in _all(relative, SEQUENCE)]
    common_names = [text for kind, text in entries if kind == _COMMON_NAME]
    return (common_names or [text for _, text in entries[-1:]] or [b""])[0]


def digest_name(oid: bytes) -> str:
    """Return OpenSSL's name for a digest; an unknown one's numbers."""
    return _DIGESTS.get(oid) or _dotted(oid)


def _algorithm(identifier: bytes) -> bytes:
    """Return the OID of an AlgorithmIdentifier."""
    (tag, oid), *parameters = _elements(identifier)
    if tag != OID or len(parameters) > 1:
        raise _Irregular
    _check_oid(oid)
    return oid


def _entry(entry: bytes) -> tuple[bytes, bytes]:
    """Return the type and the text of one entry of a Name."""
    (tag, kind), (encoding, text) = _elements(entry)
    if tag != OID:
        raise _Irregular
    _check_oid(kind)
    if encoding == BIT_STRING:
        if text[:1] != b"\0":  # the number of bits in it that do not count
            raise _Irregular
        return kind, text[1:]
    _check_text(encoding, text)
    return kind, text


def _check_text(tag: int, text: bytes) -> None:
    if tag not in _CODECS:
        raise _Irregular
    characters = text.decode(_CODECS[tag])
    if tag == BMP_STRING and len(characters) * 2 != len(text):
        raise _Irregular  # a BMPString has no surrogate pairs


def _check_oid(oid: bytes) -> None:
    """Refuse an OID that is cut, or whose numbers have leading zeros. The last byte of each number is below 0x80."""
    if not oid or oid[-1] >= 0x80:
        raise _Irregular
    if 0x80 not in oid:
        return  # the usual case, soon told
    before = 0
    for byte in oid:
        if before < 0x80 and byte == 0x80:
            raise _Irregular
        before = byte


def _dotted(oid: bytes) -> str:
    """Return an OID as people write it."""
    _check_oid(oid)
    if len(oid) > _LONGEST_OID:
        raise _Irregular
    numbers, number = [], 0
    for byte in oid:
        number = number << 7 | byte & 0x7F
        if byte < 0x80:
            numbers.append(number)
            number = 0
    top = min(numbers[0] // 40, 2)  # the first two are stored as one
    return ".".join(map(str, (top, numbers[0] - 40 * top, *numbers[1:])))


# Elements: a tag, a length, and contents of that many bytes.


def _fields(data: bytes, *tags: int, optional: tuple[int, ...] = ()) -> list[bytes]:
    """Return the contents of the elements, which must have these tags in this order.

    An optional one that is not there has no contents.
    """
    elements, found = iter(_elements(data)), []
    element = next(elements, None)
    for tag in tags:
        if element is not None and element[0] == tag:
            found.append(element[1])
            element = next(elements, None)
        elif tag in optional:
            found.append(b"")
        else:
            raise _Irregular
    if element is not None:
        raise _Irregular
    return found


def _all(data: bytes, tag: int) -> list[bytes]:
    """Return the contents of the elements, any number of which must all have this tag."""
    elements = _elements(data)
    if any(kind != tag for kind, _ in elements):
        raise _Irregular
    return [contents for _, contents in elements]


def _elements(data: bytes) -> list[tuple[int, bytes]]:
    """Return the elements that `data` consists of, as (tag, contents)."""
    found, at = [], 0
    while at < len(data):
        tag, start, at = _element(data, at)
        found.append((tag, data[start:at]))
    return found


def _element(data: bytes, at: int) -> tuple[int, int, int]:
    """Return the tag of the element at `at`, and the start and the end of its contents."""
    if at + 2 > len(data):
        raise _Irregular
    tag, length, start = data[at], data[at + 1], at + 2
    if tag & 0x1F == 0x1F:  # goes on in the next byte
        raise _Irregular
    if length & 0x80:
        count = length & 0x7F
        if not 1 <= count <= 4 or start + count > len(data):
            raise _Irregular
        length = int.from_bytes(data[start : start + count], "big")
        start += count
    if start + length > len(data):
        raise _Irregular
    return tag, start, start + length
