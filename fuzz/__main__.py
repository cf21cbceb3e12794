# SPDX-License-Identifier: LGPL-2.1-or-later
"""Fuzz one target after the other: `python -m fuzz [SECONDS [TARGET...]]`; `make fuzz` calls it.

Needs atheris (`pip install '.[fuzz]'`). Each target runs in a process of its own. What is found is kept in
.cache/fuzz/, from where a finding goes, as small as it can be, into corpus/: the tests replay that.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

CORPUS = Path(__file__).parent / "corpus"
WORK = Path(__file__).parent.parent / ".cache" / "fuzz"
SECONDS = 60
LIMITS = ("-rss_limit_mb=1024", "-timeout=20", "-max_len=16384", "-print_final_stats=1", "-verbosity=0")


def fuzz(name: str, arguments: list[str]) -> None:
    """Fuzz in this process, for ever or as libFuzzer's `arguments` say."""
    import atheris

    with atheris.instrument_imports(include=["pymodutils"], enable_loader_override=False):
        from fuzz.targets import TARGETS

    atheris.Setup([f"fuzz-{name}", *arguments], TARGETS[name])
    atheris.Fuzz()


def run(name: str, seconds: int) -> bool:
    """Fuzz a target in a process of its own for so long; whether nothing was found."""
    work = WORK / name
    work.mkdir(parents=True, exist_ok=True)
    words = [f"-max_total_time={seconds}", f"-artifact_prefix={work}/found-", *LIMITS]
    corpora = [work / "corpus", CORPUS / name]
    corpora[0].mkdir(exist_ok=True)
    print(f"--- {name}", flush=True)
    command = [sys.executable, "-m", "fuzz", "--target", name, *words, *map(str, corpora)]
    return subprocess.run(command, check=False).returncode == 0


def main(words: list[str]) -> int:
    """The exit status: 1 when any target found something."""
    if words[:1] == ["--target"]:
        fuzz(words[1], words[2:])
        return 0
    from fuzz.targets import TARGETS

    seconds = int(words[0]) if words else SECONDS
    failed = [name for name in words[1:] or TARGETS if not run(name, seconds)]
    print(f"found something: {' '.join(failed)}" if failed else "nothing found")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
