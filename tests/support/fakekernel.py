# SPDX-License-Identifier: LGPL-2.1-or-later
"""A kernel that is only files: module loads and unloads change a pretended /proc/modules and /sys/module.

    kernel = FakeKernel(tmp_path, monkeypatch)          # stands in for the three system calls
    kernel.tree({"a": [], "b": ["a"], "c": ["b", "a"]})  # module files and indexes; dependencies, the last loads first
    kernel.script["a"] = [errno.EEXIST]                 # what the next calls on a module say; 0: as usual
    run_inside("modprobe", ["c"], kernel.roots)
    kernel.loaded, kernel.calls

It answers as the real one does: EEXIST, ENOENT for a missing dependency, EAGAIN for one in use.
"""

from __future__ import annotations

import errno
import lzma
import os
import re
import shlex
import shutil
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pymodutils import syscalls
from pymodutils.roots import Roots
from tests.support.indexforge import build, write
from tests.support.koforge import Ko

Patch = Any  # pytest.MonkeyPatch


class FakeKernel:
    """See above. Thread-safe, as the real one is."""

    def __init__(self, folder: Path, monkeypatch: Patch, *, compression: str | None = None) -> None:
        self.proc, self.sys = folder / "proc", folder / "sys/module"
        self.modules = folder / "lib/modules/6.1"
        self.config = folder / "etc/modprobe.d"
        for directory in (self.proc, self.sys, self.modules, self.config):
            directory.mkdir(parents=True)
        self.roots = Roots(
            base=str(folder), release="6.1", config_root=str(folder), proc=str(self.proc), sys=str(folder / "sys")
        )
        self.script: dict[str, list[int]] = {}
        self.calls: list[tuple[str, ...]] = []  # ("finit", "a", "x=1"), ("init", "a", ""), ("delete", "a")
        self.flags: list[int] = []
        self.has_finit = True
        self.during: Callable[[str], None] = lambda name: None  # called while a module is loading
        self.before_delete: Callable[[str], None] = lambda name: None
        self.parameters: dict[str, dict[str, tuple[str, int, str]]] = {}  # by module and name: type, mode, default
        self.needs: dict[str, list[str]] = {}  # of loaded modules, in the order of loading
        self._shown: set[str] = set()  # directories in /sys/module
        self._extra_users: dict[str, int] = {}
        self._lock = threading.Lock()
        if compression:
            (self.sys / "compression").write_text(f"{compression}\n")
        self.compression = compression
        self._show()
        for name in ("finit_module", "init_module", "delete_module"):
            monkeypatch.setattr(syscalls, name, getattr(self, name))

    # --- what is on disk

    def tree(self, modules: Mapping[str, Sequence[str]], *, builtin: Sequence[str] = (), aliases: str = "") -> None:
        """Write module files and indexes; `aliases` are words PATTERN=MODULE."""
        for name, needs in modules.items():
            types = [f"parmtype={key}:{kind}" for key, (kind, _, _) in self.parameters.get(name, {}).items()]
            Ko(modinfo=["license=GPL", f"name={name}", f"depends={','.join(needs)}", *types]).write(self.path(name))
        lines = {name: f"{name}.ko:" + "".join(f" {need}.ko" for need in needs) for name, needs in modules.items()}
        pairs = [word.split("=") for word in aliases.split()]
        self._index("dep", list(lines.items()))
        self._index("alias", [(pattern, name) for pattern, name in pairs])
        self._index("builtin", [(name, "") for name in builtin])
        self._index("builtin.alias", [])

    def _index(self, name: str, entries: list[tuple[str, str]]) -> None:
        rows = [(key.encode(), number, value.encode()) for number, (key, value) in enumerate(entries)]
        (self.modules / f"modules.{name}.bin").write_bytes(write(build(rows)))

    def path(self, name: str) -> Path:
        return self.modules / f"{name}.ko"

    def configure(self, text: str) -> None:
        (self.config / "test.conf").write_text(text)

    # --- what is in the kernel

    @property
    def loaded(self) -> list[str]:
        """Names of the loaded modules, in the order of loading."""
        return list(self.needs)

    def hold(self, name: str, count: int = 1) -> None:
        """`count` users that are no modules."""
        with self._lock:
            self._extra_users[name] = count
            self._show()

    def holders(self, name: str) -> list[str]:
        return [other for other, needs in self.needs.items() if name in needs]

    def _show(self) -> None:
        """Write /proc/modules and /sys/module again."""
        lines = []
        for name in self._shown - self.needs.keys():
            shutil.rmtree(self.sys / name)
        self._shown = set(self.needs)
        for name in reversed(self.needs):
            holders = self.holders(name)
            count = len(holders) + self._extra_users.get(name, 0)
            lines.append(f"{name} 16384 {count} {''.join(f'{holder},' for holder in holders) or '-'} Live 0x0\n")
            directory = self.sys / name
            shutil.rmtree(directory / "holders", ignore_errors=True)
            (directory / "holders").mkdir(parents=True)
            for holder in holders:
                (directory / "holders" / holder).touch()
            _replace(directory / "refcnt", f"{count}\n")
            _replace(directory / "initstate", "live\n")
        _replace(self.proc / "modules", "".join(lines))

    # --- the system calls

    def finit_module(self, fd: int, parameters: bytes, flags: int = 0) -> None:
        content = os.pread(fd, os.fstat(fd).st_size, 0)
        name = os.readlink(f"/proc/self/fd/{fd}").rpartition("/")[2].partition(".")[0]
        self.flags.append(flags)
        if not self.has_finit:
            _fail(errno.ENOSYS)
        if flags & syscalls.COMPRESSED_FILE:
            content = lzma.decompress(content)
        self._load("finit", name, content, parameters)

    def init_module(self, image: bytes, parameters: bytes) -> None:
        (name,) = re.findall(rb"\0name=(\w+)\0", image)
        self._load("init", name.decode(), image, parameters)

    def delete_module(self, name: bytes, flags: int) -> None:
        text = name.decode()
        self.before_delete(text)
        with self._lock:
            self.calls.append(("delete", text))
            self._scripted(text)
            if text not in self.needs:
                _fail(errno.ENOENT)
            if self.holders(text) or self._extra_users.get(text):
                _fail(errno.EAGAIN)
            del self.needs[text]
            self._show()

    def _load(self, call: str, name: str, content: bytes, parameters: bytes) -> None:
        with self._lock:
            self.calls.append((call, name, parameters.decode()))
            if name in self.needs:
                _fail(errno.EEXIST)
            self._scripted(name)
            (needs,) = re.findall(rb"\0depends=([\w,]*)\0", content)
            names = needs.decode().split(",") if needs else []
            if not self.needs.keys() >= set(names):
                _fail(errno.ENOENT)
        self.during(name)
        with self._lock:
            if name in self.needs:  # another one was quicker
                _fail(errno.EEXIST)
            self.needs[name] = names
            self._show()
            self.lay_parameters(name, parameters.decode())

    def lay_parameters(self, name: str, given: str = "") -> None:
        """Show the parameters of a module as it was loaded with those given; mode 0 has no file."""
        values = {word.partition("=")[0]: word.partition("=")[2] for word in shlex.split(given)}
        for key, (_, mode, default) in self.parameters.get(name, {}).items():
            if mode:
                path = self.sys / name / "parameters" / key
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(values.get(key, default) + "\n")
                path.chmod(mode)

    def value(self, name: str, key: str) -> str:
        """What a parameter has now."""
        return (self.sys / name / "parameters" / key).read_text().rstrip("\n")

    def _scripted(self, name: str) -> None:
        if self.script.get(name):
            number = self.script[name].pop(0)
            if number:
                _fail(number)


def _fail(number: int) -> None:
    raise OSError(number, os.strerror(number))


def _replace(path: Path, text: str) -> None:
    """Write a file so that readers see the old or the new text, nothing between."""
    new = path.with_name(f".{path.name}.new")
    new.write_text(text)
    new.rename(path)
