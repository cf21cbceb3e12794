# SPDX-License-Identifier: LGPL-2.1-or-later
"""Every row of the table: what work, done by whom, within which budget. The parts measure them by these names."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.peers import BARE, BUSYBOX, GIT, KMOD34, KMODS, THREADS


@dataclass(frozen=True)
class Budget:
    """What ours may take: a multiple of what the first measured of some columns takes, or so many of the row's unit."""

    limit: float
    to: tuple[str, ...] = ()
    at_least: bool = False

    def __str__(self) -> str:
        return f"{'>= ' if self.at_least else ''}{self.limit:,g}"

    def holds(self, value: float) -> bool:
        """Whether a ratio or a number is within it."""
        return value >= self.limit if self.at_least else value <= self.limit


@dataclass(frozen=True)
class Row:
    """One line of the table. `peers` are columns; what is no column of its own is shown as other.

    Those that have a plot are points of it instead, `at` that many modules or operands.
    """

    name: str
    peers: tuple[str, ...] = ()
    budgets: tuple[Budget, ...] = ()
    unit: str = "ms"
    plot: str = ""
    at: int = 0


def _times(limit: float, *to: str) -> tuple[Budget, ...]:
    return (Budget(limit, to or KMODS),)


def _most(limit: float) -> tuple[Budget, ...]:
    return (Budget(limit),)


def _depmod(name: str, budget: float | None, threads: float | None = None, *more: str) -> Row:
    budgets = [Budget(budget, KMODS)] if budget else []
    budgets += [Budget(threads, (THREADS,))] if threads else []
    return Row(f"depmod, {name}", (KMOD34, GIT, THREADS, *more), tuple(budgets))


SMALL, WITHOUT, OWN_DEPMOD, OWN_SERIAL = "1,000 modules", "no rules", "own depmod", "own serial"
FOREIGN = {"armhf": "32-bit (armhf)", "s390x": "big-endian (s390x)"}
DEBIAN13 = "Debian 13's"
DRACUT, MKOSI, LIBLZMA = "dracut-install", "mkosi", "liblzma alone"

SIZES = (1000, 2000, 5000, 10000, 20000, 40000)
OPERANDS = (1, 10, 100, 1000, 4000)


def _points(plot: str, numbers: tuple[int, ...], of: str, *peers: str) -> tuple[Row, ...]:
    return tuple(Row(f"{plot}, {number:,} {of}", peers, plot=plot, at=number) for number in numbers)


