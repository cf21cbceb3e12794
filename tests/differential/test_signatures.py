# SPDX-License-Identifier: LGPL-2.1-or-later
"""Signatures of modules against kmod 34.2: those that openssl makes, and DER made by hand for what it does not make."""

from __future__ import annotations

import errno
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from shutil import which
from typing import Any

import pytest

from pymodutils import module_info
from pymodutils.errors import SignatureError
from pymodutils.formats import signature as signatures
from pymodutils.formats.der import read_signer_info
from pymodutils.formats.signature import read_signature
from pymodutils.formats.source import BytesSource
from tests.support import assets
from tests.support.common import Outcome, need
from tests.support.koforge import Ko, signature

Run = Callable[..., Outcome]
Fields = dict[str, bytes]


@pytest.fixture(params=["own", "library"])
def reader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Leave only one of the two readers of PKCS#7."""
    if request.param == "own":
        monkeypatch.setattr(signatures, "load", lambda name: None)
    else:
        monkeypatch.setattr(signatures, "read_signer_info", lambda data: None)
    return str(request.param)


def signature_fields(output: bytes) -> Fields:
    """The signature fields in what modinfo says of a forged module: all that follow those of `Ko`."""
    at = output.find(b"sig_id:")
    lines = output[at:].replace(b"\n\t\t", b"").splitlines() if at >= 0 else []
    return {key.decode(): value.lstrip(b" ") for key, _, value in (line.partition(b":") for line in lines)}


@pytest.fixture
def both(command: Run, tmp_path: Path) -> Callable[[bytes], tuple[Fields, Fields]]:
    """What we and what kmod show of the signature in a module with this trailer."""
    need(Path("/usr/bin/apt-get").exists(), "apt-get")

    def run(trailer: bytes) -> tuple[Fields, Fields]:
        path = str(Ko(trailer=trailer).write(tmp_path / "a.ko"))
        theirs = subprocess.run([*assets.kmod34_argv("modinfo"), path], capture_output=True, check=True)
        return signature_fields(command("modinfo", [path]).out), signature_fields(theirs.stdout)

    return run


# --- made by openssl


@pytest.fixture(scope="session")
def sign(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., bytes]:
    """PKCS#7 as sign-file makes it, by a certificate with this name and serial number."""
    need(which("openssl"), "openssl")
    folder = tmp_path_factory.mktemp("signatures")

    def openssl(*words: str) -> None:
        subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)

    (folder / "text").write_text("module")
    openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024", "-out", "key")

    def run(
        name: str = "/CN=A key",
        serial: str = "0x66F54E",
        digest: str = "sha256",
        strings: str = "utf8only",
        options: Sequence[str] = ("-nocerts", "-noattr"),
    ) -> bytes:
        (folder / "config").write_text(f"[req]\nstring_mask={strings}\ndistinguished_name=dn\n[dn]\n")
        openssl(*"req -new -x509 -config config -utf8 -key key -out certificate".split(),
                "-subj", name, "-set_serial", serial, "-addext", "subjectKeyIdentifier=hash")  # fmt: skip
        openssl(*"cms -sign -binary -in text -outform DER -out signed".split(), *options,
                *"-provider default -provider legacy -signer certificate -inkey key -md".split(), digest)  # fmt: skip
        return (folder / "signed").read_bytes()

    return run


@pytest.mark.parametrize(
    ("serial", "shown"),
    [
        ("0x66F54E", b"66:F5:4E"),
        ("0x7F", b"7F"),
        ("0x80FF", b"80:FF"),
        ("0x0100", b"01:00"),
        ("-5", b"05"),
        ("-0x80", b"80"),
        ("-0x80FF", b"80:FF"),
        ("0", b""),
        ("0x" + "F1" * 20, b":".join([b"F1"] * 20)),
    ],
)
def test_the_key_is_the_serial_number_without_its_sign(
    sign: Any, both: Any, serial: str, shown: bytes, reader: str
) -> None:
    ours, theirs = both(signature(sign(serial=serial)))
    assert ours == theirs
    assert ours["sig_key"] == shown


