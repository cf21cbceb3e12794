# SPDX-License-Identifier: LGPL-2.1-or-later
"""Run our depmod and kmod 34.2's on one tree, each into a directory of its own, and compare all that they make."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from pymodutils.depmod.render import FILES
from tests.support import assets
from tests.support.common import BIN, Outcome

RELEASE = "6.6.6"

# What differs on purpose (docs/differences.md says why), taken out of both outputs.
KNOWN_DIFFERENCES = (
    (re.compile(rb"( Invalid symbol version [^:]*): .*"), rb"\1"),
    (re.compile(rb"^depmod: ERROR: fstatat\(\d+, [^)]*\): "), b"depmod: ERROR: could not read: "),
    (re.compile(rb"^depmod: ERROR: could not read \S+: "), b"depmod: ERROR: could not read: "),
    (re.compile(rb"^depmod: ERROR: could not follow the link \S+ to \S+: "), b"depmod: ERROR: could not read: "),
    (re.compile(rb"^depmod: ERROR: hash_add_unique .*: File exists$"), b""),
    (re.compile(rb"^depmod: ERROR: could not fstatat\(.*, modules.dep\): .*"), b""),
)


def messages(stderr: bytes) -> list[bytes]:
    """The lines of stderr without known differences and empty lines."""
    lines = []
    for line in stderr.splitlines():
        for pattern, replacement in KNOWN_DIFFERENCES:
            line = pattern.sub(replacement, line)
        if line:
            lines.append(line)
    return lines


def run_both(base: Path, out: Path, words: list[str], release: str = RELEASE) -> tuple[Outcome, Outcome]:
    """Ours and kmod's, into out/ours and out/kmod; -C keeps this machine's configuration out unless `words` has one."""
    config = [] if "-C" in words else ["-C", "/var/empty/none"]
    outcomes = []
    for name, program in (("ours", [str(BIN / "depmod")]), ("kmod", assets.kmod34_argv("depmod"))):
        arguments = [*program, *config, "-b", str(base), "-o", str(out / name), *words]
        if release not in words:
            arguments.insert(len(program), release)
        done = subprocess.run(arguments, capture_output=True, stdin=subprocess.DEVNULL, timeout=300)
        outcomes.append(Outcome(done.returncode, done.stdout, done.stderr))
    return outcomes[0], outcomes[1]


def files_of(out: Path, release: str = RELEASE) -> dict[str, bytes]:
    """The indexes in an output directory; modules.symbols as a set of lines, which is all that kmod promises."""
    folder = out / "lib/modules" / release
    found = {name: (folder / name).read_bytes() for name in FILES if (folder / name).exists()}
    if "modules.symbols" in found:
        found["modules.symbols"] = b"\n".join(sorted(found["modules.symbols"].split(b"\n")))
    return found


def differing(out: Path, release: str = RELEASE) -> list[str]:
    """The names of files that are not the same in out/ours and out/kmod."""
    ours, kmod = files_of(out / "ours", release), files_of(out / "kmod", release)
    return sorted(name for name in ours.keys() | kmod.keys() if ours.get(name) != kmod.get(name))
