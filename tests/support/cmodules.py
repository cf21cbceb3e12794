# SPDX-License-Identifier: LGPL-2.1-or-later
"""Files like a module's and the kernel's, with debugging data, from C: what the compiler inlines, moves and splits."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.support.common import need
from tests.support.koforge import modinfo_section

SOURCES = {
    "t.h": """\
extern volatile int sink;
static inline __attribute__((always_inline)) int helper(int x)
{
	return x ^ sink;
}
""",
    "t.c": """\
#include "t.h"
volatile int sink;
extern int outside(int);
static inline __attribute__((always_inline)) int inner(int x)
{
	if (x > 3)
		sink = x / 3;
	return helper(x) + sink;
}
static inline __attribute__((always_inline)) int middle(int x)
{
	int y = inner(x);
	for (int i = 0; i < x; i++) {
		y += inner(i);
		sink++;
	}
	return y;
}
__attribute__((section(".init.text"))) int t_init(void)
{
	return middle(sink);
}
int t_run(int a)
{
	int b = middle(a);
	b += outside(b);
	if (__builtin_expect(b == 77, 0))
		sink = outside(b + 1);
	return middle(b);
}
static __attribute__((noinline)) int twice(int a) { return a * sink; }
int t_dup(int a) { return twice(a) + 1; }
""",
    "u.c": """\
extern volatile int sink;
extern int outside(int);
static __attribute__((noinline)) int twice(int a) { return a * sink; }
int u_dup(int a) { return twice(a) + 1; }
static __attribute__((noinline)) int only(int a) { sink = a; return a - outside(a); }
int u_only(int a) { return only(a) + 1; }
""",
}  # fmt: skip
ALWAYS = ("-c", "-O2", "-fno-pic")
MACHINES: dict[str, tuple[str, Sequence[str]]] = {
    "x86-64": ("", ("-mcmodel=kernel", "-fcf-protection=none")),
    "arm64": ("aarch64-linux-gnu-", ()),
    "riscv": ("riscv64-linux-gnu-", ()),
    "riscv without relaxation": ("riscv64-linux-gnu-", ("-mno-relax",)),
}
"""What the names of the machine's tools begin with, and its compiler's own options."""
DWARF4, DWARF5 = ("-gdwarf-4",), ("-gdwarf-5",)
FORMS: dict[str, Sequence[str]] = {
    "dwarf 4": DWARF4,
    "dwarf 5": DWARF5,
    "compressed": (*DWARF5, "-gz"),
    "dwarf 4, compressed": (*DWARF4, "-gz"),
    "a section for each function": (*DWARF5, "-ffunction-sections"),
    "little optimised": (*DWARF5, "-O1"),
    "for size": (*DWARF5, "-Os"),
    "not optimised": (*DWARF5, "-O0"),
}


def compile_module(
    folder: Path, options: Sequence[str] = DWARF5, *, build_id: bool = True, name: str = "m", machine: str = "x86-64"
) -> Path:
    """NAME.ko in a folder: relocatable, as a module is, with a .modinfo section."""
    prefix, own = MACHINES[machine]
    need(shutil.which(f"{prefix}gcc"), f"{prefix}gcc (tests/install-packages)")
    folder.mkdir(parents=True, exist_ok=True)
    for source, text in SOURCES.items():
        (folder / source).write_text(text)
    objects = []
    for source in ("t.c", "u.c"):
        target = folder / f"{source}.o"
        subprocess.run([f"{prefix}gcc", *ALWAYS, *own, *options, "-o", target, folder / source], check=True)
        objects.append(target)
    path = folder / f"{name}.ko"
    identity = ["--build-id=sha1"] if build_id else ["--build-id=none"]
    subprocess.run([f"{prefix}ld", "-r", *identity, "-o", path, *objects], check=True)
    strings = folder / "modinfo"
    strings.write_bytes(modinfo_section(["license=GPL", f"name={name}"]))
    subprocess.run([f"{prefix}objcopy", "--add-section", f".modinfo={strings}", path], check=True)
    for left in (*objects, strings):
        left.unlink()
    return path


KERNEL_RELEASE = "6.1.0-forged"
_KERNEL = f"""\
const char linux_banner[] = "Linux version {KERNEL_RELEASE} (us@here) (gcc) #1 SMP";
int outside(int x) {{ return x + linux_banner[0]; }}
"""


def compile_kernel(folder: Path, options: Sequence[str] = DWARF5, *, name: str = "vmlinux") -> Path:
    """The same code as an executable at the addresses of a kernel, with System.map: vmlinux in a folder."""
    need(shutil.which("gcc"), "gcc (tests/install-packages)")
    folder.mkdir(parents=True, exist_ok=True)
    for source, text in {**SOURCES, "k.c": _KERNEL}.items():
        (folder / source).write_text(text)
    path = folder / name
    kept = [f"-Wl,-u,{function}" for function in ("t_init", "t_run", "t_dup", "u_dup", "u_only", "linux_banner")]
    link = ["-nostdlib", "-static", "-no-pie", "-Wl,--build-id=sha1,-Ttext=0xffffffff81000000,-e,t_run", *kept]
    compiler = ["gcc", "-O2", "-fno-pic", "-mcmodel=kernel", "-fcf-protection=none", *options, *link, "-o", path]
    subprocess.run([*map(str, compiler), *(str(folder / source) for source in ("k.c", "t.c", "u.c"))], check=True)
    symbols = subprocess.run(["nm", "-n", path], capture_output=True, check=True).stdout
    (folder / "System.map").write_bytes(symbols)
    return path
