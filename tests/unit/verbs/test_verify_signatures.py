# SPDX-License-Identifier: LGPL-2.1-or-later
"""kmod verify: signatures made by openssl as sign-file makes them, keys from every place, and flipped bits."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import lzma
import random
import shutil
import struct
import subprocess
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509

from pymodutils import Context, ModuleSignature, Roots, VerifyReport, verify
from pymodutils.diagnosis.signatures import Keyring
from pymodutils.errors import Error
from pymodutils.formats.efisignatures import X509, entries_in
from pymodutils.formats.kernelimage import kernel_in, trusted_certificates
from pymodutils.formats.source import BytesSource
from pymodutils.verbs.verify import libraries
from tests.support.common import run_inside
from tests.support.forgedsystem import RELEASE, forge_system
from tests.support.kernelforge import (
    SHA256_LIST,
    X509_LIST,
    X509_SHA256_LIST,
    bzimage,
    kernel_elf,
    kernel_with,
    signature_list,
    unified,
    wrapped,
    zboot,
    zimage,
)
from tests.support.koforge import Ko, signature
from tests.support.signing import ALGORITHMS, Key

CONTENT = Ko(modinfo=["license=GPL", "vermagic=6.1.0-forged SMP "], needs={"printk": 1}).bytes()
SYMVERS = {f"lib/modules/{RELEASE}/Module.symvers": "0x1\tprintk\tvmlinux\tEXPORT_SYMBOL\t\n"}


@pytest.fixture(scope="session")
def own(tmp_path_factory: pytest.TempPathFactory) -> Key:
    return Key(tmp_path_factory.mktemp("keys"))


@pytest.fixture(scope="session")
def other(tmp_path_factory: pytest.TempPathFactory) -> Key:
    return Key(tmp_path_factory.mktemp("keys"), "Stranger")


def judged(tmp_path: Path, data: bytes, *keys: Path | str, release: str = RELEASE) -> ModuleSignature:
    """What is said of the signature of one module."""
    path = tmp_path / "m.ko"
    path.write_bytes(data)
    context = Context(Roots(base=str(tmp_path / "none"), release=release))
    (module,) = verify(context, [path], keys=list(keys)).modules
    return module.signature


@pytest.mark.parametrize("form", ["issuer", "key id"])
@pytest.mark.parametrize("digest", ["sha1", "sha224", "sha256", "sha384", "sha512"])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_good_signatures(tmp_path: Path, algorithm: str, digest: str, form: str) -> None:
    key = Key(tmp_path / "keys", algorithm=algorithm)
    signed = key.sign(CONTENT, *(["-keyid"] if form == "key id" else []), digest=digest)
    found = judged(tmp_path, signed, key.pem)
    assert (found.state, found.signer, found.key_source) == ("good", "Builder", str(key.pem))
    changed = bytearray(signed)
    changed[200] ^= 1
    assert judged(tmp_path, bytes(changed), key.pem).state == "bad"


def test_unknown_key(tmp_path: Path, own: Key, other: Key) -> None:
    found = judged(tmp_path, other.sign(CONTENT), own.pem)
    assert (found.state, found.signer, found.key_source) == ("unknown key", "Stranger", None)
    serial = subprocess.run(["openssl", "x509", "-in", other.pem, "-noout", "-serial"], capture_output=True, text=True)
    assert found.key_id == serial.stdout.strip().partition("=")[2].lower().lstrip("0")
    found = judged(tmp_path, other.sign(CONTENT, "-keyid"), own.pem)
    assert (found.state, found.signer) == ("unknown key", None)
    assert found.key_id and len(found.key_id) == 40


def test_a_key_of_the_same_name(tmp_path: Path, own: Key) -> None:
    twin = Key(tmp_path / "twin")
    assert judged(tmp_path, twin.sign(CONTENT), own.pem).state == "unknown key"


def test_several_signers(tmp_path: Path, own: Key, other: Key) -> None:
    """One signer whose key is known is enough, and one whose signature is bad too many."""
    both = ["-signer", str(other.pem), "-inkey", str(other.secret)]
    message = own.message(CONTENT, *both)
    assert judged(tmp_path, CONTENT + signature(message), own.pem).state == "good"
    assert judged(tmp_path, CONTENT + signature(message), other.pem).state == "good"
    assert judged(tmp_path, CONTENT + b"x" + signature(message), own.pem, other.pem).state == "bad"


@pytest.mark.parametrize("options", [[], ["-keyid"]])
def test_signed_attributes_are_refused(tmp_path: Path, own: Key, options: list[str]) -> None:
    message = subprocess.run(
        ["openssl", "cms", "-sign", "-binary", "-nocerts", "-md", "sha256", "-outform", "DER", "-signer", own.pem,
         "-inkey", own.secret, *options], input=CONTENT, capture_output=True).stdout  # fmt: skip
    found = judged(tmp_path, CONTENT + signature(message), own.pem)
    assert (found.state, found.text) == ("bad", "the signature is of attributes, which no kernel takes")


def test_content_in_the_message_is_refused(tmp_path: Path, own: Key) -> None:
    message = own.message(CONTENT, "-nodetach")
    assert judged(tmp_path, CONTENT + signature(message), own.pem).state == "bad"


def test_a_chain_of_certificates_cannot_be_judged(tmp_path: Path, own: Key, other: Key) -> None:
    message = subprocess.run(
        ["openssl", "cms", "-sign", "-binary", "-noattr", "-md", "sha256", "-outform", "DER", "-signer", other.pem,
         "-inkey", other.secret], input=CONTENT, capture_output=True).stdout  # fmt: skip
    assert judged(tmp_path, CONTENT + signature(message), own.pem).state == "cannot verify"
    assert judged(tmp_path, CONTENT + signature(message), other.pem).state == "good"


RSA = bytes.fromhex("06092a864886f70d010101")
SHA256 = bytes.fromhex("0609608648016503040201")


@pytest.mark.parametrize(
    ("before", "after", "text"),
    [
        (RSA, bytes.fromhex("0609608648016503040311"), "algorithm ML-DSA-44"),
        (RSA, bytes.fromhex("0609608648016503040312"), "algorithm ML-DSA-65"),
        (RSA, bytes.fromhex("0609608648016503040313"), "algorithm ML-DSA-87"),
        (RSA, bytes.fromhex("06092a864886f70d01017f"), "algorithm 1.2.840.113549.1.1.127"),
        (SHA256, bytes.fromhex("0609608648016503040208"), "algorithm SHA3-256"),
        (SHA256, bytes.fromhex("060960864801650304020a"), "algorithm SHA3-512"),
        (SHA256, bytes.fromhex("060960864801650304027f"), "algorithm 2.16.840.1.101.3.4.2.127"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
@pytest.mark.parametrize("known", [True, False])
def test_algorithms_that_are_not_known(
    tmp_path: Path, own: Key, other: Key, before: bytes, after: bytes, text: str, known: bool
) -> None:
    message = own.message(CONTENT)
    assert before in message
    found = judged(tmp_path, CONTENT + signature(message.replace(before, after)), own.pem if known else other.pem)
    assert (found.state, found.text) == ("cannot verify", text)


@pytest.mark.parametrize("known", [True, False])
def test_padding_that_no_kernel_knows(tmp_path: Path, own: Key, other: Key, known: bool) -> None:
    message = own.message(CONTENT, "-keyopt", "rsa_padding_mode:pss")
    found = judged(tmp_path, CONTENT + signature(message), own.pem if known else other.pem)
    assert (found.state, found.text) == ("cannot verify", "algorithm RSA-PSS")


@pytest.mark.parametrize("id_type", [3, 4, 255])
def test_kinds_of_records_that_are_not_known(tmp_path: Path, own: Key, id_type: int) -> None:
    data = CONTENT + signature(own.message(CONTENT), id_type=id_type)
    found = judged(tmp_path, data, own.pem)
    assert (found.state, found.text) == ("cannot verify", f"unknown kind of signature: {id_type}")


def test_what_cannot_be_verified_is_an_open_question(tmp_path: Path, own: Key) -> None:
    roots = forge_system(tmp_path / "root", files=SYMVERS)
    path = Path(roots.modules, "kernel/m.ko")
    path.parent.mkdir()
    path.write_bytes(CONTENT + signature(own.message(CONTENT), id_type=9))
    run_inside("depmod", ["-b", str(tmp_path / "root"), RELEASE])
    done = run_inside("kmod", ["verify", f"--keys={own.pem}"], roots)
    assert done.status == 2
    assert b"cannot verify its signature: unknown kind of signature: 9\n" in done.err


@pytest.mark.parametrize(
    ("digest", "number"), [("sha1", 2), ("sha256", 4), ("sha384", 5), ("sha512", 6), ("sha224", 7)]
)
def test_the_form_before_linux_4_3(tmp_path: Path, own: Key, digest: str, number: int) -> None:
    raw = own.raw(CONTENT, digest)
    key_id = bytes.fromhex(judged(tmp_path, own.sign(CONTENT), own.pem).key_id or "")
    data = CONTENT + signature(
        struct.pack(">H", len(raw)) + raw, id_type=1, algo=1, hash_id=number, signer=b"Forge: Builder", key_id=key_id
    )
    old = judged(tmp_path, data, own.pem, release="3.16.0-4-amd64")
    assert (old.state, old.signer) == ("good", "Forge: Builder")
    assert judged(tmp_path, b"x" + data, own.pem, release="3.16.0-4-amd64").state == "bad"
    assert judged(tmp_path, own.sign(CONTENT), own.pem, release="3.16.0-4-amd64").state == "cannot verify"
    new = judged(tmp_path, data, own.pem)
    assert (new.state, new.text) == ("cannot verify", "a form that kernels since 4.3 do not take")


# --- flipped bits


@pytest.mark.parametrize("algorithm", ["rsa", "p384"])
def test_a_hundred_flipped_bits(tmp_path: Path, algorithm: str) -> None:
    """Over the header, the text, the signature, and each byte of the trailer: none is good, and each is reported."""
    key = Key(tmp_path / "keys", algorithm=algorithm)
    good = key.sign(CONTENT)
    numbers = random.Random(algorithm)
    trailer = len(good) - 40
    parts = [range(64), range(64, len(CONTENT)), range(len(CONTENT), trailer)]
    places = [numbers.choice(part) for part in parts for _ in range(20)] + list(range(trailer, len(good)))
    assert len(places) == 100
    paths = []
    for number, place in enumerate(places):
        data = bytearray(good)
        data[place] ^= 1 << numbers.randrange(8)
        paths.append(tmp_path / f"m{number}.ko")
        paths[-1].write_bytes(data)
    (tmp_path / "good.ko").write_bytes(good)
    context = Context(Roots(base=str(tmp_path / "none"), release=RELEASE))
    symbols = tmp_path / "symvers"
    symbols.write_text("0x1\tprintk\tvmlinux\tEXPORT_SYMBOL\t\n")
    report = verify(context, [*paths, tmp_path / "good.ko"], keys=key.pem, symbols=symbols)
    *changed, unchanged = report.modules
    assert unchanged.ok and unchanged.signature.state == "good"
    found = dict(zip(places, changed, strict=True))
    assert [place for place, module in found.items() if module.signature.state == "good"] == []
    silent = [place for place, module in found.items() if module.ok]
    assert all(found[place].signature.state == "cannot verify" for place in silent)  # its kind or algorithm is another
    assert len(silent) < 10 and bool(silent) <= any("cannot verify" in error.text for error in report.errors)


@pytest.mark.parametrize("form", [(), ("-keyid",)], ids=["issuer", "key id"])
@pytest.mark.parametrize("algorithm", ["rsa", "p256"])
def test_every_bit_of_a_signature(tmp_path: Path, algorithm: str, form: tuple[str, ...]) -> None:
    """Of the message and the trailer: each is either protected by the signature, or demanded by its form."""
    key = Key(tmp_path, algorithm=algorithm)
    content = b"short"
    good = key.sign(content, *form)
    keyring = Keyring([(key.der, "key")], libraries())
    assert keyring.check(good).state == "good"
    for bit in range(8 * len(content), 8 * len(good)):
        data = bytearray(good)
        data[bit // 8] ^= 1 << bit % 8
        assert keyring.check(bytes(data)).state != "good", bit


# --- which keys


def state(roots: Roots, **options: object) -> tuple[str | None, VerifyReport]:
    with Context(roots) as context:
        report = verify(context, **options)  # type: ignore[arg-type]
    return report.modules[0].signature.state, report


def signed_system(root: Path, key: Key, **files: bytes) -> Roots:
    roots = forge_system(root, files={**SYMVERS, **{name.replace("|", "/"): data for name, data in files.items()}})
    path = Path(roots.modules, "kernel/m.ko")
    path.parent.mkdir()
    path.write_bytes(key.sign(CONTENT))
    run_inside("depmod", ["-b", str(root), RELEASE])
    return roots


def _run(*command: str) -> Callable[[bytes], bytes]:
    return lambda data: subprocess.run(command, input=data, capture_output=True, check=True).stdout


COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "xz": lambda data: lzma.compress(data, check=lzma.CHECK_CRC32),
    "lzma": lambda data: lzma.compress(data, format=lzma.FORMAT_ALONE),
    "bzip2": bz2.compress,
    "zstd": _run("zstd", "-q", "-c"),
    "lz4": _run("lz4", "-l", "-q", "-c"),
}
CONTAINERS: dict[str, Callable[[bytes, int], bytes]] = {
    "bzImage": bzimage,
    "zboot": zboot,
    "zImage": zimage,
    "ELF": wrapped,
    "unified": unified,
    "alone": lambda data, _: data,
}


@pytest.mark.parametrize("compression", COMPRESS)
@pytest.mark.parametrize("container", CONTAINERS)
def test_keys_in_an_image(tmp_path: Path, own: Key, other: Key, container: str, compression: str) -> None:
    kernel = kernel_with(other.der, own.der)
    image = CONTAINERS[container](COMPRESS[compression](kernel), len(kernel))
    assert trusted_certificates(kernel_in(BytesSource(image))) == [other.der, own.der]


def test_what_a_kernel_holds_is_not_taken_for_it(own: Key) -> None:
    """An initial file system in the kernel is compressed as well."""
    kernel = kernel_elf({"printk": (1, False, "")}, data=gzip.compress(bytes(1 << 17)) + kernel_with(own.der))
    assert trusted_certificates(kernel_in(BytesSource(kernel))) == [own.der]


def test_keys_in_a_plain_image() -> None:
    assert trusted_certificates(kernel_in(BytesSource(kernel_with()))) == []


def test_the_list_is_told_from_other_certificates(own: Key, other: Key) -> None:
    """Those of the regulatory database, for example: no list with its size behind it, so no keys of the kernel."""
    found = trusted_certificates(BytesSource(kernel_with(own.der, decoy=other.der)))
    assert found == [own.der]
    assert trusted_certificates(BytesSource(kernel_with(own.der, measured=False))) == [own.der]
    assert trusted_certificates(BytesSource(kernel_with(own.der, measured=False, decoy=other.der))) == []


def test_the_list_with_room_for_more(own: Key) -> None:
    """CONFIG_SYSTEM_EXTRA_CERTIFICATE: zeros between the list and its size."""
    kernel = bytes(64) + own.der + bytes(-len(own.der) % 8 + 4096) + struct.pack("<Q", len(own.der))
    assert trusted_certificates(BytesSource(kernel)) == [own.der]


@pytest.mark.parametrize("place", ["boot|vmlinuz-6.1.0-forged", "lib|modules|6.1.0-forged|vmlinuz"])
def test_keys_of_the_kernel_in_boot(tmp_path: Path, own: Key, other: Key, place: str) -> None:
    kernel = kernel_with(own.der)
    image = bzimage(gzip.compress(kernel), len(kernel))
    found, report = state(signed_system(tmp_path / "root", own, **{place: image}))
    (key,) = report.keys
    assert found == "good"
    assert (key.subject, key.source) == ("CN=Builder,O=Forge", f"{tmp_path}/root/{place.replace('|', '/')}")
    assert report.modules[0].signature.key_id == key.key_id
    assert report.is_clean
    found, report = state(signed_system(tmp_path / "other", other, **{place: image}))
    assert found == "unknown key"
    assert [problem.code for problem in report.modules[0].problems] == ["unknown-key"]
    assert state(signed_system(tmp_path / "third", own, **{place: image}), keys="none")[0] is None


def test_an_image_that_cannot_be_read(tmp_path: Path, own: Key) -> None:
    broken = bzimage(b"\xfd7zXZ\x00 and no more", 1)
    found, report = state(signed_system(tmp_path / "root", own, **{"boot|vmlinuz-6.1.0-forged": broken}))
    assert report.errors[0].file == f"{tmp_path}/root/boot/vmlinuz-6.1.0-forged"
    assert found == "cannot verify" and report.is_clean
    assert "none of those that could be read" in report.errors[-1].text and len(report.errors) == 2


MOK = "sys|firmware|efi|efivars|MokListRT-605dab50-e046-4300-abb6-3dd810dd8b23"
DB = "sys|firmware|efi|efivars|db-d719b2cb-3d3a-4596-a3bc-dad00e67656f"
MOK_TABLE = "sys|firmware|efi|mok-variables|MokListRT"
FORBIDDEN = "sys|firmware|efi|efivars|MokListXRT-605dab50-e046-4300-abb6-3dd810dd8b23"
NO_DB = "sys|firmware|efi|efivars|dbx-d719b2cb-3d3a-4596-a3bc-dad00e67656f"


SECURE_BOOT = "sys|firmware|efi|efivars|SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
SETUP = "sys|firmware|efi|efivars|SetupMode-8be4df61-93ca-11d2-aa0d-00e098032b8c"
LAX = "sys|firmware|efi|efivars|MokSBStateRT-605dab50-e046-4300-abb6-3dd810dd8b23"
NO_FIRMWARE = "sys|firmware|efi|efivars|MokIgnoreDB-605dab50-e046-4300-abb6-3dd810dd8b23"
TRUSTED = "sys|firmware|efi|mok-variables|MokListTrustedRT"
CONFIG = "boot|config-6.1.0-forged"
ATTRIBUTES = b"\6\0\0\0"
ON = {SECURE_BOOT: ATTRIBUTES + b"\1", SETUP: ATTRIBUTES + b"\0"}
OFF = {SECURE_BOOT: ATTRIBUTES + b"\0", SETUP: ATTRIBUTES + b"\0"}
DEBIANS = b"Linux version 6.1.0 (debian-kernel@lists.debian.org)\0Module hash %*phN is blacklisted\0"
OPTIONS = dict.fromkeys(
    "LOAD_UEFI_KEYS INTEGRITY_PLATFORM_KEYRING INTEGRITY_MACHINE_KEYRING SECONDARY_TRUSTED_KEYRING "
    "SYSTEM_BLACKLIST_KEYRING IMA_SECURE_AND_OR_TRUSTED_BOOT".split(), "y",
)  # fmt: skip
"""What Debian's kernels have; it is off: SYSTEM_REVOCATION_LIST, INTEGRITY_CA_MACHINE_KEYRING."""


