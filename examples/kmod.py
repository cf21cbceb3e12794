# SPDX-License-Identifier: LGPL-2.1-or-later
"""The module `kmod` with the names of python-kmod, to be put in its place.

    import kmod
    km = kmod.Kmod()
    [(module.name, module.size) for module in km.loaded()]
    km.modprobe("btrfs")
    km.rmmod("btrfs")

It needs no libkmod. Where python-kmod gives up with a code of libkmod, `KmodError` has the error as its cause.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from typing import TypeVar

from pymodutils import Context, Error, KernelModules, Match, Roots

__all__ = ["Kmod", "KmodError", "Module"]

FORCE_VERMAGIC, FORCE_MODVERSION = 1, 2
"""Bits of `flags` of `insert`: KMOD_PROBE_FORCE_VERMAGIC, KMOD_PROBE_FORCE_MODVERSION."""

Answer = TypeVar("Answer")


class KmodError(Exception):
    """Whatever goes wrong."""


def asked(question: Callable[[], Answer], text: str) -> Answer:
    """Return an answer, or raise `KmodError` with what went wrong as its cause."""
    try:
        return question()
    except Error as error:
        raise KmodError(f"{text}: {error}") from error


class Module:
    """One module."""

    def __init__(self, system: Context, match: Match) -> None:
        self._system = system
        self._match = match

    def __repr__(self) -> str:
        return f"<kmod module {self.name}>"

    @property
    def name(self) -> str:
        """Its name."""
        return self._match.name

    @property
    def path(self) -> str | None:
        """Its file."""
        return self._match.path

    @property
    def options(self) -> str | None:
        """Its parameters by the configuration."""
        return " ".join(rule.text for rule in self._system.config.options(self.name, self._match.alias)) or None

    @property
    def install_commands(self) -> str | None:
        """The command that is run instead of loading it."""
        rule = self._system.config.install(self.name)
        return rule.text if rule else None

    @property
    def remove_commands(self) -> str | None:
        """The command that is run instead of removing it."""
        rule = self._system.config.remove(self.name)
        return rule.text if rule else None

    @property
    def refcnt(self) -> int:
        """How many use it; as with libkmod an error number below zero when it is not loaded."""
        count = self._system.live.refcount(self.name)
        return -errno.ENOENT if count is None else count

    @property
    def size(self) -> int:
        """Its size in the kernel in bytes, 0 when it is not loaded, below zero when that cannot be known."""
        try:
            return next((module.size for module in self._system.loaded() if module.name == self.name), 0)
        except Error as error:
            return -(error.errno or errno.EIO)

    @property
    def info(self) -> dict[str, str]:
        """The strings of .modinfo; of several with one key the last."""
        info = asked(lambda: self._system.info(self._match), "Could not get info")
        return {field.key: field.value for field in info.raw}

    @property
    def versions(self) -> Iterator[dict[str, str | int | None]]:
        """The versions of the symbols that it needs."""
        with asked(lambda: self._system.open(self._match), "Could not get versions") as file:
            for symbol in asked(file.versions, "Could not get versions"):
                yield {"symbol": symbol.name, "crc": symbol.crc}

    def insert(self, flags: int = 0, extra_options: str | None = None) -> None:
        """Load it with all that it needs."""
        if self._system.live.state(self.name) is not None:
            raise KmodError("Module already loaded")
        asked(
            lambda: self._system.load(
                self._match,
                extra_options or "",
                ignore_vermagic=bool(flags & FORCE_VERMAGIC),
                ignore_modversions=bool(flags & FORCE_MODVERSION),
            ),
            "Could not load module",
        )

    def remove(self, flags: int = 0) -> None:
        """Remove it alone; `flags` are os.O_TRUNC to force that."""
        kernel = KernelModules(self._system.roots)
        asked(lambda: kernel.remove(self.name, force=bool(flags & os.O_TRUNC)), "Could not remove module")


class Kmod:
    """Modules on disk and in the running kernel; `mod_dir` is another directory than /lib/modules/RELEASE."""

    def __init__(self, mod_dir: str | None = None) -> None:
        self.set_mod_dir(mod_dir)

    def set_mod_dir(self, mod_dir: str | None = None) -> None:
        """Look for modules in another directory."""
        self.mod_dir = mod_dir
        parent, _, release = (mod_dir or "").rstrip("/").rpartition("/")
        self._system = Context(Roots(module_dir=parent, release=release) if mod_dir else None, live=True)

    def loaded(self) -> Iterator[Module]:
        """Yield the loaded modules, newest first."""
        for module in asked(self._system.loaded, "Could not get loaded modules"):
            yield self.module_from_name(module.name)

    def list(self) -> Iterator[tuple[str, int]]:
        """Yield names and sizes of the loaded modules."""
        for module in asked(self._system.loaded, "Could not get loaded modules"):
            yield module.name, module.size

    def lookup(self, alias_name: str) -> Iterator[Module]:
        """Yield the modules that a name or alias stands for."""
        for match in asked(lambda: self._system.lookup(alias_name), "Could not modprobe"):
            yield Module(self._system, match)

    def module_from_name(self, name: str) -> Module:
        """Return a module by its name, whether there is one or not."""
        match = asked(lambda: self._system.find(name), "Could not get module")
        return Module(self._system, match or Match(name.replace("-", "_"), None, None, (), "name"))

    def modprobe(self, name: str, quiet: bool = False, flags: int = 0, extra_options: str | None = None) -> None:
        """Load all modules that a name or alias stands for, with what they need."""
        modules = [*self.lookup(name)]
        if not modules and not quiet:
            raise KmodError(f"Could not modprobe {name}")
        for module in modules:
            module.insert(flags, extra_options)

    def rmmod(self, module_name: str, flags: int = 0) -> None:
        """Remove a module."""
        self.module_from_name(module_name).remove(flags)