NAMES = [
    ("/O=Org/CN=A key", b"A key"),
    ("/CN=A key/O=Org", b"A key"),
    ("/CN=one/CN=two", b"one"),
    ("/CN=one/O=Org/CN=two", b"one"),
    ("/O=NoCN", b"NoCN"),
    ("/O=Org/OU=Unit", b"Unit"),
    ("/OU=Unit/O=Org", b"Org"),
    ("/O=Org+OU=Unit", b"Unit"),
    ("/C=XX/O=Org+CN=A key/OU=Unit", b"A key"),
    ("/O=Org/emailAddress=a@b.c", b"a@b.c"),
    ("/", b""),
]


@pytest.mark.parametrize(("name", "shown"), NAMES)
def test_the_signer_is_the_first_common_name_or_else_the_last_entry(
    sign: Any, both: Any, name: str, shown: bytes, reader: str
) -> None:
    ours, theirs = both(signature(sign(name)))
    assert ours == theirs
    assert ours["signer"] == shown


@pytest.mark.parametrize(
    ("strings", "shown"),
    [
        ("utf8only", "Ä".encode()),
        ("MASK:0x4", "Ä".encode("latin-1")),  # T61String
        ("MASK:0x800", b""),  # BMPString: UTF-16, so that it begins with NUL
    ],
)
def test_the_signer_keeps_its_encoding(sign: Any, both: Any, strings: str, shown: bytes, reader: str) -> None:
    ours, theirs = both(signature(sign("/CN=Ä", strings=strings)))
    assert ours == theirs
    assert ours["signer"] == shown


@pytest.mark.parametrize(
    "digest",
    "md4 md5 sha1 ripemd160 sha224 sha256 sha384 sha512 sha512-224 sha512-256 "
    "sha3-224 sha3-256 sha3-384 sha3-512".split(),
)
def test_digests(sign: Any, both: Any, digest: str, reader: str) -> None:
    ours, theirs = both(signature(sign(digest=digest)))
    assert ours == theirs
    assert ours["sig_hashalgo"].decode() == digest


@pytest.mark.parametrize("options", [[], ["-nocerts"], ["-noattr"], ["-nodetach"]], ids=" ".join)
def test_certificates_and_attributes_are_passed_over(sign: Any, both: Any, options: list[str], reader: str) -> None:
    ours, theirs = both(signature(sign(options=options)))
    assert ours == theirs
    assert ours["signer"] == b"A key"


@pytest.mark.parametrize("options", [["-nocerts", "-noattr"], ["-nocerts"], ["-noattr"], []], ids=" ".join)
@pytest.mark.parametrize("digest", ["sha512", "sha3-512"])
def test_keys_named_by_their_identifier(
    sign: Any, both: Any, digest: str, options: list[str], reader: str, tmp_path: Path
) -> None:
    """As by `sign-file -k`. kmod sees no signature in it."""
    message = sign("/O=Org/CN=A key", digest=digest, options=["-keyid", *options])
    ours, theirs = both(signature(message))
    assert theirs == {}
    assert ours["sig_id"] == b"PKCS#7"
    assert ours["sig_hashalgo"].decode() == digest
    assert ours["sig_key"].count(b":") == 19
    assert bytes.fromhex(ours["sig_key"].decode().replace(":", "")) in message
    # The certificate is in the message unless left out; only our own reader looks into it.
    assert ours["signer"] == (b"" if "-nocerts" in options or reader == "library" else b"A key")


# --- made by hand

COMMON_NAME, ORGANIZATION, UNIQUE_ID = "550403", "55040a", "55042d"
SHA256 = "608648016503040201"


def der(tag: int, *parts: bytes) -> bytes:
    data = b"".join(parts)
    length = len(data).to_bytes(1 if len(data) < 256 else 3, "big")
    return bytes((tag,)) + (length if len(data) < 128 else bytes((0x80 | len(length),)) + length) + data


def entry(value: bytes, tag: int = 0x0C, kind: str = COMMON_NAME) -> bytes:
    return der(0x30, der(0x06, bytes.fromhex(kind)), der(tag, value))


def name(*entries: bytes) -> bytes:
    return der(0x30, *(der(0x31, one) for one in entries))


def algorithm(oid: str, *parameters: bytes) -> bytes:
    return der(0x30, der(0x06, bytes.fromhex(oid)), *parameters)