def config(**changes: str) -> dict[str, bytes]:
    options = {**OPTIONS, **changes}
    lines = [f"CONFIG_{name}={value}" for name, value in options.items() if value != "n"]
    unset = [f"# CONFIG_{name} is not set" for name, value in options.items() if value == "n"]
    return {CONFIG: "\n".join(["# a comment", *lines, *unset, ""]).encode()}


def image(*certificates: bytes, words: bytes = b"") -> dict[str, bytes]:
    kernel = kernel_with(*certificates) + words
    return {"boot|vmlinuz-6.1.0-forged": bzimage(gzip.compress(kernel), len(kernel))}


def judged_by_firmware(
    tmp_path: Path, key: Key, *parts: dict[str, bytes], release: str = RELEASE, data: bytes = b""
) -> ModuleSignature:
    """What is said of a module signed with a key, on a machine with these variables and files."""
    files: dict[str, bytes] = {}
    for part in parts:
        files.update({name.replace("6.1.0-forged", release): content for name, content in part.items()})
    shutil.rmtree(tmp_path / "root", ignore_errors=True)
    roots = forge_system(tmp_path / "root", files={name.replace("|", "/"): content for name, content in files.items()})
    path = tmp_path / "m.ko"
    path.write_bytes(data or key.sign(CONTENT))
    with Context(roots.replace(release=release)) as context:
        report = verify(context, [path])
    return report.modules[0].signature


