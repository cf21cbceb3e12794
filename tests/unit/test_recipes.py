# SPDX-License-Identifier: LGPL-2.1-or-later
"""docs/recipes.md: every block runs, and prints what stands below it."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

import pytest

from pymodutils import Context, Roots
from tests.support.common import REPO
from tests.support.fakekernel import FakeKernel
from tests.support.koforge import Ko

RECIPES = re.findall(
    r"(?ms)^## ([^\n]+)\n(?:(?!^## |^```).)*?^```python\n(.*?)^```\n\n^```text\n(.*?)^```$",
    (REPO / "docs/recipes.md").read_text(),
)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeKernel:
    """What all recipes take for the system that they run on."""
    kernel = FakeKernel(tmp_path, monkeypatch)
    names = ("libcrc32c", "xor", "loop", "snd_timer", "virtio_net", "virtio_pci")
    modules = {**{name: [] for name in names}, "btrfs": ["libcrc32c"], "snd_pcm": ["snd_timer"]}
    aliases = "pci:v00001AF4d*=virtio_pci net_alias=virtio_net net_alias=virtio_pci"
    kernel.tree(modules, builtin=["ext4"], aliases=aliases)
    strings = ["license=GPL", "name=btrfs", "depends=libcrc32c", "softdep=pre: xor", "firmware=btrfs.bin"]
    strings.append(f"vermagic={kernel.roots.release} SMP mod_unload ")
    Ko(modinfo=[*strings], needs={"crc32c": 1}).write(kernel.path("btrfs"))
    Ko(modinfo=["license=BSD", "name=virtio_pci", "depends="]).write(kernel.path("virtio_pci"))
    for name in ("base", "release", "config_root", "proc", "sys"):
        monkeypatch.setattr(Roots, name, getattr(kernel.roots, name))
    own = (kernel.roots.base, kernel.roots.release)
    shows_kernel = property(lambda roots: (roots.base, roots.release) == own or roots.proc == "/host/proc")
    monkeypatch.setattr(Roots, "shows_kernel", shows_kernel)
    with Context(kernel.roots) as system:
        for name in ("loop", "btrfs"):
            system.load(name)
    (kernel.config / "local.conf").write_text("options snd_timer tstamp=1\nsoftdep btrfs pre: xor\nblaklist pcspkr\n")
    return kernel


def test_all_blocks_were_found() -> None:
    text = (REPO / "docs/recipes.md").read_text()
    assert text.count("```python") == len(RECIPES) == text.count("\n## ")


@pytest.mark.parametrize(("title", "program", "printed"), RECIPES, ids=[title for title, _, _ in RECIPES])
def test_recipe(machine: FakeKernel, title: str, program: str, printed: str) -> None:
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile(program, title, "exec"), {"__name__": "recipe"})
    assert out.getvalue().replace(machine.roots.base, "") == printed
