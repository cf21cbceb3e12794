# SPDX-License-Identifier: LGPL-2.1-or-later
"""What cannot be read is not known: no verb takes it for something that is not there."""

from __future__ import annotations

import builtins
import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pymodutils.roots import Roots
from tests.support.common import replace_call, run_inside
from tests.support.forgedsystem import RELEASE, forge_system, needing
from tests.support.schemas import check_document

MAGIC = f"vermagic={RELEASE} SMP mod_unload "
MODULES = {
    "base": needing("base", strings=[MAGIC]),
    "disk": needing("disk", "base", strings=[MAGIC, "alias=pci:v1d*"]),
    "user": needing("user", "disk", strings=[MAGIC]),
}
FILES: dict[str, str | bytes] = {
    "etc/modprobe.d/x.conf": "install base /bin/false\nsoftdep other pre: base\n",
    "etc/modules-load.d/x.conf": "other\n",
    "boot/vmlinuz": b"x",
    "proc/sys/kernel/modules_disabled": "0\n",
    "proc/cmdline": "ro\n",
}


@pytest.fixture
def roots(tmp_path: Path) -> Roots:
    return forge_system(tmp_path / "system", MODULES, files=FILES)


Hide = Callable[[str], None]


@pytest.fixture
def hide(roots: Roots, monkeypatch: pytest.MonkeyPatch) -> Hide:
    """Return what makes all below a directory of the system unreadable, as for a user who may not enter it."""

    def hide(directory: str) -> None:
        place = f"{roots.base}/{directory}"

        def refusing(function: Callable[..., Any], *, entering: bool = False) -> Callable[..., Any]:
            def refuse(path: Any = ".", *arguments: Any, **named: Any) -> Any:
                text = os.fsdecode(path) if isinstance(path, (str, bytes)) else ""
                if text.startswith(f"{place}/") or (entering and text == place):
                    raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
                return function(path, *arguments, **named)

            return refuse

        def denying(path: Any, mode: int, **named: Any) -> bool:
            return access(path, mode, **named) and not os.fspath(path).startswith(f"{place}/")

        access = os.access
        replace_call(monkeypatch, "access", denying)
        for name in ("stat", "lstat", "readlink", "open"):
            replace_call(monkeypatch, name, refusing(getattr(os, name)))
        for name in ("listdir", "scandir"):
            replace_call(monkeypatch, name, refusing(getattr(os, name), entering=True))
        monkeypatch.setattr(builtins, "open", refusing(open))

    return hide


KERNEL = f"lib/modules/{RELEASE}/kernel"