def told(signature: ModuleSignature, root: Path) -> tuple[str | None, str | None]:
    return signature.state, signature.text and signature.text.replace(f"{root}/root/sys/firmware/efi/", "")


DOUBT = "and whether this kernel takes such keys for modules is not known"
IN_DB, IN_MOK = f"its key is in db, {DOUBT}", f"its key is in MokListRT, {DOUBT}"
UNSURE = "its key is in MokListRT, which the kernel reads under Secure Boot alone"
UNREAD = "its key is in {}, which this kernel does not read"


@pytest.mark.parametrize(
    ("place", "parts", "expected"),
    [
        (DB, [config(), image(words=DEBIANS)], ("good", None)),
        (DB, [config(), image()], ("cannot verify", IN_DB)),
        (DB, [config()], ("cannot verify", IN_DB)),
        (DB, [image(words=DEBIANS)], ("cannot verify", IN_DB)),
        (DB, [config(INTEGRITY_PLATFORM_KEYRING="n"), image(words=DEBIANS)], ("unknown key", UNREAD.format("db"))),
        (DB, [config(LOAD_UEFI_KEYS="n"), image(words=DEBIANS)], ("unknown key", UNREAD.format("db"))),
        (DB, [config(), image(words=DEBIANS), {NO_FIRMWARE: ATTRIBUTES + b"\1"}],
         ("unknown key", "its key is in db, which this kernel leaves out, since there is MokIgnoreDB")),
        (MOK, [config(), image(words=DEBIANS), ON], ("good", None)),
        (MOK_TABLE, [config(), image(words=DEBIANS), ON], ("good", None)),
        (MOK, [config(), image(words=DEBIANS), OFF],
         ("unknown key", UNSURE)),
        (MOK, [config(), image(words=DEBIANS), {**ON, SETUP: ATTRIBUTES + b"\1"}],
         ("unknown key", UNSURE)),
        (MOK, [config(), image(words=DEBIANS)],
         ("cannot verify", f"{UNSURE}, and whether that is on is not known")),
        *[(MOK, [config(), image(words=DEBIANS), {**ON, **parts}],
           ("cannot verify", f"{UNSURE}, and whether that is on is not known"))
          for parts in ({SECURE_BOOT: b""}, {SECURE_BOOT: ATTRIBUTES + b"\2"}, {SECURE_BOOT: ATTRIBUTES + b"\1\0"},
                        {SETUP: b""}, {SETUP: ATTRIBUTES}, {LAX: ATTRIBUTES + b"\1"}, {LAX: ATTRIBUTES})],
        (MOK, [config(), image(words=DEBIANS), {**ON, LAX: ATTRIBUTES + b"\0"}], ("good", None)),
        (MOK, [config(), image(), ON], ("cannot verify", IN_MOK)),
        (MOK, [config(), image(), ON, {TRUSTED: b"\1"}], ("good", None)),
        (MOK, [config(INTEGRITY_CA_MACHINE_KEYRING="y"), image(), ON, {TRUSTED: b"\1"}], ("cannot verify", IN_MOK)),
        (MOK, [config(INTEGRITY_MACHINE_KEYRING="n"), image(), ON, {TRUSTED: b"\1"}], ("cannot verify", IN_MOK)),
        (MOK, [config(IMA_SECURE_AND_OR_TRUSTED_BOOT="n"), image(words=DEBIANS), ON], ("cannot verify", IN_MOK)),
        (MOK, [config(INTEGRITY_MACHINE_KEYRING="n", INTEGRITY_PLATFORM_KEYRING="n"), image(words=DEBIANS), ON],
         ("unknown key", UNREAD.format("MokListRT"))),
        (MOK, [ON], ("cannot verify", IN_MOK)),
        (FORBIDDEN, [config(), image(words=DEBIANS), ON], ("unknown key", None)),
        (NO_DB, [config(), image(words=DEBIANS), ON], ("unknown key", None)),
    ],
)  # fmt: skip
def test_keys_of_the_firmware(
    tmp_path: Path, own: Key, other: Key, place: str, parts: list[dict[str, bytes]], expected: tuple[str, str | None]
) -> None:
    lists = signature_list(bytes(32), bytes(32), kind=SHA256_LIST) + signature_list(other.der) + signature_list(own.der)
    found = judged_by_firmware(tmp_path, own, {place: lists if place == MOK_TABLE else ATTRIBUTES + lists}, *parts)
    assert told(found, tmp_path) == expected
    if expected[0] == "good":
        assert found.key_source == f"{tmp_path}/root/{place.replace('|', '/')}"
    elsewhere = Roots.of_system(tmp_path / "root", RELEASE)  # another system: the keys are those of this machine
    with Context(elsewhere) as context:
        assert verify(context, [tmp_path / "m.ko"]).modules[0].signature.state == "unknown key"


