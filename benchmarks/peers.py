# SPDX-License-Identifier: LGPL-2.1-or-later
"""What ours is compared to: Debian's kmod 34.2, a kmod built from its source, busybox, a bare interpreter.

KMOD_SOURCE names a directory with kmod's source: a Git repository, of which HEAD is built, and the merge of its pull
request 425 (depmod reads modules in threads) where the repository has it; or a plain directory, which is built.
Everything is built by meson in a scratch directory, with -O2. What cannot be had has a reason instead.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measuring import NotMeasured
from tests.support import assets

REPO = Path(__file__).parent.parent
BIN = REPO / "bin"
PYTHON = "/usr/bin/python3"

OURS, BARE, KMOD34, GIT, THREADS, BUSYBOX = "ours", "bare Python", "kmod 34.2", "kmod git", "kmod threads", "busybox"
PEERS = (BARE, KMOD34, GIT, THREADS, BUSYBOX)
KMODS = (GIT, KMOD34)
"""The yardsticks called kmod: the first of them that was measured counts."""

THREADS_REF = "refs/pull/425/merge"
FLAGS = "-O2"
DECOMPRESSORS = ("liblzma.so.5", "libzstd.so.1")


@dataclass(frozen=True)
class Peer:
    """Another implementation: what is known of it, and the words that start it under the name of a command."""

    about: str
    words: Callable[[str], list[str]]


class Peers:
    """All peers, built or unpacked into a scratch directory when first asked for."""

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch
        self._found: dict[str, Peer | NotMeasured] = {}

    def find(self, name: str) -> Peer | NotMeasured:
        """A peer, or why there is none."""
        if name not in self._found:
            try:
                self._found[name] = self._make(name)
            except NotMeasured as reason:
                self._found[name] = reason
            except (OSError, RuntimeError, subprocess.CalledProcessError) as error:
                self._found[name] = NotMeasured(str(error).partition("\n")[0])
        return self._found[name]

    def words(self, name: str, command: str, words: list[str]) -> list[str] | NotMeasured:
        """The command line of a peer that takes kmod's options, ours among them."""
        if name == OURS:
            return [str(BIN / command), *words]
        peer = self.find(name)
        if isinstance(peer, NotMeasured):
            return peer
        return peer.words(command) if name == BARE else [*peer.words(command), *words]

    def known(self) -> dict[str, str]:
        """What is known of each peer that something asked for: its version and flags, or why there is none."""
        return {
            name: f"not measured: {peer}" if isinstance(peer, NotMeasured) else peer.about
            for name, peer in self._found.items()
            if name != BARE
        }

    def _make(self, name: str) -> Peer:
        if name == BARE:
            return Peer("", lambda _: [PYTHON, "-I", "-S", "-c", "pass"])
        if name == KMOD34:
            return self._debians()
        if name == BUSYBOX:
            return _busybox()
        return self._built(name)

    def _debians(self) -> Peer:
        """kmod 34.2 with this machine's libraries for decompression, which Python uses: newer ones are much faster."""
        libraries = self._scratch / "libraries"
        libraries.mkdir()
        for library in DECOMPRESSORS:
            (libraries / library).symlink_to(f"/usr/lib/{os.uname().machine}-linux-gnu/{library}")
        folder = self._scratch / "kmod34"
        folder.mkdir()
        loader, option, path, *_ = assets.kmod34_argv("kmod")
        packages = (assets.kmod34() / "packages.txt").read_text()
        package = re.search(r"(?m)^kmod_(\S+?)_", packages)
        version = package[1] if package else "34.2"
        about = f"Debian's package {version}, its own libc, this machine's liblzma and libzstd"
        return Peer(about, lambda command: [loader, option, f"{libraries}:{path}", *assets.kmod34_argv(command)[3:]])

    def _built(self, name: str) -> Peer:
        if not (place := os.environ.get("KMOD_SOURCE")):
            raise NotMeasured("KMOD_SOURCE names no directory with kmod's source")
        for program in ("meson", "ninja"):
            if not shutil.which(program):
                raise NotMeasured(f"{program} is missing")
        source = Path(place).absolute()
        reference = THREADS_REF if name == THREADS else "HEAD"
        commit = _git(source, "rev-parse", "--short=12", "--verify", "--quiet", f"{reference}^{{commit}}")
        if commit:
            copy = self._scratch / f"source-{commit}"
            copy.mkdir()
            archive = self._scratch / f"{commit}.tar"
            _git(source, "archive", "-o", str(archive), reference)
            subprocess.run(["tar", "-C", copy, "-xf", archive], check=True)
            archive.unlink()
            source = copy
        elif name == THREADS:
            raise NotMeasured(f"KMOD_SOURCE has no {THREADS_REF}")
        build = self._scratch / f"build-{name.replace(' ', '-')}"
        _build(source, build)
        flags = json.loads((build / "compile_commands.json").read_text())[0]["command"]
        compiler = _first_line(["cc", "--version"])
        about = f"{commit or 'source'}, built by {compiler}: {' '.join(re.findall(r' (-[Ogm][^ ]*)', flags))}"
        return Peer(about, lambda command: [str(build / command)])


def _busybox() -> Peer:
    if not (path := shutil.which("busybox")):
        raise NotMeasured("busybox is missing")
    if "modprobe" not in subprocess.run([path, "--list"], capture_output=True, text=True, check=True).stdout.split():
        raise NotMeasured("this busybox has no modprobe")
    about = _first_line([path, "--help"]).removesuffix(" multi-call binary.")
    return Peer(about, lambda command: [path, command])


def _build(source: Path, build: Path) -> None:
    """Build kmod's commands into a directory. Raises NotMeasured with the last line of what went wrong."""
    options = ["--buildtype=plain", f"-Dc_args={FLAGS}", "-Dmanpages=false"]
    if "'mbedtls'" in (source / "meson_options.txt").read_text():
        options.append("-Dmbedtls=disabled")  # as Debian's
    for step in (["meson", "setup", *options, str(build), str(source)], ["ninja", "-C", str(build)]):
        done = subprocess.run(step, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode:
            lines = [line for line in done.stdout.splitlines() if "ERROR" in line or "error" in line]
            raise NotMeasured(f"{step[0]} failed: {(lines or ['?'])[0]}")


def _git(source: Path, *words: str) -> str:
    command = ["git", "-c", "safe.directory=*", "-C", str(source), *words]
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout.strip()


def _first_line(words: list[str]) -> str:
    return subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True).stdout.partition("\n")[0]
