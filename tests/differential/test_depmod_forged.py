# SPDX-License-Identifier: LGPL-2.1-or-later
"""depmod on forged trees, each compared with kmod 34.2: files, messages and status."""

from __future__ import annotations

import lzma
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.support.compare import RELEASE, differing, messages, run_both
from tests.support.koforge import Ko

Build = Callable[[Path, Path], list[str]]
"""Lays a tree into (base, module directory) and returns further words of the command line."""

SCENARIOS: dict[str, Build] = {}

KNOWN_FILES = {
    # kmod leaves files of 0 bytes, which no reader takes for an index; ours are indexes without entries
    "no_text_files": ["modules.builtin.alias.bin", "modules.builtin.bin"],
}


def scenario(build: Build) -> Build:
    SCENARIOS[build.__name__] = build
    return build


def order(directory: Path, *paths: str) -> None:
    (directory / "modules.order").write_text("".join(f"{path}\n" for path in paths))


def config(base: Path, text: str) -> list[str]:
    (base / "depmod.conf").write_text(text)
    return ["-C", str(base / "depmod.conf")]


@scenario
def empty_tree(base: Path, directory: Path) -> list[str]:
    return []


@scenario
def no_text_files(base: Path, directory: Path) -> list[str]:
    for name in ("modules.order", "modules.builtin", "modules.builtin.modinfo"):
        (directory / name).unlink()
    Ko().write(directory / "kernel/a.ko")
    return []


def _of_class(bits: int, byte_order: str) -> Build:
    def build(base: Path, directory: Path) -> list[str]:
        options: dict[str, Any] = {"bits": bits, "order": byte_order}
        Ko(exports={"f": 1, "g": 2}, modinfo=["alias=pci:v1*"], **options).write(directory / "kernel/a.ko")
        Ko(exports={"h": 1}, needs={"f": 1, "h2": None}, **options).write(directory / "kernel/b.ko")
        Ko(needs={"h": 7, "g": 2}, crc_in_section=True, **options).write(directory / "kernel/c.ko")
        Ko(exports={"h2": 0}, crc_symbols=False, **options).write(directory / "kernel/d.ko")
        order(directory, "kernel/c.ko", "kernel/a.ko", "kernel/d.ko", "kernel/b.ko")
        return []

    return build


def _shuffled_of_class(bits: int, byte_order: str) -> Build:
    def build(base: Path, directory: Path) -> list[str]:
        options: dict[str, Any] = {"bits": bits, "order": byte_order}
        for name in "vwxyz":
            Ko(exports={name: 1, name * 58: 2}, **options).write(directory / f"kernel/{name}.ko")
        shuffled(["z", "v", "y", "w", "x"], ["v", "w", "x", "y", "z"], **options).write(directory / "kernel/a.ko")
        if bits == 32:  # in 64-bit files, the versions have no room for such names
            needs = ["z" * 58, "y", "v" * 58]
            shuffled(needs, sorted(needs), **options).write(directory / "kernel/b.ko")
        order(directory, *(f"kernel/{name}.ko" for name in "vwxyzab"))
        return []

    return build


def _long_names_of_class(bits: int, byte_order: str) -> Build:
    """As modules in Rust and those with Clang's CFI have them."""

    def build(base: Path, directory: Path) -> list[str]:
        module = partial(Ko, bits=bits, order=byte_order, local_names=("x", "_RNv" + "y" * 1500))
        long = "_RNv" + "z" * 300
        module(exports={"f": 1, long: 2}).write(directory / "kernel/a.ko")
        module(exports={"g": 0}, crc_symbols=False).write(directory / "kernel/b.ko")
        module(needs={"f": 1, "g": None}).write(directory / "kernel/c.ko")
        needs: dict[str, int | None] = {"g": 3, long: 2, "f": 1}
        layout = {"module_layout": 9}
        module(needs=needs, first_versions=layout, extended_versions=True).write(directory / "kernel/d.ko")
        module(needs=needs, weak={long}, extended_versions=True).write(directory / "kernel/e.ko")
        order(directory, *(f"kernel/{name}.ko" for name in "abcde"))
        return []

    return build