@pytest.mark.parametrize("place", [DB, MOK])
def test_keys_of_the_firmware_with_kernels_of_which_less_is_known(tmp_path: Path, own: Key, place: str) -> None:
    parts = [{place: ATTRIBUTES + signature_list(own.der)}, config(), image(words=DEBIANS), ON]
    assert judged_by_firmware(tmp_path, own, *parts, release="5.10.0-1").state == "cannot verify"


def test_a_key_that_counts_goes_before_one_that_does_not(tmp_path: Path, own: Key) -> None:
    lists = ATTRIBUTES + signature_list(own.der)
    found = judged_by_firmware(tmp_path, own, {DB: lists, MOK: lists}, config(), image(words=DEBIANS), OFF)
    assert (found.state, found.key_source) == ("good", f"{tmp_path}/root/{DB.replace('|', '/')}")


def signed_part(key: Key) -> bytes:
    return hashlib.sha256(x509.load_der_x509_certificate(key.der).tbs_certificate_bytes).digest()


def forbidding(place: str, kind: bytes, *entries: bytes) -> dict[str, bytes]:
    return {place: ATTRIBUTES + signature_list(*entries, kind=kind)}


HEED = ", and whether this kernel heeds that is not known"
DEBIAN = [config(), image(words=DEBIANS), ON]


