# SPDX-License-Identifier: LGPL-2.1-or-later
"""What kmod verify says of keys of the firmware and of the machine's owner is what the kernel answers under UEFI.

With Secure Boot on and off, on variables that allow and forbid keys, hashes of certificates, and hashes of files.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
from cryptography import x509

from pymodutils import Context, Roots, verify
from pymodutils.formats.kernelimage import kernel_in, trusted_certificates
from pymodutils.formats.source import BytesSource
from tests.support import assets
from tests.support.kernelforge import SHA256_LIST, X509_SHA256_LIST, signature_list
from tests.support.signing import Key
from tests.vm import cpio, ownmodules
from tests.vm.harness import Guest, boot
from tests.vm.test_verify import ALGORITHMS, REJECTED
from tests.vm.uefi import uefi

CHOSEN = [("6.12", "secure boot")]
if os.environ.get("PYMODUTILS_KEYS"):
    CHOSEN = [(kernel, mode) for kernel in assets.KERNELS for mode in ("secure boot", "no secure boot")]
VARIABLES = "/sys/firmware/efi/efivars"
NAMES = [
    "firmware", "firmware-signed-part", "firmware-certificate", "owner", "owner-signed-part", "owner-signed-part-x",
    "owner-timed", "owner-certificate", "stranger",
]  # fmt: skip
TRY_ALL = """
for file in /try/*/*.ko; do
    name=${file##*/}
    echo "$file" $(insmod $file 2>&1 && rmmod ${name%.ko} 2>&1)
done
"""


def signed_part(der: bytes) -> bytes:
    """The SHA-256 of what is signed in a certificate."""
    return hashlib.sha256(x509.load_der_x509_certificate(der).tbs_certificate_bytes).digest()


def variables_for(keys: dict[str, Key], builtin: bytes, files: dict[str, bytes]) -> dict[str, bytes]:
    """Lists of what is allowed and forbidden."""
    der = {name: key.der for name, key in keys.items()}
    parts = [signed_part(item) for item in (der["firmware-signed-part"], der["owner-signed-part"], builtin)]
    hashes = [hashlib.sha256(files[name]).digest() for name in ("builtin, forbidden", "firmware, forbidden")]
    timed = signed_part(der["owner-timed"]) + bytes(16)
    return {
        "db": b"".join([signature_list(der[name]) for name in der if name.startswith("firmware")]),
        "MokListRT": b"".join([signature_list(der[name]) for name in der if name.startswith("owner")]),
        "dbx": signature_list(*parts, kind=X509_SHA256_LIST) + signature_list(*hashes, kind=SHA256_LIST)
        + signature_list(der["firmware-certificate"]) + signature_list(timed, kind=X509_SHA256_LIST),
        "MokListXRT": signature_list(signed_part(der["owner-signed-part-x"]), kind=X509_SHA256_LIST)
        + signature_list(hashlib.sha256(files["owner, forbidden"]).digest(), kind=SHA256_LIST)
        + signature_list(der["owner-certificate"]),
    }  # fmt: skip


def read_variables(guest: Guest, folder: Path) -> None:
    """Copy the variables of the guest's firmware as its kernel shows them."""
    guest.run(f"modprobe efivarfs && mount -t efivarfs none {VARIABLES}").check()
    folder.mkdir(parents=True)
    for name in guest.run(["ls", VARIABLES]).check().stdout.decode().split():
        if name.startswith(("db", "Mok", "SecureBoot-", "SetupMode-")):
            (folder / name).write_bytes(guest.run(["cat", f"{VARIABLES}/{name}"]).check().stdout)


def archive(folder: Path, paths: dict[str, Path]) -> Path:
    """An archive with the files, which the guest has from the start."""
    with open(folder / "files", "wb") as stream:
        writer = cpio.Writer(stream)
        for path in paths.values():
            writer.file(str(path.relative_to(folder)), path)
        writer.close()
    return folder / "files"


def ask(guest: Guest, folder: Path, paths: dict[str, Path]) -> dict[str, str]:
    """What the kernel answers to each file, by the real insmod: nothing if it takes it."""
    lines = guest.run(TRY_ALL, timeout=120).check().stdout.decode().splitlines()
    answers = dict(line.partition(" ")[::2] for line in lines)
    return {what: answers[f"/{path.relative_to(folder)}"].rpartition(": ")[2] for what, path in paths.items()}


@pytest.mark.usefixtures("vm_programs")
@pytest.mark.parametrize(("kernel", "mode"), CHOSEN)
def test_verify_says_what_the_kernel_answers(kernel: str, mode: str, tmp_path: Path) -> None:
    keys = {name: Key(tmp_path / "keys", name, ALGORITHMS[kernel]) for name in NAMES}
    content = (ownmodules.build(kernel) / "pmt_a.ko").read_bytes()
    debians = Path(assets.module_tree(kernel), "lib/modules", assets.release(kernel), "kernel/drivers/net")
    files = {name: key.sign(content) for name, key in keys.items()}
    files |= {f"{name}, forbidden": keys[name].sign(content, "-keyid") for name in ("firmware", "owner")}
    files |= {"builtin, forbidden": (debians / "dummy.ko").read_bytes(), "builtin": (debians / "ifb.ko").read_bytes()}
    files["unsigned"] = content
    image = next(assets.linux(kernel).glob("boot/vmlinuz-*")).read_bytes()
    (builtin,) = trusted_certificates(kernel_in(BytesSource(image)))
    paths = {}
    for number, (what, data) in enumerate(files.items()):
        name = {"builtin": "ifb", "builtin, forbidden": "dummy"}.get(what, "pmt_a")
        paths[what] = tmp_path / f"try/m{number}" / f"{name}.ko"
        paths[what].parent.mkdir(parents=True)
        paths[what].write_bytes(data)
    owner = keys["stranger"].der if mode == "secure boot" else None
    machine = uefi(kernel, tmp_path, variables_for(keys, builtin, files), owner)
    options = "lsm=lockdown,capability,integrity,ima,evm module.sig_enforce=1"
    extra = archive(tmp_path, paths)
    with boot(kernel, ["efivarfs"], machine=machine, cmdline=options, extra=[extra], limit=900) as guest:
        read_variables(guest, tmp_path / "sys/firmware/efi/efivars")
        answers = ask(guest, tmp_path, paths)
    roots = Roots(base=str(assets.linux(kernel)), release=assets.release(kernel), sys=str(tmp_path / "sys"))
    report = verify(Context(roots), paths.values(), symbols=assets.vmlinux(kernel))
    said = {what: module.signature for what, module in zip(paths, report.modules, strict=True)}
    expected = {"good": "", "bad": REJECTED, "unknown key": REJECTED, "unsigned": REJECTED}
    wrong = {what: (said[what], answers[what]) for what in said if expected.get(str(said[what].state)) != answers[what]}
    assert wrong == {}
    states = {what: signature.state for what, signature in said.items()}
    taken = [what for what, state in states.items() if state == "good"]
    of_owner = ["owner", "owner-timed", "owner-certificate"] if owner else []
    assert taken == ["firmware", "firmware-signed-part", "firmware-certificate", *of_owner, "builtin"]
    assert states["builtin, forbidden"] == states["firmware, forbidden"] == "bad"
    assert states["owner, forbidden"] == ("bad" if owner else "unknown key")
