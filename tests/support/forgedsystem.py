# SPDX-License-Identifier: LGPL-2.1-or-later
"""A forged system below a directory: modules with indexes of our depmod, files of any kind, a pretended kernel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from pymodutils import Context
from pymodutils.roots import Roots
from pymodutils.state.live import NoLiveKernel
from tests.support.common import run_inside
from tests.support.koforge import Ko

RELEASE = "6.1.0-forged"


def lay_files(root: Path, files: Mapping[str, str | bytes]) -> None:
    """Write files; a text that begins with `-> ` is the target of a link."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, str) and content.startswith("-> "):
            path.symlink_to(content[3:])
        else:
            path.write_bytes(content if isinstance(content, bytes) else content.encode())


def forge_system(
    root: Path,
    modules: Mapping[str, Ko | Sequence[str]] | None = None,
    *,
    builtin: Sequence[str] = (),
    builtin_modinfo: bytes = b"",
    files: Mapping[str, str | bytes] | None = None,
    loaded: Mapping[str, str] | None = None,
) -> Roots:
    """Return the roots of a system.

    `modules` are given as what is forged, or as the strings of .modinfo. `loaded` maps names to what follows name and
    size in /proc/modules. The kernel is asked, because it has places of its own.
    """
    directory = root / "lib/modules" / RELEASE
    directory.mkdir(parents=True)
    for name, what in (modules or {}).items():
        ko = what if isinstance(what, Ko) else Ko(modinfo=["license=GPL", f"name={name}", *what])
        ko.write(directory / f"kernel/{name}.ko")
    directory.joinpath("modules.builtin").write_text("".join(f"kernel/{name}.ko\n" for name in builtin))
    directory.joinpath("modules.builtin.modinfo").write_bytes(builtin_modinfo)
    assert run_inside("depmod", ["-b", str(root), RELEASE]).status == 0
    lay_files(root, files or {})
    lay_kernel(root, loaded or {})
    return Roots(base=str(root), release=RELEASE, config_root=str(root), proc=f"{root}/proc", sys=f"{root}/sys")


def of_another_release(roots: Roots) -> Context:
    """Return a context for a kernel of this machine that is not the running one."""
    context = Context(roots)
    context.live = NoLiveKernel(roots)
    return context


def lay_kernel(root: Path, loaded: Mapping[str, str]) -> None:
    """Write what the kernel shows of loaded modules."""
    (root / "sys/module").mkdir(parents=True, exist_ok=True)
    (root / "proc").mkdir(exist_ok=True)
    (root / "proc/modules").write_text("".join(f"{name} 4096 {rest}\n" for name, rest in loaded.items()))
    for name, rest in loaded.items():
        place = root / "sys/module" / name
        place.mkdir(exist_ok=True)
        place.joinpath("refcnt").write_text(rest.split()[0] + "\n")
        state = {"Loading": "coming", "Unloading": "going"}.get(rest.split()[2], "live")
        place.joinpath("initstate").write_text(f"{state}\n")


def needing(name: str, *others: str, strings: Sequence[str] = ()) -> Ko:
    """Return a module that needs a symbol of each of the others, and exports one of its own."""
    return Ko(
        modinfo=["license=GPL", f"name={name}", *strings],
        exports={f"{name}_symbol": 1},
        needs={f"{other}_symbol": 1 for other in others},
    )