@pytest.mark.parametrize("forbids", [NO_DB, FORBIDDEN])
@pytest.mark.parametrize(
    ("place", "parts", "state", "more"),
    [
        (MOK, DEBIAN, "unknown key", ""),
        (DB, DEBIAN, "good", None),  # which the kernel reads before what is forbidden
        (MOK, [config(SYSTEM_BLACKLIST_KEYRING="n"), image(words=DEBIANS), ON], "good", None),
    ],
)
def test_forbidden_hashes_of_certificates(
    tmp_path: Path, own: Key, forbids: str, place: str, parts: list[dict[str, bytes]], state: str, more: str | None
) -> None:
    keys = {place: ATTRIBUTES + signature_list(own.der)}
    lists = forbidding(forbids, X509_SHA256_LIST, bytes(32), signed_part(own))
    name = forbids.rpartition("|")[2]
    text = None if more is None else f"its certificate is forbidden by efivars/{name}{more}"
    assert told(judged_by_firmware(tmp_path, own, keys, lists, *parts), tmp_path) == (state, text)


def test_a_forbidden_certificate_goes_behind_a_newer_one_of_its_key(tmp_path: Path, own: Key) -> None:
    newer = tmp_path / "newer.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-new", "-key", own.secret, "-out", newer, "-subj", "/CN=Newer"], check=True
    )
    der = subprocess.run(["openssl", "x509", "-in", newer, "-outform", "DER"], check=True, capture_output=True).stdout
    keys = {MOK: ATTRIBUTES + signature_list(own.der) + signature_list(der)}
    lists = forbidding(NO_DB, X509_SHA256_LIST, signed_part(own))
    for form, state in ((["-keyid"], "good"), ([], "unknown key")):
        found = judged_by_firmware(tmp_path, own, keys, lists, *DEBIAN, data=own.sign(CONTENT, *form))
        assert found.state == state


