# SPDX-License-Identifier: LGPL-2.1-or-later
"""Situations that users of kmod have reported as bugs or surprises, for kmod 34.2 and for us.

Trees and files that are odd, incomplete or in the wrong place; and modules loaded in states that a tree does not know.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import assets
from tests.support.common import BIN, Outcome
from tests.support.fakeroot import RELEASE as FAKE_RELEASE
from tests.support.fakeroot import FakeRoot, loaded
from tests.support.koforge import Ko

RELEASE = "6.1.0"
DEPMOD = f"depmod -b . -C conf {RELEASE}"
MODPROBE = f"modprobe -d . -C conf -S {RELEASE}"
MODINFO = f"modinfo -b . -k {RELEASE}"


def _ko(name: str, *strings: str, exports: str = "", needs: str = "", order: str = "<", bits: int = 64) -> Ko:
    return Ko(
        modinfo=["license=GPL", *strings, f"name={name}"],
        exports=dict.fromkeys(exports.split(), 1),
        needs=dict.fromkeys(needs.split(), 1),
        order=order,
        bits=bits,
    )


MODULES = {
    "core.ko": _ko("core", "alias=char-major-200-*", exports="core_open"),
    "mid-layer.ko": _ko(
        "mid_layer", "alias=char-major-200-1", "parm=level:How much (int)", exports="mid", needs="core_open"
    ),
    "top.ko": _ko("top", "softdep=pre: other post: late", "alias=of:N*T*Cmaker,top-7", needs="mid core_open"),
    "other.ko": _ko("other", "author=J\u00f6rg", "description=Two\nlines", "firmware=one.bin", "firmware=two.bin"),
    "late.ko": _ko("late", "weakdep=core other"),
    "wide.ko": _ko("wide", "alias=devname:wide/ctl", "alias=char-major-10-77", order=">", needs="core_open"),
    "narrow.ko": _ko("narrow", bits=32),
    "both.ko": _ko("both"),
}
"""In their order in modules.order; kmod has none for modules that are not in that file."""


def lay(tree: Path) -> None:
    directory = tree / f"lib/modules/{RELEASE}"
    for name, ko in MODULES.items():
        ko.write(directory / "kernel" / name)
    (directory / "modules.order").write_text("".join(f"kernel/{name}\n" for name in MODULES))
    (directory / "modules.builtin").write_text("kernel/fs/fixed-in.ko\n")
    (directory / "modules.builtin.modinfo").write_bytes(b"fixed_in.license=GPL\0fixed_in.alias=fs-fixed\0")
    (tree / "conf").mkdir()


def conf(text: str) -> Callable[[Path], object]:
    return lambda tree: (tree / "conf/rules.conf").write_text(text)


def _move_below_usr(tree: Path) -> None:
    (tree / "usr").mkdir()
    (tree / "lib").rename(tree / "usr/lib")


def _merge_usr(tree: Path) -> None:
    _move_below_usr(tree)
    (tree / "lib").symlink_to("usr/lib")


def _link_to_modules_elsewhere(tree: Path) -> None:
    _ko("outside", needs="core_open").write(tree / "elsewhere/outside.ko")
    directory = tree / f"lib/modules/{RELEASE}"
    (directory / "host").symlink_to(tree / "elsewhere")
    (directory / "build").symlink_to(tree / "elsewhere")
    (directory / "source").symlink_to("/none")
    with open(directory / "modules.order", "a") as file:
        file.write("host/outside.ko\n")


def _other_files(tree: Path) -> None:
    (tree / "lib/modules" / RELEASE / "kernel/text.ko").write_text("#!/bin/sh\n" * 30)
    (tree / "lib/modules" / RELEASE / "kernel/empty.ko").touch()
    (tree / "lib/modules" / RELEASE / "kernel/old.ko.debug").touch()


def _odd_strings(tree: Path) -> None:
    strings = ["license=GPL v2", "", "text", "=x", "name=%s\n", "parm=a:b:c", "parm=alone", "parmtype=alone:int"]
    Ko(modinfo=strings).write(tree / "odd.ko")


LINES = r"""# a comment does not go on in the next line \
options core x=1
	options  mid-layer "a b" # a part of it
