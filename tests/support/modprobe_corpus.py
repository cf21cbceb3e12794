# SPDX-License-Identifier: LGPL-2.1-or-later
"""Read tests/differential/modprobe_corpus/: modprobe's command lines, each file with the configuration they run under.

A file has a `title`; `lines`, one command line each; and what is laid down for them below the root directory: `files`
with their text, `bytes` with one character for each byte, `forged` module files, `loaded` modules. In a command line
`NAME=value` words before a `|` are the environment; `{root}` stands for the root directory (nothing for kmod, which has
it as its root), `{modules}` for the module directory below it.
"""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.common import REPO
from tests.support.fakeroot import MODULES, RELEASE, loaded
from tests.support.koforge import Ko

FOLDER = REPO / "tests/differential/modprobe_corpus"
CONF = "etc/modprobe.d/a.conf"


@dataclass(frozen=True)
class Setting:
    """Command lines, and the files that are laid down for them."""

    lines: list[str]
    files: dict[str, str | bytes]


def read(path: Path) -> tuple[str, Setting]:
    """The title and the setting of one file."""
    data: dict[str, Any] = tomllib.loads(path.read_text())
    files: dict[str, str | bytes] = dict(data.pop("files", {}))
    files |= {name: text.encode("latin-1") for name, text in data.pop("bytes", {}).items()}
    files |= {name: Ko(**what).bytes() for name, what in data.pop("forged", {}).items()}
    for name, state in data.pop("loaded", {}).items():
        files |= loaded(name, **state)
    title, lines = data.pop("title"), data.pop("lines").removesuffix("\n").split("\n")
    assert not data, f"{path}: unknown keys {list(data)}"
    return title, Setting(lines, files)


CORPUS: dict[str, Setting] = dict(map(read, sorted(FOLDER.glob("*.toml"))))


def cases() -> Iterator[tuple[str, str]]:
    """(title of the setting, command line)."""
    for title, setting in CORPUS.items():
        for line in setting.lines:
            yield title, line


def parse(line: str) -> tuple[dict[str, str], list[str]]:
    """The environment and the arguments of a command line."""
    before, bar, after = line.rpartition(" | ")
    environment = dict(word.split("=", 1) for word in shlex.split(before)) if bar else {}
    words = shlex.split(after.replace("{modules}", MODULES))
    return environment, words if "9.9.9" in line else ["-S", RELEASE, *words]


def for_kmod(words: list[str]) -> list[str]:
    """The same for kmod 34.2, where -n prints only with -v."""
    dry = any(re.fullmatch(r"--dry.*|--show|-\w*n\w*", word) for word in words)
    return ["-v", *words] if dry and "-v" not in words else words


CARRIAGE_RETURN = re.compile(
    rb"modprobe: WARNING: \S+ line \d+: the line ends in a carriage return, .*; see kmod lint\n"
)
"""What only ours says, whatever the command line."""

DEPRECATED = re.compile(rb"modprobe: WARNING: --\S+ is deprecated and scheduled for removal; use --\S+\n")
"""What 34.2 does not say yet of deprecated option names."""