ROWS: dict[str, tuple[Row, ...]] = {
    "startup": (
        Row("lsmod, 200 modules", (BARE, KMOD34, GIT, BUSYBOX), _times(1.30, BARE)),
        Row("modinfo e1000e", (BARE, KMOD34, GIT, BUSYBOX), _times(1.55, BARE)),
        Row("modprobe -D btrfs", (BARE, KMOD34, GIT, BUSYBOX), _times(1.65, BARE)),
        Row("modprobe -R MODALIAS", (BARE, KMOD34, GIT), _times(1.65, BARE)),
        Row("modprobe -n -v btrfs", (BARE, KMOD34, GIT), _times(1.70, BARE)),
        Row("kmod VERB, the slowest", (BARE,), _times(4.0, BARE)),
    ),
    "batches": (
        Row("modinfo of all", (KMOD34, GIT, BUSYBOX), _times(2.0)),
        Row("modinfo -F firmware of all", (KMOD34, GIT, BUSYBOX), _times(1.6)),
        Row("modprobe -a -D of all", (KMOD34, GIT), _times(4.0)),
        Row("infos() of all, to modinfo", (KMOD34, GIT), _times(2.0)),
    ),
    "depmod": (
        _depmod("none", 0.45, 0.60, BUSYBOX),
        _depmod("none, first run, writing the cache", None),
        _depmod("none, one module changed", 0.40),
        _depmod("none, one module added or removed", None),
        Row("depmod, none, on one CPU", (KMOD34, GIT), _times(0.75)),
        Row("depmod, none, nothing changed", (KMOD34, GIT), _times(0.10)),
        Row("depmod -A, over a bare interpreter", (), _most(40)),
        Row("depmod, none, memory", (KMOD34, GIT), _times(1.3), "MB"),
        _depmod("zst", 0.55, 0.70),
        _depmod("zst, first run, writing the cache", None),
        _depmod("zst, one module changed", 0.22),
        _depmod("zst, one module added or removed", None),
        _depmod("gz", 0.50, 0.70),
        _depmod("gz, first run, writing the cache", None),
        _depmod("gz, one module changed", 0.14),
        _depmod("gz, one module added or removed", None),
        _depmod("xz", 0.50, 0.75),
        _depmod("xz, first run, writing the cache", None),
        _depmod("xz, one module changed", 0.06),
        _depmod("xz, one module added or removed", None),
        *(Row(f"depmod, {kind}", (KMOD34, GIT), _times(0.7)) for kind in FOREIGN.values()),
    ),
    "debian13": (Row("depmod, xz, Debian 13's Python", (DEBIAN13,), _times(0.50, DEBIAN13)),),
    "lookups": (
        *(Row(f"look-up in 40,000 modules: {what}", (SMALL,), _times(1.5, SMALL), "us")
          for what in ("name", "usb alias", "pci alias", "of alias", "no such alias")),
        Row("modprobe -R in 40,000 modules", (SMALL,), _times(1.5, SMALL)),
    ),
    "policy": (
        Row("modprobe -D btrfs, what 12,000 rules add", (), _most(15)),
        Row("modprobe -D btrfs under 12,000 rules", (KMOD34, GIT, WITHOUT)),
        *(Row(f"kmod check --all, {kernel}", (), _most(3), "s") for kernel in ("6.1", "6.12")),
        *(Row(f"kmod check --all, {kernel}, memory", (), _most(150), "MB") for kernel in ("6.1", "6.12")),
    ),
    "users": (
        Row("kmod who, CPU time", unit="ms"),
        Row("kmod who, 2,000 processes, CPU time", (), _most(500)),
    ),
    "decode": tuple(
        Row(f"kmod decode, {kind}", (), (Budget(2000, at_least=True),), "frames/s")
        for kind in ("one oops over and over", "each place once", "each place of a kernel")
    ),
    "verify": (
        Row("kmod verify, 6.1, no signatures", (OWN_DEPMOD,), _times(1.2, OWN_DEPMOD)),
        Row("the same, CPU time", (OWN_DEPMOD,)),
        Row("kmod verify, 6.1, RSA", (), _most(5), "s"),
        Row("kmod verify, 6.12 xz, ECDSA", (), _most(20), "s"),
    ),
    "closure": (
        Row("kmod closure, 300 modules", (DRACUT,), _most(300)),
        *(
            one
            for compression, other in (("none", MKOSI), ("xz", LIBLZMA))
            for one in (
                Row(f"closure, {compression}, CPU time", (DRACUT,), _times(1.0, DRACUT)),
                Row(f"closure, {compression}, to {other}, CPU time", (other,)),
            )
        ),
    ),
    "initramfs": tuple(
        Row(f"added to an initramfs, {compression}", (), _most(2.5), "MB") for compression in ("zstd", "xz")
    ),
    "loading": (
        Row("VM: modprobe btrfs", (KMOD34,), _times(1.2, KMOD34)),
        Row("VM: modprobe -a, 300 modules", (KMOD34,), _times(1.2, KMOD34)),
        Row("VM, two CPUs: modprobe -a -j 2, 300 modules", (KMOD34, OWN_SERIAL), _times(0.8, KMOD34)),
    ),
    "growth": (
        *_points("depmod", SIZES, "modules", KMOD34, GIT),
        *_points("modprobe -D", SIZES, "modules", KMOD34, GIT),
        *_points("kmod check", SIZES, "modules"),
        *_points("modinfo", OPERANDS, "names", KMOD34, GIT),
        *_points("modprobe -a -D", OPERANDS, "names", KMOD34, GIT),
    ),
}  # fmt: skip


def row(part: str, name: str) -> Row:
    """The row of a part by its name."""
    return next(one for one in ROWS[part] if one.name == name)