alias
alias x
options core y=\
2
blacklist one two three
bogus
"""

SITUATIONS: dict[str, tuple[Callable[[Path], object] | None, list[str]]] = {
    "a name that nothing has": (None, [DEPMOD, f"{MODINFO} none", f"{MODPROBE} none", f"{MODPROBE} -q none"]),
    "an alias of two modules": (None, [DEPMOD, f"{MODPROBE} -R char-major-200-1", f"{MODPROBE} -D char-major-200-1"]),
    "install on a module with softdeps": (
        conf("blacklist top\ninstall top /bin/false\ninstall core /bin/true\n"),
        [DEPMOD, f"{MODPROBE} -n -v top", f"{MODPROBE} -D mid-layer", f"{MODPROBE} -n -v -b top", f"{MODPROBE} -c"],
    ),
    "install on a softdep": (
        conf("softdep late pre: core\ninstall core /bin/false\n"), [DEPMOD, f"{MODPROBE} -n -v late"],
    ),
    "softdeps in several lines": (
        conf("softdep late pre: core\nsoftdep late pre: other\nsoftdep late post: fixed_in none\n"),
        [DEPMOD, f"{MODPROBE} -n -v late", f"{MODPROBE} -c"],
    ),
    "softdeps in a ring": (conf("softdep late pre: other\nsoftdep other pre: late\n"), [DEPMOD, f"{MODPROBE} -D late"]),
    "a blacklist against dependencies": (
        conf("blacklist core\nblacklist mid-layer\n"),
        [DEPMOD, *(f"{MODPROBE} -n -v -b {name}" for name in ("core", "top", "char-major-200-1", "char-major-200-9"))],
    ),
    "aliases of aliases, and off": (
        conf("alias one two\nalias two core\nalias nothing off\nalias w*d late\n"),
        [DEPMOD, *(f"{MODPROBE} -n -v {name}" for name in ("one", "two", "nothing", "wild")), f"{MODPROBE} -R one"],
    ),
    "lines in all forms": (
        conf(LINES), [DEPMOD, f"{MODPROBE} -c", f"{MODPROBE} -n -v mid_layer 'level=\"1 2\"'"],
    ),
    "a file of rules alone": (
        conf("search extra built-in\nexclude none\nbogus\noptions core x=1\n"),
        [DEPMOD.replace("-C conf", "-C ./conf/rules.conf"), MODPROBE.replace("-C conf", "-C conf/rules.conf") + " -c"],
    ),
    "lib/modules below usr": (_move_below_usr, [DEPMOD, f"depmod -b . -C conf -m usr/lib/modules {RELEASE}"]),
    "lib as a link to usr/lib": (_merge_usr, [DEPMOD, f"{MODPROBE} -D top", f"{MODINFO} -n top"]),
    "links to directories": (_link_to_modules_elsewhere, [DEPMOD, f"{MODPROBE} -D outside"]),
    "no module directory": (
        lambda tree: shutil.rmtree(tree / "lib"),
        [DEPMOD, f"{MODPROBE} -a one two", f"{MODPROBE} -r one", f"{MODINFO} one"],
    ),
    "another release's directory": (None, [f"depmod -b . -C conf {word}" for word in ("9.9", "-a 9.9", "''")]),
    "no indexes": (None, [f"{MODPROBE} -n -v core", f"{MODINFO} core", f"{MODPROBE} -R core", f"{MODPROBE} -c"]),
    "indexes of builtin modules missing": (
        None, [DEPMOD, f"rm lib/modules/{RELEASE}/modules.builtin*.bin", f"{MODPROBE} fixed-in", f"{MODINFO} fixed-in"],
    ),
    "builtin modules": (
        None,
        [DEPMOD, *(f"{MODPROBE} {words} fixed-in" for words in ("", "-v", "-D", "-R", "-r", "--first-time")),
         f"{MODPROBE} -D fs-fixed", f"{MODINFO} fixed-in", f"{MODINFO} -n fixed-in core", f"{MODINFO} -0 fixed-in"],
    ),
    "files that are no modules": (
        _other_files, [DEPMOD, *(f"modinfo lib/modules/{RELEASE}/kernel/{name}.ko" for name in ("text", "empty"))],
    ),
    "odd strings in a module": (
        _odd_strings, [f"modinfo {words} ./odd.ko" for words in ("", "-0", "-p", "-F name", "-F parm", "-F ''", "-m")],
    ),
    "names in other spellings": (
        None,
        [DEPMOD, *(f"{MODPROBE} -n -v {name}" for name in (
            "mid_layer", "mid-layer", "mid-layer.ko", "MID-LAYER", "./core.ko", "kernel/core.ko", "''", "'a b'")),
         f"{MODPROBE} -D ./lib/modules/{RELEASE}/kernel/top.ko", f"{MODPROBE} -R of:NxTyCmaker,top-7"],
    ),
    "other locales": (
        None, [DEPMOD, *(f"env LC_ALL={name} {MODINFO} other" for name in ("C", "de_DE.ISO-8859-1", "none"))],
    ),
    "something missing among several": (
        None, [DEPMOD, f"{MODPROBE} -a -n -v core none top", f"{MODPROBE} -n -v core none=1", f"{MODPROBE} -a"],
    ),
    "calls of initramfs builders, tests and package scripts": (
        conf("blacklist other\n"),
        [DEPMOD, *(f"{MODPROBE} {words}" for words in (
            "-qaR char-major-200-1 none top", "-aR top none", "-Ra none", "-n -R of:NxTyCmaker,top-7", "-R core none",
            "--all --ignore-install --quiet --show-depends top none late", "-D -q -a -- top none", "-D -b other",
            "--config no-config --show-depends fixed-in", "--use-blacklist -v -n other", "-vn -b 'o*'",
            "top -v -n -- -x=1", "-nv top '' x=1 'y=a b' 'z=\"c d\"'", "-nv core,top", "-nv 'core top'")),
         *(f"{MODINFO} {words}" for words in (
             "-F parm -0 mid-layer", "-an top", "top -F depends -F filename", "top other -F firmware",
             "-0 -p mid_layer",
             "-F filename top none fixed-in", "Module core", "core -n -F license")),
         "depmod -n -b . -C conf 6.1.0 core.ko"],
    ),
    "an output directory that cannot be made": (
        lambda tree: (tree / "file").touch(),
        [f"{DEPMOD} -o {place}" for place in ("file", "file/x", "/dev/null", "/proc/none")],
    ),
}  # fmt: skip


def run(command: Callable[[str], list[str]], line: str, folder: Path) -> Outcome:
    """Run a line in the folder: one of kmod's commands, behind `env NAME=VALUE` if need be, or `rm`."""
    words = shlex.split(line)
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}
    if words[0] == "env":
        name, _, value = words[1].partition("=")
        environment[name] = value
        del words[:2]
    program = ["/bin/sh", "-c", line] if words[0] == "rm" else [*command(words[0]), *words[1:]]
    done = subprocess.run(
        program, capture_output=True, stdin=subprocess.DEVNULL, cwd=folder, env=environment, timeout=60
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


def contents(tree: Path) -> dict[str, bytes]:
    """All files of a tree; kmod has the lines of modules.symbols in no order."""
    found = {}
    for path in sorted(tree.rglob("*")):
        if path.is_file() and not path.is_symlink():
            data = path.read_bytes()
            lines = data.split(b"\n")
            found[str(path.relative_to(tree))] = b"\n".join(sorted(lines)) if path.suffix == ".symbols" else data
    return found


@pytest.mark.parametrize("situation", SITUATIONS)
def test_reported(situation: str, tmp_path: Path) -> None:
    change, lines = SITUATIONS[situation]
    tree = tmp_path / "tree"  # at the same path for both: it is part of what they print
    seen = []
    for command in (assets.kmod34_argv, lambda name: [str(BIN / name)]):
        shutil.rmtree(tree, ignore_errors=True)
        lay(tree)
        if change:
            change(tree)
        seen.append(([(line, run(command, line, tree)) for line in lines], contents(tree)))
    (theirs, their_files), (ours, our_files) = seen
    assert ours == theirs
    assert our_files == their_files


# --- what is loaded

LOADED = {
    "proc/modules": "mii 16384 1 usbnet, Live 0x0\nusbnet 20480 0 - Live 0x0\nstray 4096 3 - Loading 0x0 (OE)\n"
    "zswap 4096 0 - Live 0x0\nsnd_seq 8192 0 [permanent], Unloading 0x0\n",
    **loaded("mii", refcount=1, holders=["usbnet"]),
    **loaded("usbnet"),
    **loaded("stray", refcount=3, state="coming"),
    **loaded("zswap"),
    **loaded("snd_seq", state="going"),
    **{f"sys/module/{name}/coresize": f"{size}\n" for name, size in (
        ("mii", 16384), ("usbnet", 20480), ("stray", 4096), ("zswap", 4096), ("snd_seq", 8192))},
}  # fmt: skip


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> FakeRoot:
    return FakeRoot(tmp_path_factory.mktemp("root"))


@pytest.mark.parametrize(
    "line",
    [
        "lsmod", "rmmod mii", "rmmod -v mii none", "rmmod stray", "rmmod none", "rmmod -w mii",
        "modprobe -r mii", "modprobe -r stray", "modprobe -r -q stray", "modprobe -r none", "modprobe -n -r -v usbnet",
        "modprobe -r -n -v --remove-holders mii", "modprobe -r zswap", "modprobe stray",
        "modprobe usbnet", "modprobe --first-time usbnet", "modprobe --first-time -r loop", "modprobe -n -v cdc_ether",
        "modprobe zswap", "modprobe -D cdc_ether", "modprobe --first-time snd-seq", "rmmod mii stray",
    ],
)  # fmt: skip
def test_loaded(root: FakeRoot, line: str) -> None:
    """A module without a file, one in the wrong state, one that a kernel has builtin and loaded, and holders."""
    name, *words = line.replace("modprobe", f"modprobe -S {FAKE_RELEASE}").split()
    with root.holding(LOADED):
        assert root.ours(words, name=name) == root.kmod("kmod34", words, name=name)


def test_a_name_of_a_file_and_of_a_builtin_module(tmp_path: Path) -> None:
    """A difference on purpose: with the file's path, kmod shows the fields of the builtin module."""
    lay(tmp_path)
    path = _ko("fixed_in", "description=The file").write(tmp_path / f"lib/modules/{RELEASE}/kernel/fixed-in.ko")
    run(assets.kmod34_argv, DEPMOD, tmp_path)
    ours, theirs = (
        run(command, f"modinfo -b {tmp_path} -k {RELEASE} fixed-in", tmp_path).out.decode()
        for command in (lambda name: [str(BIN / name)], assets.kmod34_argv)
    )
    assert theirs == f"filename:       {path}\nlicense:        GPL\nalias:          fs-fixed\n"
    assert ours == f"filename:       {path}\nlicense:        GPL\ndescription:    The file\nname:           fixed_in\n"