def forged(
    *,
    issuer: bytes | None = None,
    serial: bytes = b"\x66\xf5",
    digest: bytes | None = None,
    version: bytes = b"\1",
    signer_version: bytes = b"\1",
    content: bytes | None = None,
    digests: bytes = b"",
    before_signers: bytes = b"",
    after_signature: bytes = b"",
    cipher: bytes | None = None,
    key: bytes | None = None,
    value: bytes = b"S" * 150,
) -> bytes:
    """SignedData whose parts may be anything; with `key` it names that key's identifier."""
    signer = der(
        0x30,
        der(0x02, signer_version),
        der(0x80, key) if key else der(0x30, issuer or name(entry(b"A key")), der(0x02, serial)),
        digest or algorithm(SHA256, der(0x05)),
        cipher or algorithm("2a864886f70d010101", der(0x05)),
        der(0x04, value),
        after_signature,
    )
    content = content or algorithm("2a864886f70d010701")
    signed_data = der(0x30, der(0x02, version), der(0x31, digests), content, before_signers, der(0x31, signer))
    return der(0x30, der(0x06, bytes.fromhex("2a864886f70d010702")), der(0xA0, signed_data))


GOOD = {
    "plain": (forged(), b"A key"),
    "NumericString": (forged(issuer=name(entry(b"123", 0x12))), b"123"),
    "PrintableString": (forged(issuer=name(entry(b"\xff@", 0x13))), b"\xff@"),
    "TeletexString": (forged(issuer=name(entry(b"\xc4", 0x14))), b"\xc4"),
    "IA5String": (forged(issuer=name(entry(b"\xc4", 0x16))), b"\xc4"),
    "UniversalString": (forged(issuer=name(entry(b"\0\0\0A", 0x1C))), b""),
    "BMPString": (forged(issuer=name(entry("㄰".encode("utf-16-be"), 0x1E))), b"10"),
    "BIT STRING": (forged(issuer=name(entry(b"A key"), entry(b"\0id", 0x03, UNIQUE_ID))), b"A key"),
    "NUL": (forged(issuer=name(entry(b"Good\0Bad"))), b"Good"),
    "highest character": (forged(issuer=name(entry("\U0010ffff".encode()))), b"\xf4\x8f\xbf\xbf"),
    "no entries": (forged(issuer=der(0x30, der(0x31))), b""),
    "no text": (forged(issuer=name(entry(b""))), b""),
    "two in one set": (forged(issuer=name(entry(b"x", kind=ORGANIZATION) + entry(b"y"), entry(b"z"))), b"y"),
    "big version": (forged(version=b"\1" * 9), b"A key"),
    "certificates": (forged(before_signers=der(0xA0) + der(0xA1)), b"A key"),
    "attributes": (forged(after_signature=der(0xA1)), b"A key"),
}


@pytest.mark.parametrize("what", GOOD)
def test_unusual_names_and_parts(both: Any, what: str, reader: str) -> None:
    data, signer = GOOD[what]
    ours, theirs = both(signature(data))
    assert ours == theirs
    assert ours["signer"] == signer


def test_a_string_of_bits_as_signer(reader: str) -> None:
    """Without kmod, which shows what happens to follow in its memory, too."""
    found = read_signature(BytesSource(signature(forged(issuer=name(entry(b"\0id", 0x03, UNIQUE_ID))))))
    assert found
    assert found.signer == "id"


@pytest.mark.parametrize(
    ("oid", "shown"),
    [
        ("2a864886f70d0204", "md4"),
        ("2b24030201", "ripemd160"),
        ("60864801650304020b", "shake128"),
        ("60864801650304020c", "shake256"),
        ("2a811ccf55018311", "sm3"),
        ("28cf06030037", "whirlpool"),
        ("2b060104018d3a0c020110", "blake2b512"),
        ("2b060104018d3a0c020208", "blake2s256"),
        ("2a85030701010202", "GOST R 34.11-2012 with 256 bit hash"),
        ("2a85030701010203", "GOST R 34.11-2012 with 512 bit hash"),
        ("2a030405", "1.2.3.4.5"),
        ("00", "0.0"),
        ("4f", "1.39"),
        ("831001", "2.320.1"),
        ("2a81ffffffffffffffff7f", "1.2.18446744073709551615"),
    ],
)
def test_digests_that_openssl_does_not_sign(both: Any, oid: str, shown: str, reader: str) -> None:
    ours, theirs = both(signature(forged(digest=algorithm(oid))))
    assert ours == theirs
    assert ours["sig_hashalgo"].decode() == shown


