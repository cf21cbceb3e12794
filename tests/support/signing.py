# SPDX-License-Identifier: LGPL-2.1-or-later
"""Keys, certificates and signatures of modules as the kernel's sign-file makes them, by openssl."""

from __future__ import annotations

import subprocess
from pathlib import Path
from shutil import which

from tests.support.common import need
from tests.support.koforge import signature

ALGORITHMS = {
    "rsa": ["-newkey", "rsa:2048"],
    "p256": ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
    "p384": ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384"],
}


class Key:
    """A key with its certificate, in files of a directory."""

    def __init__(self, folder: Path, name: str = "Builder", algorithm: str = "rsa") -> None:
        need(which("openssl"), "openssl")
        folder.mkdir(parents=True, exist_ok=True)
        self.name = name
        self.secret, self.pem = folder / f"{name}.key", folder / f"{name}.pem"
        _openssl("req", "-x509", *ALGORITHMS[algorithm], "-nodes", "-keyout", str(self.secret), "-out", str(self.pem),
                 "-subj", f"/O=Forge/CN={name}", "-days", "36500")  # fmt: skip
        self.der = _openssl("x509", "-in", str(self.pem), "-outform", "DER")

    def message(self, content: bytes, *options: str, digest: str = "sha256") -> bytes:
        """The PKCS#7 message that sign-file makes; `-keyid` lets it name the key instead of the certificate."""
        return _openssl("cms", "-sign", "-binary", "-noattr", "-nocerts", "-md", digest, "-outform", "DER",
                        "-signer", str(self.pem), "-inkey", str(self.secret), *options, stdin=content)  # fmt: skip

    def sign(self, content: bytes, *options: str, digest: str = "sha256") -> bytes:
        """A module with its signature."""
        return content + signature(self.message(content, *options, digest=digest))

    def raw(self, content: bytes, digest: str = "sha256") -> bytes:
        """The bare signature."""
        return _openssl("dgst", f"-{digest}", "-sign", str(self.secret), stdin=content)


def _openssl(*words: str, stdin: bytes = b"") -> bytes:
    done = subprocess.run(["openssl", *words], input=stdin, capture_output=True)
    assert done.returncode == 0, done.stderr
    return done.stdout