def test_hashes_that_forbid_nothing(tmp_path: Path, own: Key, other: Key) -> None:
    """One with a time behind it, one of the whole certificate, one of another key, one of the builder's own key."""
    keys = {MOK: ATTRIBUTES + signature_list(own.der)}
    for entry in (signed_part(own) + bytes(16), hashlib.sha256(own.der).digest(), signed_part(other)):
        lists = forbidding(NO_DB, X509_SHA256_LIST, entry)
        assert judged_by_firmware(tmp_path / entry.hex()[:8], own, keys, lists, *DEBIAN).state == "good"
    lists = forbidding(NO_DB, X509_SHA256_LIST, signed_part(own))
    found = judged_by_firmware(tmp_path / "builder", own, lists, config(), image(own.der, words=DEBIANS), ON)
    assert found.state == "good"
    data = own.sign(CONTENT)  # without Secure Boot the owner's list is not read
    lists = forbidding(FORBIDDEN, SHA256_LIST, hashlib.sha256(data).digest())
    for mode, state in ((ON, "bad"), (OFF, "good"), ({}, "cannot verify")):
        parts = [lists, config(), image(own.der, words=DEBIANS), mode]
        assert judged_by_firmware(tmp_path / "files", own, *parts, data=data).state == state


BEFORE = "its certificate is forbidden by efivars/"