# kmod sees no signature in these. The library is not as strict about the ones that are no part of what is shown.
SHOWN_WRONG = {
    "empty serial": forged(serial=b""),
    "padded serial": forged(serial=b"\0\0\1"),
    "padded zero": forged(serial=b"\0\0"),
    "padded negative serial": forged(serial=b"\xff\x80"),
    "UTF-8 cut": forged(issuer=name(entry(b"\xe2\x82"))),
    "UTF-8 too long": forged(issuer=name(entry(b"\xc0\x80"))),
    "UTF-8 surrogate": forged(issuer=name(entry(b"\xed\xa0\x80"))),
    "UTF-8 in another entry": forged(issuer=name(entry(b"A key"), entry(b"\xff", kind=ORGANIZATION))),
    "BMPString of odd length": forged(issuer=name(entry(b"A", 0x1E))),
    "BMPString with surrogates": forged(issuer=name(entry("😀".encode("utf-16-be"), 0x1E))),
    "UniversalString past the end": forged(issuer=name(entry(b"\0\x11\0\0", 0x1C))),
    "VisibleString": forged(issuer=name(entry(b"A key", 0x1A))),
    "empty BIT STRING": forged(issuer=name(entry(b"", 0x03))),
    "entry of three": forged(issuer=name(der(0x30, der(0x06, b"\x55\4\3"), der(0x0C, b"x"), der(0x05)))),
    "entry without type": forged(issuer=name(der(0x30, der(0x02, b"\1"), der(0x0C, b"x")), entry(b"x"))),
    "type cut": forged(issuer=name(entry(b"x", kind="5584"), entry(b"x"))),
    "type padded": forged(issuer=name(entry(b"x", kind="558004"), entry(b"x"))),
    "digest cut": forged(digest=algorithm("2a83")),
    "digest padded": forged(digest=algorithm("2a8001")),
    "empty digest": forged(digest=algorithm("")),
}
AROUND_WRONG = {
    "padded version": forged(version=b"\0\1"),
    "padded version of the signer": forged(signer_version=b"\0\1"),
    "two parameters": forged(digest=algorithm(SHA256, der(0x05), der(0x05))),
    "cipher padded": forged(cipher=algorithm("2a8001")),
    "content cut": forged(content=algorithm("2a83")),
    "content without type": forged(content=der(0x30)),
    "digest in the list padded": forged(digests=algorithm("2a8001")),
    "no digest in the list": forged(digests=der(0x02, b"\1")),
    "unknown part": forged(before_signers=der(0xA2)),
    "parts in the wrong order": forged(before_signers=der(0xA1) + der(0xA0)),
    "certificates twice": forged(before_signers=der(0xA0) + der(0xA0)),
    "string after the signature": forged(after_signature=der(0x04, b"x")),
}


@pytest.mark.parametrize("what", [*SHOWN_WRONG, *AROUND_WRONG])
def test_own_reader_refuses_what_kmod_refuses(both: Any, what: str) -> None:
    data = {**SHOWN_WRONG, **AROUND_WRONG}[what]
    assert both(signature(data))[1] == {}
    assert read_signer_info(data) is None


@pytest.mark.parametrize("what", SHOWN_WRONG)
def test_wrong_parts_are_not_shown(what: str, reader: str) -> None:
    found = read_signature(BytesSource(signature(SHOWN_WRONG[what])))
    assert found
    assert (found.signer, found.key_id, found.hash, found.signature) == (None, None, None, SHOWN_WRONG[what])