def _broken_of_class(bits: int, byte_order: str) -> Build:
    """Cut anywhere, with a damaged header, a section table outside, and versions of an odd size."""

    def build(base: Path, directory: Path) -> list[str]:
        kernel = directory / "kernel"
        module = partial(Ko, bits=bits, order=byte_order)
        module(exports={"f": 1}, modinfo=["alias=good"]).write(kernel / "good.ko")
        user = module(needs={"f": 1, "g": 2}, modinfo=["alias=user", "softdep=pre: x"])
        whole = user.write(kernel / "user.ko").read_bytes()
        for name, size in (("half", len(whole) // 2), ("last", len(whole) - 1), ("head", 64), ("short", 51)):
            kernel.joinpath(f"{name}.ko").write_bytes(whole[:size])
        order_of_bytes: Any = "little" if byte_order == "<" else "big"
        table_at, width = (40, 8) if bits == 64 else (32, 4)
        for name, at, value in (
            ("class", 4, b"\3"),
            ("entries", 58 if bits == 64 else 46, (7).to_bytes(2, order_of_bytes)),
            ("table", table_at, (len(whole) + 9).to_bytes(width, order_of_bytes)),
        ):
            kernel.joinpath(f"{name}.ko").write_bytes(whole[:at] + value + whole[at + len(value) :])
        module(needs={"f": None}, extra_sections={b"__versions": bytes(70)}).write(kernel / "odd.ko")
        order(directory, *sorted(f"kernel/{path.name}" for path in kernel.iterdir()))
        return []

    return build


for _bits in (32, 64):
    for _order in "<>":
        SCENARIOS[f"long_names_{_bits}_{'little' if _order == '<' else 'big'}"] = _long_names_of_class(_bits, _order)
        SCENARIOS[f"versions_in_another_order_{_bits}_{'little' if _order == '<' else 'big'}"] = _shuffled_of_class(
            _bits, _order
        )
        SCENARIOS[f"broken_{_bits}_{'little' if _order == '<' else 'big'}"] = _broken_of_class(_bits, _order)
        SCENARIOS[f"class_{_bits}_{'little' if _order == '<' else 'big'}"] = _of_class(_bits, _order)


def shuffled(needs: list[str], recorded: list[str], **more: Any) -> Ko:
    """A module whose versions stand in another order than its symbols, as the kernel's build makes them."""
    versions = dict.fromkeys(["module_layout", *recorded], 1)
    return Ko(needs=dict.fromkeys(needs, 1), first_versions=versions, **more)


@scenario
def versions_in_another_order(base: Path, directory: Path) -> list[str]:
    for name in "xyz":
        Ko(exports={name: 1}).write(directory / f"kernel/{name}.ko")
    Ko(exports={"w": 1}, needs={"x": 1}).write(directory / "kernel/w.ko")
    shuffled(["z", "x", "y"], ["x", "y", "z"]).write(directory / "kernel/a.ko")
    shuffled(["y", "w", "printk", "z"], ["w", "z", "printk", "y"]).write(directory / "kernel/b.ko")
    shuffled(["w", "z"], ["z", "w"]).write(directory / "kernel/c.ko")
    order(directory, *(f"kernel/{name}.ko" for name in "azbycxw"))
    return []


@scenario
def versions_of_the_last_user_in_another_order(base: Path, directory: Path) -> list[str]:
    for name in "vwxyz":
        Ko(exports={name: 1}).write(directory / f"kernel/{name}.ko")
    shuffled(["z", "v", "y", "w", "x"], ["v", "w", "x", "y", "z"]).write(directory / "kernel/a.ko")
    order(directory, *(f"kernel/{name}.ko" for name in "vwxyza"))
    return []


@scenario
def cycle_with_versions_in_another_order(base: Path, directory: Path) -> list[str]:
    shuffled(["c", "b"], ["b", "c"], exports={"a": 1}).write(directory / "kernel/a.ko")
    for name in "bc":
        Ko(exports={name: 1}, needs={"a": 1}).write(directory / f"kernel/{name}.ko")
    order(directory, "kernel/a.ko", "kernel/b.ko", "kernel/c.ko")
    return []


@scenario
def search_prefers_updates(base: Path, directory: Path) -> list[str]:
    for place in ("kernel", "updates", "extra", "updates-not"):
        Ko(exports={place.replace("-", "_"): 1}).write(directory / place / "a.ko")
    return []


@scenario
def search_list(base: Path, directory: Path) -> list[str]:
    for place in ("kernel", "updates", "extra/deep"):
        Ko(exports={place.replace("/", "_"): 1}).write(directory / place / "a.ko")
    Ko().write(directory / "kernel/b.ko")
    Ko(exports={"b": 1}).write(directory / "updates/b.ko")
    order(directory, "kernel/b.ko", "updates/a.ko", "extra/deep/a.ko")
    return config(base, "search extra built-in updates\n")


@scenario
def search_built_in_first(base: Path, directory: Path) -> list[str]:
    for place in ("kernel", "updates"):
        Ko(exports={place: 1}).write(directory / place / "a.ko")
    return config(base, "search built-in\nsearch updates\n")


@scenario
def overrides(base: Path, directory: Path) -> list[str]:
    for place in ("kernel", "updates", "extra", "more"):
        for name in ("a", "b", "c"):
            Ko(exports={f"{place}_{name}": 1}).write(directory / place / f"{name}.ko")
    order(directory, "updates/b.ko", "more/a.ko", "extra/c.ko")
    rules = ("a * extra", "a 6.6.* more", "b 5.* extra", "c ^6\\.[0-9]+ extra", "d * x")
    return config(base, "".join(f"override {rule}\n" for rule in rules))


@scenario
def external(base: Path, directory: Path) -> list[str]:
    outside = base / "outside"
    Ko(exports={"outside_b": 1}, needs={"a": 1}).write(outside / "deep/b.ko")
    Ko(exports={"outside_c": 1}).write(outside / "c.ko")
    Ko(exports={"a": 1}).write(directory / "kernel/a.ko")
    Ko(exports={"c": 1}).write(directory / "kernel/c.ko")
    Ko(needs={"outside_b": 1, "outside_c": 1}).write(directory / "kernel/d.ko")
    order(directory, "kernel/d.ko", "kernel/a.ko", "kernel/c.ko")
    return config(base, f"search external built-in\nexternal * {outside}\nexternal 5 /nowhere\nexternal * /nowhere\n")


@scenario
def external_last(base: Path, directory: Path) -> list[str]:
    outside = base / "outside"
    Ko(exports={"outside_a": 1}).write(outside / "a.ko")
    Ko(exports={"a": 1}).write(directory / "kernel/a.ko")
    return config(base, f"external * {outside}\nsearch built-in external\n")


@scenario
def external_not_in_the_search_list(base: Path, directory: Path) -> list[str]:
    """Then it comes after all others, and of several the last counts."""
    for number in "123":
        for name in "ab":
            Ko(exports={f"outside_{number}_{name}": 1}).write(base / f"outside{number}" / f"{name}.ko")
    Ko(exports={"a": 1}).write(directory / "kernel/a.ko")
    return config(base, "search updates built-in\n" + "".join(f"external * {base}/outside{n}\n" for n in "213"))


@scenario
def several_external(base: Path, directory: Path) -> list[str]:
    """The first that is named counts; missing ones are told of from the last to the first."""
    for number in "123":
        Ko(exports={f"outside_{number}": 1}).write(base / f"outside{number}/a.ko")
    places = [f"{base}/outside{n}" for n in "213"] + [f"{base}/missing{n}" for n in "21"]
    return config(base, "search external\n" + "".join(f"external * {place}\n" for place in places))


@scenario
def external_inside_against_built_in(base: Path, directory: Path) -> list[str]:
    for place in ("extra", "kernel"):
        Ko(exports={place: 1}).write(directory / place / "a.ko")
    return config(base, f"external * {directory}/extra\nsearch external built-in\n")


@scenario
def external_inside_and_not_in_the_search_list(base: Path, directory: Path) -> list[str]:
    for place in ("extra", "kernel"):
        Ko(exports={place: 1}).write(directory / place / "a.ko")
    return config(base, f"external * {directory}/extra\nsearch extra built-in\n")


@scenario
def external_relative(base: Path, directory: Path) -> list[str]:
    Ko().write(base / "outside/a.ko")
    return config(base, f"external * {os.path.relpath(base)}/outside\n")


@scenario
def built_in_twice(base: Path, directory: Path) -> list[str]:
    for place in ("extra", "updates"):
        Ko(exports={place: 1}).write(directory / place / "a.ko")
    return config(base, "search built-in updates\nsearch built-in\n")


@scenario
def words_behind_a_rule(base: Path, directory: Path) -> list[str]:
    for place in ("extra", "kernel"):
        Ko(exports={place: 1}).write(directory / place / "a.ko")
    Ko().write(base / "outside/b.ko")
    rules = ("search", "exclude", "override a * extra # why", f"external * {base}/outside because")
    return config(base, "".join(f"{rule}\n" for rule in rules))


@scenario
def bad_rules(base: Path, directory: Path) -> list[str]:
    Ko().write(directory / "kernel/a.ko")
    return config(base, "bogus x\noverride a *\nexternal *\nbogus\nsearch updates\n")


@scenario
def odd_configuration_files(base: Path, directory: Path) -> list[str]:
    (base / "depmod.d/folder.conf").mkdir(parents=True)
    return ["-C", str(base / "depmod.d")]


@scenario
def excluded(base: Path, directory: Path) -> list[str]:
    for place in ("kernel", "build", "source", "kernel/deep/build", "debug", "kernel/debug"):
        Ko(exports={place.replace("/", "_"): 1}).write(directory / place / f"{place.replace('/', '_')}.ko")
    return config(base, "exclude debug\n")


@scenario
def excluded_file(base: Path, directory: Path) -> list[str]:
    Ko().write(directory / "kernel/a.ko")
    Ko().write(directory / "kernel/b.ko")
    return config(base, "exclude a.ko\n")


@scenario
def external_inside(base: Path, directory: Path) -> list[str]:
    Ko(exports={"f": 1}).write(directory / "extra/a.ko")
    Ko(needs={"f": 1}).write(directory / "kernel/b.ko")
    order(directory, "extra/a.ko", "kernel/b.ko")
    return config(base, f"external * {directory}/extra\n")


@scenario
def bad_configuration(base: Path, directory: Path) -> list[str]:
    Ko().write(directory / "kernel/a.ko")
    return config(base, "include x\nmake_map_files no\n# comment\n\nsearch updates\\\n built-in\n")


@scenario
def cycle_of_two(base: Path, directory: Path) -> list[str]:
    Ko(exports={"f": 1}, needs={"g": 1}).write(directory / "kernel/a.ko")
    Ko(exports={"g": 1}, needs={"f": 1}).write(directory / "kernel/b.ko")
    Ko(needs={"g": 1}).write(directory / "kernel/c.ko")
    order(directory, "kernel/a.ko", "kernel/b.ko", "kernel/c.ko")
    return []


@scenario
def cycle_of_one(base: Path, directory: Path) -> list[str]:
    Ko(exports={"f": 1}, needs={"f": 1}).write(directory / "kernel/a.ko")
    return []


@scenario
def duplicate_symbols(base: Path, directory: Path) -> list[str]:
    for name in "abc":
        Ko(exports={"f": 1, name: 1}).write(directory / f"kernel/{name}.ko")
    Ko(needs={"f": 1, "a": 1}).write(directory / "kernel/user.ko")
    order(directory, "kernel/c.ko", "kernel/user.ko", "kernel/a.ko", "kernel/b.ko")
    return []


@scenario
def order_file(base: Path, directory: Path) -> list[str]:
    for name in ("a", "b-c", "d"):
        Ko().write(directory / f"kernel/{name}.ko.zst")  # a name is only a name
    order(directory, "kernel/d.ko", "kernel/gone.ko", "kernel/b-c.ko", "kernel/d.ko", "kernel/a.ko")
    return []


@scenario
def order_file_cut_short(base: Path, directory: Path) -> list[str]:
    Ko().write(directory / "kernel/a.ko")
    (directory / "modules.order").write_text("kernel/a.ko\nkern")
    return []


@scenario
def builtin_files(base: Path, directory: Path) -> list[str]:
    (directory / "modules.builtin").write_text("kernel/x-y.ko\nkernel/z.ko\n1bad\nkernel/x-y.ko\n")
    (directory / "modules.builtin.modinfo").write_bytes(
        b"x_y.alias=net-pf-*\0x_y.license=GPL\0\0z.alias=a[-b]-c\0z.alias=bad[\0nodot\0z.aliasx=q\0m.alias=a=b\0cut.alias=q"
    )
    return []


@scenario
def aliases_with_brackets(base: Path, directory: Path) -> list[str]:
    strings = ["alias=pci:v-[0-9]-d*", "alias=bad[", "alias=bad]", "alias=a-b", "alias=", "alias=[[]x", "alias=a[-]b-"]
    Ko(modinfo=[*strings, "softdep=pre: x post: y-z", "softdep=", "weakdep=w-1", "license=GPL"]).write(
        directory / "kernel/a-b.ko"
    )
    return []


@scenario
def device_names(base: Path, directory: Path) -> list[str]:
    strings = {
        "a": ["alias=devname:one", "alias=char-major-10-200"],
        "b": ["alias=block-major-7-1", "alias=devname:dir/two"],
        "c": ["alias=devname:three"],
        "d": ["alias=devname:four", "alias=char-major-10-*"],
        "e": ["alias=char-major-1-2", "alias=char-major-3-4", "alias=devname:five", "alias=devname:six"],
        "f": ["alias=devname:seven", "alias=char-major-x-1", "alias=block-major-5-6x"],
        "g": ["alias=devname:", "alias=char-major-0-0"],
        "h": ["alias=char-major-10-200"],
        "i": ["alias=devname:i", f"alias=char-major-{'9' * 4000}-1"],
        "j": ["alias=devname:j", f"alias=char-major-00000000000000000000000007-{2**32 + 3}"],
        "k": ["alias=devname:k", f"alias=char-major-{2**64 - 1}-{2**64}"],
    }
    for name, lines in strings.items():
        Ko(modinfo=lines).write(directory / f"kernel/{name}.ko")
    order(directory, *(f"kernel/{name}.ko" for name in strings))
    return []


@scenario
def broken_modules(base: Path, directory: Path) -> list[str]:
    kernel = directory / "kernel"
    Ko(exports={"f": 1}).write(kernel / "good.ko")
    kernel.joinpath("text.ko").write_text("not a module\n")
    kernel.joinpath("empty.ko").write_bytes(b"")
    whole = Ko(needs={"f": 1}).bytes()
    kernel.joinpath("cut.ko").write_bytes(whole[: len(whole) // 2])
    kernel.joinpath("head.ko").write_bytes(whole[:64])
    order(directory, *(f"kernel/{name}.ko" for name in ("cut", "empty", "good", "head", "text")))
    return []


@scenario
def files_that_are_too_short(base: Path, directory: Path) -> list[str]:
    (directory / "kernel").mkdir()
    for size in (1, 4, 5, 6, 7, 15, 16):
        (directory / f"kernel/a{size}.ko").write_bytes(b"x" * size)
    order(directory, *(f"kernel/a{size}.ko" for size in (1, 4, 5, 6, 7, 15, 16)))
    return []


@scenario
def compressed_files_that_are_too_short(base: Path, directory: Path) -> list[str]:
    (directory / "kernel").mkdir()
    names = []
    for size in (0, 1, 5, 6, 7, 16, 17):
        for kind, content in (("text", b"x" * 17), ("elf", Ko().bytes())):
            names.append(f"kernel/{kind}{size}.ko.xz")
            (directory / names[-1]).write_bytes(lzma.compress(content[:size], check=lzma.CHECK_CRC32))
    order(directory, *(name.removesuffix(".xz") for name in names))
    return []


@scenario
def files_that_only_begin(base: Path, directory: Path) -> list[str]:
    sizes = (4, 5, 6, 7, 15, 16, 17, 51, 52, 53, 63, 64, 65)
    (directory / "kernel").mkdir()
    for size in sizes:
        for bits in (32, 64):
            (directory / f"kernel/m{bits}_{size}.ko").write_bytes(Ko(bits=bits).bytes()[:size])
    order(directory, *(f"kernel/m{bits}_{size}.ko" for size in sizes for bits in (32, 64)))
    return []


@scenario
def symbols_that_are_always_known(base: Path, directory: Path) -> list[str]:
    names = (
        "__this_module",
        "_GLOBAL_OFFSET_TABLE_",
        ".TOC.",
        "TOC.",
        "TOC",
        "..TOC.",
        "_TOC.",
        "__GLOBAL_OFFSET_TABLE_",
    )
    Ko(needs=dict.fromkeys(names)).write(directory / "kernel/a.ko")
    order(directory, "kernel/a.ko")
    (base / "map").write_text("0 T __ksymtab_x\n")
    return ["-e", "-F", str(base / "map"), "-P", "_"]


@scenario
def files_by_relative_paths(base: Path, directory: Path) -> list[str]:
    Ko().write(directory / "kernel/a.ko")
    return [RELEASE, "kernel/a.ko", "./a.ko", ""]


@scenario
def odd_entries(base: Path, directory: Path) -> list[str]:
    kernel = directory / "kernel"
    Ko(exports={"real": 1}).write(base / "elsewhere/real.ko")
    Ko().write(kernel / "user.ko")
    (kernel / "linked.ko").symlink_to(base / "elsewhere/real.ko")
    (kernel / "dangling.ko").symlink_to("nowhere")
    Ko().write(kernel / ".ko")
    (kernel / "folder.ko").mkdir()
    Ko().write(kernel / "folder.ko/inside.ko")
    Ko().write(kernel / "not_a_module.ko.bak")
    (directory / "extra").symlink_to(base / "elsewhere2")
    Ko().write(base / "elsewhere2/through_link.ko")
    order(directory, "kernel/linked.ko", "extra/through_link.ko", "kernel/user.ko")
    return []


@scenario
def links_that_lead_nowhere(base: Path, directory: Path) -> list[str]:
    (directory / "host").symlink_to("/nowhere/at/build/time")
    (directory / "build").symlink_to("/nowhere/either")
    (directory / "round").symlink_to("round")
    return []


@scenario
def build_leads_round_in_a_circle(base: Path, directory: Path) -> list[str]:
    Ko().write(directory / "kernel/a.ko")
    for place in (directory, directory / "kernel"):
        (place / "build").symlink_to("build")
    return []


@scenario
def a_pipe(base: Path, directory: Path) -> list[str]:
    (directory / "kernel").mkdir()
    os.mkfifo(directory / "kernel/pipe.ko")
    return []


@scenario
def strings_without_equals_sign(base: Path, directory: Path) -> list[str]:
    Ko(modinfo=["alias", "license=GPL", "softdep", "weakdep", "alias=x"]).write(directory / "kernel/a.ko")
    Ko(modinfo=["alias=y", "xalias", "alias"]).write(directory / "kernel/b.ko")
    order(directory, "kernel/a.ko", "kernel/b.ko")
    return []


@scenario
def versions_of_other_symbols(base: Path, directory: Path) -> list[str]:
    """As many as the kernel's build would write, but not of module_layout."""
    Ko(exports={"f": 1}).write(directory / "kernel/a.ko")
    Ko(first_versions={"f": 1}).write(directory / "kernel/b.ko")
    Ko(needs={"printk": 1}, first_versions={"f": 1}).write(directory / "kernel/c.ko")
    order(directory, "kernel/a.ko", "kernel/b.ko", "kernel/c.ko")
    return []


@scenario
def versions_of_an_odd_size(base: Path, directory: Path) -> list[str]:
    Ko(exports={"f": 1}).write(directory / "kernel/a.ko")
    Ko(needs={"f": None}, extra_sections={b"__versions": bytes(70)}).write(directory / "kernel/b.ko")
    order(directory, "kernel/a.ko", "kernel/b.ko")
    return []


@scenario
def through_a_link_and_back(base: Path, directory: Path) -> list[str]:
    """What `..` leads to is for the system to say."""
    Ko().write(base / f"real/lib/modules/{RELEASE}/kernel/a.ko")
    (base / "real/below").mkdir()
    for name in ("modules.order", "modules.builtin", "modules.builtin.modinfo"):
        (base / f"real/lib/modules/{RELEASE}" / name).touch()
    (base / "link").symlink_to("real/below")
    return ["-b", f"{base}/link/.."]


def _symbols(base: Path, directory: Path) -> None:
    Ko(exports={"f": 0x11}, needs={"printk": 0x22}).write(directory / "kernel/a.ko")
    needs = {"f": 0x99, "printk": 0x22, "nobody": None, "maybe": None, "_under": None, "..dotted": None}
    Ko(needs=needs, weak={"maybe"}).write(directory / "kernel/b.ko")
    order(directory, "kernel/a.ko", "kernel/b.ko")


@scenario
def errsyms_without_symbols(base: Path, directory: Path) -> list[str]:
    _symbols(base, directory)
    return ["-e"]


@scenario
def system_map(base: Path, directory: Path) -> list[str]:
    _symbols(base, directory)
    (base / "map").write_text("0 T __ksymtab_printk\n0 t other\nbroken\n0 T ___ksymtab_under\n")
    return ["-e", "-F", str(base / "map")]


@scenario
def system_map_with_prefix(base: Path, directory: Path) -> list[str]:
    _symbols(base, directory)
    (base / "map").write_text("0 T ___ksymtab_printk\n0 T ___ksymtab_under\n0 T __ksymtab_nobody\n")
    return ["-e", "-P", "_", "-F", str(base / "map")]


@scenario
def symvers(base: Path, directory: Path) -> list[str]:
    _symbols(base, directory)
    (base / "sv").write_text("0x23\tprintk\tvmlinux\tEXPORT_SYMBOL\t\n0x0\tnobody\tfs/x\tEXPORT_SYMBOL\t\n")
    return ["-e", "-E", str(base / "sv")]


@scenario
def symvers_with_prefix(base: Path, directory: Path) -> list[str]:
    Ko(exports={"_f": 0x11}, needs={"_printk": 0x22}).write(directory / "kernel/a.ko")
    Ko(needs={"_f": 0x11, "_printk": 0x23}).write(directory / "kernel/b.ko")
    order(directory, "kernel/a.ko", "kernel/b.ko")
    (base / "sv").write_text("0x22\t_printk\tvmlinux\tEXPORT_SYMBOL\t\n")
    return ["-e", "-P", "_", "-E", str(base / "sv")]


@scenario
def symvers_with_bad_numbers(base: Path, directory: Path) -> list[str]:
    (base / "sv").write_text("0_1\tf\tvmlinux\t\nx\tg\tvmlinux\t\n0x1z\th\tvmlinux\t\n")
    return ["-E", str(base / "sv")]


@scenario
def empty_system_map(base: Path, directory: Path) -> list[str]:
    _symbols(base, directory)
    (base / "map").write_text("")
    return ["-e", "-F", str(base / "map")]


@scenario
def symvers_wins(base: Path, directory: Path) -> list[str]:
    _symbols(base, directory)
    (base / "sv").write_text("0x22\tprintk\tvmlinux\tEXPORT_SYMBOL\t\n")
    return ["-e", "-E", str(base / "sv"), "-F", "/nowhere"]


@scenario
def no_such_symvers(base: Path, directory: Path) -> list[str]:
    _symbols(base, directory)
    return ["-E", "/nowhere"]


@scenario
def no_such_system_map(base: Path, directory: Path) -> list[str]:
    _symbols(base, directory)
    return ["-F", "/nowhere"]


@scenario
def verbose(base: Path, directory: Path) -> list[str]:
    _symbols(base, directory)
    return ["-v"]


@scenario
def warn_of_duplicates(base: Path, directory: Path) -> list[str]:
    Ko(modinfo=["alias=a-b", "alias=c", "alias=a_b", "alias=a-b"]).write(directory / "kernel/a.ko")
    Ko(modinfo=["alias=a-b"]).write(directory / "kernel/b.ko")
    order(directory, "kernel/a.ko", "kernel/b.ko")
    return ["-w"]


@scenario
def some_files(base: Path, directory: Path) -> list[str]:
    for name in "abc":
        Ko(exports={name: 1}, needs={"a": 1} if name != "a" else {}).write(directory / f"kernel/{name}.ko")
    Ko(needs={"c": 1}).write(base / "outside/d.ko")
    order(directory, "kernel/b.ko", "kernel/a.ko")
    return [RELEASE, str(directory / "kernel/a.ko"), str(directory / "kernel/c.ko"), str(base / "outside/d.ko")]


@scenario
def a_missing_file(base: Path, directory: Path) -> list[str]:
    return [RELEASE, str(directory / "kernel/a.ko")]


@scenario
def a_file_twice(base: Path, directory: Path) -> list[str]:
    path = str(Ko().write(directory / "kernel/a.ko"))
    return [RELEASE, path, path]


@scenario
def a_file_without_a_name(base: Path, directory: Path) -> list[str]:
    return [RELEASE, f"{directory}/"]


@scenario
def configuration_with_a_file(base: Path, directory: Path) -> list[str]:
    """It is not read."""
    return [RELEASE, str(Ko().write(directory / "kernel/a.ko")), *config(base, "bogus\n")]


@scenario
def a_relative_file(base: Path, directory: Path) -> list[str]:
    return [RELEASE, "kernel/a.ko"]


@scenario
def all_wins_over_files(base: Path, directory: Path) -> list[str]:
    Ko().write(directory / "kernel/a.ko")
    return ["-a", RELEASE, "/nowhere.ko"]


@scenario
def another_module_directory(base: Path, directory: Path) -> list[str]:
    Ko(exports={"f": 1}).write(base / f"usr/lib/mods/{RELEASE}/kernel/a.ko")
    return ["-m", "/usr/lib/mods"]


@scenario
def no_such_release(base: Path, directory: Path) -> list[str]:
    return ["6.7"]


@scenario
def no_version(base: Path, directory: Path) -> list[str]:
    return ["version"]


@scenario
def two_characters(base: Path, directory: Path) -> list[str]:
    return ["-P", "ab"]


@pytest.mark.parametrize("name", SCENARIOS)
@pytest.mark.parametrize("show", [False, True], ids=["write", "show"])
def test_as_kmod(tmp_path: Path, name: str, show: bool) -> None:
    base = tmp_path / "base"
    directory = base / "lib/modules" / RELEASE
    directory.mkdir(parents=True)
    for other in ("modules.order", "modules.builtin", "modules.builtin.modinfo"):
        (directory / other).touch()
    words = SCENARIOS[name](base, directory)
    if name in ("no_such_release", "no_version"):
        ours, theirs = run_both(base, tmp_path, [*words, *(["-n"] if show else [])], words[0])
    else:
        ours, theirs = run_both(base, tmp_path, [*words, *(["-n"] if show else [])])
    assert ours.status == theirs.status
    assert messages(ours.err) == messages(theirs.err)
    if "-n" in words or show:
        assert sorted(ours.out.splitlines()) == sorted(theirs.out.splitlines())
    else:
        assert ours.out == theirs.out
        assert differing(tmp_path) == KNOWN_FILES.get(name, [])
