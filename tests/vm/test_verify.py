# SPDX-License-Identifier: LGPL-2.1-or-later
"""What kmod verify says of signatures is what the kernel answers, with a key of our own built into it.

The certificate in Debian's kernel gives way to ours: then modules signed by us are those of the kernel's builder, and
Debian's are a stranger's.
"""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path

import pytest

from pymodutils import Context, Roots, verify
from pymodutils.formats.kernelimage import trusted_certificates
from pymodutils.formats.source import BytesSource
from tests.support import assets
from tests.support.koforge import signature
from tests.support.signing import Key
from tests.vm import ownmodules
from tests.vm.harness import Guest, boot

ALGORITHMS = {"6.1": "rsa", "6.12": "p384"}
DIGESTS = {"6.1": ("sha1", "sha224", "sha256"), "6.12": ("sha256", "sha384", "sha512")}
"""What is built into the kernel, as what Debian signs modules with is. Others are modules themselves: a stranger's."""

REJECTED = "Key was rejected by service"


def with_certificate(kernel: str, certificate: bytes) -> bytes:
    """The kernel with this certificate in place of its own, which is longer."""
    image = bytearray(assets.vmlinux(kernel).read_bytes())
    (old,) = trusted_certificates(BytesSource(bytes(image)))
    start = image.find(old)
    assert len(certificate) <= len(old) and image.count(old) == 1
    image[start : start + len(old)] = certificate.ljust(len(old), b"\0")
    sizes = start + len(old) + -len(old) % 8  # of the list, then of the builder's certificate in it
    assert struct.unpack_from("<QQ", image, sizes) == (len(old), len(old))
    struct.pack_into("<QQ", image, sizes, len(certificate), len(certificate))
    return bytes(image)


def changed(data: bytes, at: int) -> bytes:
    return data[:at] + bytes((data[at] ^ 4,)) + data[at + 1 :]


def variants(content: bytes, own: Key, stranger: Key, digests: tuple[str, ...]) -> dict[str, bytes]:
    """Signed modules of all kinds, by what is the matter with them."""
    good = own.sign(content)
    message = own.message(content)
    key_form = own.message(content, "-keyid")
    raw = own.raw(content)
    return {
        **{f"{digest}, issuer": own.sign(content, digest=digest) for digest in digests},
        **{f"{digest}, key id": own.sign(content, "-keyid", digest=digest) for digest in digests},
        "unsigned": content,
        "stranger": stranger.sign(content),
        "stranger, key id": stranger.sign(content, "-keyid"),
        "text": changed(good, len(content) // 2),
        "signature": changed(good, len(good) - 45),
        "length": content + message + signature(message)[len(message) :].replace(
            struct.pack(">I", len(message)), struct.pack(">I", 1 << 30)),
        "padding": content + message + changed(signature(message)[len(message) :], 6),
        "signer length": content + signature(message, signer=b"x"),
        "magic": changed(good, len(good) - 3),
        "message": changed(good, len(content) + 20),
        "attributes": content + signature(attributes(own, content)),
        "unknown record": content + signature(message, id_type=9),
        "older form": content + signature(struct.pack(">H", len(raw)) + raw, id_type=1, algo=1, hash_id=4,
                                          signer=b"Builder", key_id=b"12345678901234567890"),
        "unknown digest": content + signature(
            key_form.replace(bytes.fromhex("0609608648016503040201"), bytes.fromhex("060960864801650304027f"))),
    }  # fmt: skip


def attributes(key: Key, content: bytes) -> bytes:
    words = ["cms", "-sign", "-binary", "-nocerts", "-md", "sha256", "-outform", "DER"]
    keys = ["-signer", str(key.pem), "-inkey", str(key.secret)]
    return subprocess.run(["openssl", *words, *keys], input=content, capture_output=True, check=True).stdout


def answer(guest: Guest, path: str) -> str:
    """What the kernel says to a module: nothing if it takes it."""
    done = guest.tool("ours", ["insmod", path])
    if done.status == 0:
        guest.tool("ours", ["rmmod", Path(path).name.partition(".")[0]]).check()
    return done.stderr.decode().strip().rpartition(": ")[2]


@pytest.mark.usefixtures("vm_programs")
def test_good_is_what_loads_and_unknown_keys_are_rejected(kernel: str, tmp_path: Path) -> None:
    own, stranger = (Key(tmp_path, name, ALGORITHMS[kernel]) for name in ("Builder", "Stranger"))
    vmlinux = tmp_path / "vmlinux"
    vmlinux.write_bytes(with_certificate(kernel, own.der))
    content = (ownmodules.build(kernel) / "pmt_a.ko").read_bytes()
    debians = Path(assets.module_tree(kernel), "lib/modules", assets.release(kernel), "kernel/drivers/net/dummy.ko")
    made = {**variants(content, own, stranger, DIGESTS[kernel]), "Debian's": debians.read_bytes()}
    paths = {}
    for number, (what, data) in enumerate(made.items()):
        paths[what] = tmp_path / f"m{number}" / ("dummy.ko" if what == "Debian's" else "pmt_a.ko")
        paths[what].parent.mkdir()
        paths[what].write_bytes(data)
    context = Context(Roots(base=str(assets.module_tree(kernel)), release=assets.release(kernel)))
    said = {}
    for what, path in paths.items():
        (module,) = verify(context, [path], keys=vmlinux, symbols=vmlinux).modules
        said[what] = module.signature.state
    with boot(kernel, modules=[], vmlinux=vmlinux, limit=900) as guest:
        places = {
            what: guest.put(f"/tmp/{path.parent.name}/{path.name}", path.read_bytes()) for what, path in paths.items()
        }
        free = {what: answer(guest, place) for what, place in places.items()}
        guest.run("echo 1 > /sys/module/module/parameters/sig_enforce").check()
        enforced = {what: answer(guest, place) for what, place in places.items()}
    wrong = [
        (what, state, free[what], enforced[what])
        for what, state in said.items()
        if not {
            "good": free[what] == enforced[what] == "",
            "bad": free[what] != "" and enforced[what] != "",
            "unknown key": free[what] == "" and enforced[what] == REJECTED,
            "unsigned": free[what] == "" and enforced[what] == REJECTED,
            "cannot verify": free[what] == "" and enforced[what] == REJECTED,
        }[str(state)]
    ]
    assert wrong == []
    assert {*said.values()} == {"good", "bad", "unknown key", "unsigned", "cannot verify"}
    assert said["Debian's"] == said["stranger"] == "unknown key"