def certificate(key: bytes, *, issuer: bytes | None = None, version: bytes = b"\2", extension: bytes = b"") -> bytes:
    """A certificate of the key with that identifier; of what is no version 3 there are no extensions."""
    identifier = der(0x30, der(0x06, bytes.fromhex("551d0e")), extension or der(0x04, der(0x04, key)))
    other = der(0x30, der(0x06, bytes.fromhex("551d13")), der(0x01, b"\xff"), der(0x04, der(0x30)))
    fields = [der(0x02, b"\1"), algorithm("2a03"), issuer or name(entry(b"Issuer")), der(0x30), name(), der(0x30)]
    if version:
        fields = [der(0xA0, der(0x02, version)), *fields, der(0xA3, der(0x30, other, identifier))]
    return der(0x30, der(0x30, *fields), algorithm("2a03"), der(0x03, b"\0s"))


KEY = b"\x66\xf5" * 10
CERTIFICATES = {
    "one": (certificate(KEY), "Issuer"),
    "another": (certificate(b"x" * 20), ""),
    "the second": (certificate(b"x" * 20) + certificate(KEY, issuer=name(entry(b"Right"))), "Right"),
    "none": (b"", ""),
    "of version 1": (certificate(KEY, version=b""), ""),
    "of another kind": (der(0xA1, b"x"), ""),
    "damaged, and one": (der(0x30, b"\x30\x7f") + certificate(KEY), "Issuer"),
    "empty, and one": (der(0x30) + der(0x30, der(0x30)) + certificate(KEY), "Issuer"),
    "a damaged extension, and one": (certificate(KEY, extension=der(0x30)) + certificate(KEY), "Issuer"),
    "a damaged name": (certificate(KEY, issuer=name(entry(b"\xff"))), ""),
}


@pytest.mark.parametrize("what", CERTIFICATES)
def test_the_signer_of_a_key_is_in_the_certificates(what: str) -> None:
    certificates, signer = CERTIFICATES[what]
    found = read_signature(BytesSource(signature(forged(key=KEY, before_signers=der(0xA0, certificates)))))
    assert found
    assert (found.signer, found.key_id, found.hash) == (signer, KEY, "sha256")


def test_messages_of_one_key_are_told_apart() -> None:
    """The first is remembered, all but its signature."""
    for value in (b"S" * 150, b"T" * 150, b"U" * 151, b"S" * 149 + b"\0"):
        for after in (b"", der(0xA1), der(0xA1, b"S" * 150)):
            for serial in (b"\1", b"\2"):
                for _ in range(2):
                    info = read_signer_info(forged(value=value, after_signature=after, serial=serial))
                    assert info
                    assert (info.signer, info.key_id, info.signature) == (b"A key", serial, value)


def test_an_element_whose_tag_goes_on_is_left_to_the_library() -> None:
    assert read_signer_info(forged(before_signers=b"\x1f\x01\x00")) is None


def test_an_endless_oid_is_not_written_out() -> None:
    assert read_signer_info(forged(digest=algorithm("2a" + "03" * 127)))
    assert read_signer_info(forged(digest=algorithm("2a" + "03" * 128))) is None


# --- the trailer


@pytest.mark.parametrize("id_type", [0, 1, 2])
@pytest.mark.parametrize("algo", range(4))
def test_algorithms_of_the_trailer(both: Any, algo: int, id_type: int) -> None:
    trailer = signature(forged(), algo=algo, id_type=id_type, hash_id=4, signer=b"Me\0too", key_id=b"\0\1")
    ours, theirs = both(trailer)
    assert ours == theirs
    if algo < 2:
        assert ours["signer"] == (b"A key" if id_type == 2 else b"Me")
        return
    assert ours == {}
    with pytest.raises(SignatureError) as error:
        read_signature(BytesSource(trailer))
    assert error.value.errno == errno.ENOPKG


@pytest.mark.parametrize("id_type", [3, 255])
def test_a_signature_of_a_kind_yet_to_come_hurts_nobody(command: Run, tmp_path: Path, id_type: int) -> None:
    trailer = signature(b"s" * 99, id_type=id_type)
    path = Ko(modinfo=["license=GPL"], trailer=trailer).write(tmp_path / "a.ko")
    done = command("modinfo", [str(path)])
    assert (done.status, done.err) == (0, b"")
    assert b"license:        GPL\n" in done.out and b"sig_id" not in done.out
    assert module_info(path).signature is None
    with pytest.raises(SignatureError) as error:
        read_signature(BytesSource(trailer))
    assert error.value.errno == errno.ENOPKG