@pytest.mark.parametrize("form", [[], ["-keyid"]], ids=["issuer", "key id"])
@pytest.mark.parametrize("forbids", [NO_DB, FORBIDDEN])
@pytest.mark.parametrize(
    ("release", "parts", "state", "more"),
    [
        ("6.12.0-1", [config(SYSTEM_REVOCATION_LIST="y"), ON], "bad", ""),
        ("6.12.0-1", [config(SYSTEM_REVOCATION_LIST="n"), ON], "good", None),
        ("6.12.0-1", [ON], "cannot verify", HEED),
        ("6.1.0-1", [config(SYSTEM_REVOCATION_LIST="y"), ON], "cannot verify", HEED),
    ],
)
def test_forbidden_certificates(
    tmp_path: Path, own: Key, other: Key, forbids: str, form: list[str], release: str, parts: list[dict[str, bytes]],
    state: str, more: str | None,
) -> None:  # fmt: skip
    lists = forbidding(forbids, X509_LIST, own.der)
    name = forbids.rpartition("|")[2]
    text = None if more is None else f"{BEFORE}{name}{more}"
    kernel = image(own.der, other.der)
    found = judged_by_firmware(tmp_path, own, lists, *parts, kernel, release=release, data=own.sign(CONTENT, *form))
    assert told(found, tmp_path) == (state, text)
    found = judged_by_firmware(tmp_path, other, lists, *parts, kernel, release=release)
    assert told(found, tmp_path) == ("good", None)
    changed = bytearray(own.sign(CONTENT, *form))
    changed[200] ^= 1
    assert judged_by_firmware(tmp_path, own, lists, *parts, kernel, release=release, data=bytes(changed)).state == "bad"


def test_a_forbidden_certificate_without_its_key(tmp_path: Path, own: Key) -> None:
    """It is refused everywhere by a kernel that heeds it; else it is as unknown as any."""
    lists = forbidding(NO_DB, X509_LIST, own.der)
    for number, (value, state) in enumerate((("y", "bad"), ("n", "unknown key"))):
        parts = [lists, config(SYSTEM_REVOCATION_LIST=value), image(), ON]
        assert judged_by_firmware(tmp_path / str(number), own, *parts, release="6.12.0-1").state == state
    assert judged_by_firmware(tmp_path / "open", own, lists, image(), ON, release="6.12.0-1").state == "unknown key"