@pytest.mark.parametrize(
    ("hidden", "words", "says", "never"),
    [
        ("etc/modprobe.d", "check disk", "disk  CANNOT TELL", "closed"),
        ("etc/modprobe.d", "check base", "base  CANNOT TELL", "closed"),
        ("etc/modprobe.d", "config disk", "no rule about disk, as far as could be read", "disk\n"),
        ("etc/modprobe.d", "explain disk", "nothing was found in the way, but not all could be read", "stands"),
        ("etc/modules-load.d", "check base", "modules-load   ?       ", "not listed"),
        ("boot", "check base", "base  CANNOT TELL", "no image"),
        ("boot", "lint", "boot/initrd.img", "\0"),
        (KERNEL, "check user", "user  CANNOT TELL", "OPEN    of"),
        (KERNEL, "explain disk", "nothing was found in the way, but not all could be read", "no such file"),
        (KERNEL, "params disk", "no parameter was seen, but not all could be read", "no parameters"),
        (KERNEL, "symbols disk_symbol", "disk_symbol  disk    -    -        -          -        -", "no such"),
        (KERNEL, f"diff /lib/modules/{RELEASE} /lib/modules/{RELEASE}", "but not all could be read", "nothing differs"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_not_known(
    roots: Roots, hide: Hide, hidden: str, words: str, says: str, never: str
) -> None:
    line = [word.replace("/lib", f"{roots.base}/lib", 1) if word[0] == "/" else word for word in words.split()]
    if hidden == KERNEL:
        Path(roots.base, "etc/modprobe.d/x.conf").unlink()
    usual = run_inside("kmod", line, roots)
    assert usual.status != 2 and b"Permission denied" not in usual.err, usual.err
    hide(hidden)
    done = run_inside("kmod", line, roots)
    assert done.status == 2
    assert b"Permission denied" in done.err
    text = (done.out + done.err).decode()
    assert says in text and never not in text, text
    errors = check_document(run_inside("kmod", [*line, "--json"], roots).out)["errors"]
    assert errors
    assert hidden != KERNEL or "explain" in line or all(error["errno"] == errno.EACCES for error in errors)


@pytest.mark.parametrize("words", ["verify", "verify {}/disk.ko"])
def test_what_cannot_be_read_may_export_a_symbol(roots: Roots, hide: Hide, words: str) -> None:
    """That a symbol is exported nowhere, or an index is wrong, takes all modules."""
    place = f"{roots.base}/{KERNEL}"
    Path(roots.modules, "Module.symvers").write_text("0x00000001\tkernel_symbol\tvmlinux\tEXPORT_SYMBOL\t\n")
    for name in ("modules.symbols.bin", "modules.alias"):
        Path(roots.modules, name).unlink()
    Path(place, "hidden").mkdir()
    line = [*words.format(place).split(), "--keys=none", "--json"]
    Path(place, "base.ko").rename(f"{roots.base}/base.ko")
    done = run_inside("kmod", line, roots)
    assert done.status == 1 and b"base_symbol" in done.out
    hide(f"{KERNEL}/hidden")
    done = run_inside("kmod", line, roots)
    found = check_document(done.out)
    assert (done.status, found["indexes"]) == (2, {})
    assert not [problem for module in found["modules"] for problem in module["problems"]]


def test_doors_that_are_not_known_are_null(roots: Roots, hide: Hide) -> None:
    """A blacklist rule that is there holds whatever else may be said; all others can be overruled."""
    Path(roots.base, "run/modprobe.d").mkdir(parents=True)
    Path(roots.base, "run/modprobe.d/y.conf").write_text("blacklist disk\n")
    hide("etc/modprobe.d")
    (check,) = check_document(run_inside("kmod", ["check", "--json", "disk"], roots).out)["checks"]
    doors = {name: door["open"] for name, door in check["doors"].items()}
    assert check["verdict"] is None
    assert (doors["by_name"], doors["by_alias"], doors["udev"], doors["insmod"]) == (None, False, False, True)


def test_differences_next_to_what_cannot_be_read(roots: Roots, tmp_path: Path, hide: Hide) -> None:
    """A module that is not seen in a tree may be where nothing could be read: it was not removed from it."""
    old = forge_system(tmp_path / "old", {**MODULES, "gone": []})
    line = ["diff", old.modules, roots.modules]
    assert b"removed" in run_inside("kmod", line, roots).out
    hide(KERNEL)
    assert b"removed" not in run_inside("kmod", line, roots).out


@pytest.mark.parametrize("verb", ["config", "lint", "policy show", "params", "verify", "check x", "status x"])
@pytest.mark.parametrize("option", ["--root", "-d"])
def test_a_system_that_is_not_there(tmp_path: Path, verb: str, option: str) -> None:
    """Nothing is denied, no rule is wrong and no parameter is changed there: that would be no answer."""
    tmp_path.joinpath("file").touch()
    for name, why in (("nosuch", "No such file or directory"), ("file", "Not a directory")):
        done = run_inside("kmod", [*verb.split(), option, f"{tmp_path}/{name}"], Roots())
        assert (done.status, done.out) == (2, b"")
        assert done.err.decode().endswith(f": ERROR: {tmp_path}/{name}: {why}\n")


def test_a_symbol_of_a_tree_without_an_index(roots: Roots) -> None:
    line = ["symbols", "nosuch"]
    Path(roots.proc, "kallsyms").write_text("0 T x\n")
    assert run_inside("kmod", line, roots).status == 1
    Path(roots.proc, "kallsyms").unlink()
    assert b"what the kernel itself exports is not known" in run_inside("kmod", line, roots).err
    Path(roots.modules, "modules.symbols.bin").unlink()
    done = run_inside("kmod", line, roots)
    assert done.status == 2 and b"cannot tell what modules export" in done.err


def test_a_module_that_shows_in_sys_alone(roots: Roots) -> None:
    """The evidence is what it was seen by: no modules.builtin says so here."""
    Path(roots.sys, "module/zswap").mkdir()
    for words in (["explain", "-r", "zswap"], ["explain", "-r", "--json", "zswap"]):
        out = run_inside("kmod", words, roots).out
        assert b"/sys/module/zswap" in out and b"modules.builtin" not in out