@pytest.mark.parametrize("digest", ["sha256", "sha512"])
@pytest.mark.parametrize("forbids", [NO_DB, FORBIDDEN])
@pytest.mark.parametrize(
    ("words", "options", "state", "more"),
    [
        (DEBIANS, {}, "bad", ""),
        (b"", {}, "good", None),
        (DEBIANS, {"SYSTEM_BLACKLIST_KEYRING": "n"}, "good", None),
        (DEBIANS, None, "cannot verify", HEED),
    ],
)
def test_forbidden_files(
    tmp_path: Path, own: Key, forbids: str, digest: str, words: bytes, options: dict[str, str] | None, state: str,
    more: str | None,
) -> None:  # fmt: skip
    data = own.sign(CONTENT, digest=digest)
    lists = forbidding(forbids, SHA256_LIST, bytes(32), hashlib.sha256(data).digest())
    parts = [lists, image(own.der, words=words), ON, {} if options is None else config(**options)]
    text = None if more is None else f"the file is forbidden by efivars/{forbids.rpartition('|')[2]}{more}"
    assert told(judged_by_firmware(tmp_path, own, *parts, data=data), tmp_path) == (state, text)
    another = own.sign(CONTENT, "-keyid", digest=digest)
    assert judged_by_firmware(tmp_path, own, *parts, data=another).state == "good"
    lists = forbidding(forbids, SHA256_LIST, hashlib.sha256(CONTENT).digest())  # what is signed is not the whole file
    assert judged_by_firmware(tmp_path, own, *parts, lists, data=data).state == "good"


def test_variables_that_cannot_be_read(tmp_path: Path, own: Key) -> None:
    """They leave an open question; of the owner's, one of two places is enough."""
    good, cut = signature_list(own.der), signature_list(own.der)[:-1]
    for number, (parts, files) in enumerate(
        [
            ([{DB: ATTRIBUTES + cut}], [DB]),
            ([{NO_DB: ATTRIBUTES + cut}], [NO_DB]),
            ([{MOK_TABLE: cut, MOK: ATTRIBUTES + good}], []),
            ([{MOK_TABLE: cut, MOK: ATTRIBUTES + cut}], [MOK_TABLE, MOK]),
        ]
    ):
        root = tmp_path / str(number)
        signed = {name.replace("|", "/"): data for part in [*parts, *DEBIAN] for name, data in part.items()}
        roots = forge_system(root, files={**SYMVERS, **signed})
        (root / "m.ko").write_bytes(own.sign(CONTENT))
        with Context(roots) as context:
            report = verify(context, [root / "m.ko"])
        places = [f"{root}/{name.replace('|', '/')}" for name in files]
        assert [error.file for error in report.errors] == [*places, *([f"{root}/m.ko"] if files else [])]


@pytest.mark.parametrize("cut", [10, 27, 40, -1])
def test_damaged_lists_of_the_firmware(own: Key, cut: int) -> None:
    whole = signature_list(own.der)
    assert list(entries_in(whole)) == [(X509, own.der)]
    size = len(own.der) + 16
    for damaged in (whole[:cut], *[whole[:24] + struct.pack("<I", wrong) + whole[28:] for wrong in (0, 15, size - 1)]):
        with pytest.raises(Error):
            list(entries_in(damaged))
    with pytest.raises(Error):
        list(entries_in(whole + whole[:16] + struct.pack("<III", 28, 0, size)))  # a list of nothing


def test_keys_in_files(tmp_path: Path, own: Key, other: Key) -> None:
    der, row, pem = tmp_path / "a.der", tmp_path / "row.x509", tmp_path / "both.pem"
    der.write_bytes(own.der)
    row.write_bytes(other.der + own.der)
    pem.write_bytes(own.secret.read_bytes() + other.pem.read_bytes() + b"a word\n" + own.pem.read_bytes())
    image = tmp_path / "vmlinuz"
    image.write_bytes(bzimage(zlib.compress(kernel_with(own.der), wbits=31), 1))
    signed = own.sign(CONTENT)
    for path in (der, row, pem, image):
        assert judged(tmp_path, signed, path).state == "good"
    assert judged(tmp_path, signed, other.pem, der).key_source == str(der)


@pytest.mark.parametrize(
    "content", [b"", b"nothing", b"-----BEGIN CERTIFICATE-----\nx\n", b"\x30\x82\xff\xff", bytes(99)]
)
def test_files_without_keys(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "keys"
    path.write_bytes(content)
    with pytest.raises(Error) as caught:
        judged(tmp_path, CONTENT, path)
    assert caught.value.path == str(path)


# --- whether it matters


@pytest.mark.parametrize(
    ("enforced", "codes"), [("Y", ["unsigned"]), ("N", []), (None, [])], ids=["enforced", "not enforced", "not known"]
)
def test_unsigned_modules(tmp_path: Path, enforced: str | None, codes: list[str]) -> None:
    roots = forge_system(tmp_path / "root", files=SYMVERS)
    if enforced:
        place = tmp_path / "root/sys/module/module/parameters/sig_enforce"
        place.parent.mkdir(parents=True)
        place.write_text(f"{enforced}\n")
    path = Path(roots.modules, "kernel/m.ko")
    path.parent.mkdir()
    path.write_bytes(CONTENT)
    run_inside("depmod", ["-b", str(tmp_path / "root"), RELEASE])
    _, report = state(roots)
    assert [problem.code for problem in report.modules[0].problems] == codes
