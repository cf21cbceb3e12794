# SPDX-License-Identifier: LGPL-2.1-or-later
"""modinfo against the real kmod on every module of Debian's trees. Known differences are in one table, here."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile
from elftools.elf.relocation import RelocationSection
from elftools.elf.sections import SymbolTableSection

from pymodutils.roots import Roots
from tests.support import assets
from tests.support.common import Outcome, need

Run = Callable[..., Outcome]

# What differs on purpose (docs/differences.md says why): a pattern of our output that kmod 30 and 34.2 do not have.
KNOWN_ADDITIONS = {
    "build-id, new after kmod 34": re.compile(rb"^build-id:.*\n(\t\t.*\n)*", re.MULTILINE),
    "build-id, with -0": re.compile(rb"(?<=\0)build-id=[^\0]*\0"),
}


def without_known_additions(output: bytes) -> bytes:
    for pattern in KNOWN_ADDITIONS.values():
        output = pattern.sub(b"", output)
    return output


@pytest.fixture(scope="session")
def oracle() -> Callable[..., Outcome]:
    """kmod 34.2 as any command."""
    need(Path("/usr/bin/apt-get").exists(), "apt-get")

    def run(name: str, arguments: list[str]) -> Outcome:
        done = subprocess.run([*assets.kmod34_argv(name), *arguments], capture_output=True)
        return Outcome(done.returncode, done.stdout, done.stderr)

    return run


def in_tree(kernel: str, compression: str) -> tuple[Path, list[str], list[str]]:
    """The tree's base, the options that select it, and the paths of its modules."""
    base = assets.module_tree(kernel, compression)
    version = assets.release(kernel)
    modules = base / "lib/modules" / version
    paths = sorted(str(path) for path in modules.rglob("*.ko*"))
    assert len(paths) > 3500
    return base, ["-b", str(base), "-k", version], paths


FORMS = [[], ["-0"], ["-p"], ["-n"], ["-a"], ["-F", "alias"], ["-F", "parmtype"], ["-F", "sig_key"], ["-F", "depends"]]


@pytest.mark.parametrize("form", FORMS, ids=lambda form: " ".join(form) or "all fields")
def test_every_module_by_path(command: Run, oracle: Run, form: list[str]) -> None:
    _base, _options, paths = in_tree("6.1", "none")
    ours, theirs = command("modinfo", [*form, *paths]), oracle("modinfo", [*form, *paths])
    assert ours.status == theirs.status == 0
    assert without_known_additions(ours.out) == theirs.out


@pytest.mark.parametrize("flag", [[], ["-m"]], ids=["as alias", "as name"])
def test_every_module_by_name(command: Run, oracle: Run, flag: list[str]) -> None:
    _base, options, paths = in_tree("6.1", "none")
    names = [Path(path).name.partition(".")[0] for path in paths]
    ours, theirs = command("modinfo", [*options, *flag, *names]), oracle("modinfo", [*options, *flag, *names])
    assert ours.status == theirs.status == 0
    assert without_known_additions(ours.out) == theirs.out


@pytest.mark.parametrize("compression", ["xz", "zst"])
def test_compressed_modules(command: Run, oracle: Run, compression: str) -> None:
    paths = in_tree("6.12", compression)[2][::8]
    ours, theirs = command("modinfo", paths), oracle("modinfo", paths)
    assert ours.status == theirs.status == 0
    assert without_known_additions(ours.out) == theirs.out


def test_gzip_is_read_as_well(command: Run) -> None:
    """No oracle: Debian's kmod knows no gzip. The same module, not compressed, must say the same."""
    packed, plain = in_tree("6.1", "gz")[2][::40], in_tree("6.1", "none")[2][::40]
    ours, expected = command("modinfo", ["-F", "vermagic", *packed]), command("modinfo", ["-F", "vermagic", *plain])
    assert (ours.out, ours.status) == (expected.out, 0)
    assert ours.out


@pytest.mark.parametrize("form", [[], ["-0"], ["-p"], ["-F", "license"], ["-F", "name"], ["-n"]], ids=" ".join)
def test_every_builtin(command: Run, oracle: Run, form: list[str]) -> None:
    base, options, _paths = in_tree("6.1", "none")
    listing = base / "lib/modules" / assets.release("6.1") / "modules.builtin"
    names = [Path(line).stem for line in listing.read_text().split()]
    assert len(names) > 100
    ours, theirs = command("modinfo", [*options, *form, *names]), oracle("modinfo", [*options, *form, *names])
    # A few names are both builtin and modules of their own, hence the build-ids.
    assert (without_known_additions(ours.out), ours.status) == (theirs.out, theirs.status)


def test_aliases(command: Run, oracle: Run) -> None:
    """Real modaliases, wildcards filled in; some find several modules."""
    base, options, _paths = in_tree("6.1", "none")
    aliases = (base / "lib/modules" / assets.release("6.1") / "modules.alias").read_text().splitlines()[1::20]
    words = [line.split()[1].replace("*", "0").replace("?", "1") for line in aliases]
    words = [word for word in words if "[" not in word]
    assert len(words) > 500
    for form in (["-n"], ["-F", "license"]):
        ours, theirs = command("modinfo", [*options, *form, *words]), oracle("modinfo", [*options, *form, *words])
        assert (ours.out, ours.err, ours.status) == (theirs.out, theirs.err, theirs.status)


ERRORS = [
    ["nope"], ["-m", "nope"], ["/no/such.ko"], ["bad["], ["bad]"], ["lo*p"], ["loop?"], ["-F"], ["--field"],
    ["--bogus"], ["-z"], [], ["-m", "loop.ko.xz", "-n"], ["loop", "nope", "veth", "-n"], ["-n", "symbol:crc32c"],
    ["-n", "./"],
    ["--auth", "loop"], ["--null=1", "loop"], ["-nloop"], ["-n", "--", "-x"], ["-F", "", "loop"],
]  # fmt: skip


@pytest.mark.parametrize("words", ERRORS, ids=" ".join)
def test_error_paths(command: Run, oracle: Run, words: list[str]) -> None:
    _base, options, _paths = in_tree("6.1", "none")
    ours, theirs = command("modinfo", [*options, *words]), oracle("modinfo", [*options, *words])
    assert (ours.err, ours.status) == (theirs.err, theirs.status)
    assert without_known_additions(ours.out) == theirs.out


def damaged(original: bytes) -> dict[str, bytes]:
    """Ways to break a module that kmod survives (where it does not, see docs/differences.md)."""

    def changed(at: int, value: bytes) -> bytes:
        return original[:at] + value + original[at + len(value) :]

    return {
        "empty": b"",
        "text": b"hello\n",
        "header cut": original[:40],
        "cut": original[: len(original) // 2],
        "class": changed(4, b"\7"),
        "byte order": changed(5, b"\7"),
        "entry size": changed(0x3A, b"\x10\0"),
        "section count": changed(0x3C, b"\xff\xff"),
        "no modinfo": original.replace(b"\0.modinfo\0", b"\0.modinfx\0"),
        "signature size": original[:-32] + b"\x7f\xff\xff\xff" + original[-28:],
    }


def test_damaged_modules(command: Run, oracle: Run, tmp_path: Path) -> None:
    path = next(path for path in in_tree("6.1", "none")[2] if path.endswith("/loop.ko"))
    for name, data in damaged(Path(path).read_bytes()).items():
        broken = tmp_path / f"{name.replace(' ', '-')}.ko"
        broken.write_bytes(data)
        ours, theirs = command("modinfo", [str(broken)]), oracle("modinfo", [str(broken)])
        assert (ours.err, ours.status) == (theirs.err, theirs.status), name
        assert without_known_additions(ours.out) == theirs.out, name


def test_kmod_30_says_the_same_of_every_module(command: Run) -> None:
    need(Path("/sbin/modinfo").exists(), "kmod")
    paths = in_tree("6.1", "none")[2][::5]
    theirs = subprocess.run(["/sbin/modinfo", *paths], capture_output=True)
    ours = command("modinfo", paths)
    assert without_known_additions(ours.out) == theirs.stdout


def test_the_elf_reader_agrees_with_pyelftools_on_real_modules() -> None:
    from pymodutils.state.modulefile import ModuleFile, elf_of

    for path in in_tree("6.1", "none")[2][::100]:
        with ModuleFile(path) as ours, open(path, "rb") as stream:
            theirs = ELFFile(stream)
            assert [(s.name, s.size) for s in ours.sections()] == [
                (s.name, s["sh_size"]) for s in theirs.iter_sections()
            ]
            table = elf_of(ours).symbol_table()
            symbols = theirs.get_section_by_name(".symtab")
            assert table and isinstance(symbols, SymbolTableSection)
            names = table.names(name_at for name_at, *_ in table)
            assert [(name.decode(), entry[3]) for name, entry in zip(names, table, strict=True)] == [
                (s.name if s["st_info"]["type"] != "STT_SECTION" else "", s["st_value"]) for s in symbols.iter_symbols()
            ][1:]


Exported = dict[str, tuple[str, bool, int]]


def exported_by_relocation(path: Path) -> Exported:
    """Namespace, licence and CRC of each export, as the kernel finds them: by the relocations of the export tables."""
    found: Exported = {}
    with path.open("rb") as stream:
        elf = ELFFile(stream)
        symbols = elf.get_section_by_name(".symtab")
        assert isinstance(symbols, SymbolTableSection)
        for table in ("__ksymtab", "__ksymtab_gpl"):
            relocations = elf.get_section_by_name(f".rela{table}")
            if relocations is None:
                continue
            checksums = elf.get_section_by_name(table.replace("__ksymtab", "__kcrctab"))
            assert isinstance(relocations, RelocationSection) and checksums
            crcs = checksums.data()
            texts = {}
            for relocation in relocations.iter_relocations():
                symbol = symbols.get_symbol(relocation["r_info_sym"])
                home = elf.get_section(symbol["st_shndx"])
                if home.name == "__ksymtab_strings":
                    at = symbol["st_value"] + relocation["r_addend"]
                    texts[relocation["r_offset"]] = home.data()[at:].partition(b"\0")[0].decode()
            names = [texts[place] for place in sorted(texts)]
            for number, (name, namespace) in enumerate(zip(names[::2], names[1::2], strict=True)):
                crc = int.from_bytes(crcs[4 * number : 4 * number + 4], "little")
                found[name] = namespace, table.endswith("gpl"), crc
    return found


@pytest.mark.parametrize("kernel", ["6.1", "6.12"])
def test_exports_agree_with_the_relocations_of_real_modules(kernel: str) -> None:
    from pymodutils.state.modulefile import ModuleFile

    seen: dict[str, tuple[str, bool]] = {}
    for path in map(Path, in_tree(kernel, "none")[2][::3]):
        with ModuleFile(path) as module:
            exports = module.exports()
        wanted = exported_by_relocation(path)
        assert {e.name: (e.namespace, e.gpl, e.crc) for e in exports} == wanted, path
        assert len(exports) == len(wanted)
        seen.update({name: (namespace, gpl) for name, (namespace, gpl, _crc) in wanted.items()})
    assert len(seen) > 2000
    assert {gpl for _, gpl in seen.values()} == {True, False}
    assert len({namespace for namespace, _ in seen.values()}) > 5


def test_static_nodes(command: Run, tmp_path: Path) -> None:
    """The real tree's devname file in all forms; kmod itself can only show the running kernel's."""
    roots = Roots(base=str(assets.module_tree("6.1")), release=assets.release("6.1"))
    done = command("kmod", ["static-nodes", "-f", "tmpfiles"], roots)
    assert done.status == 0
    assert b"c! /dev/loop-control 0600 - - - 10:237\n" in done.out
    assert b"d /dev/snd 0755 - - -\nc! /dev/snd/timer 0600 - - - 116:33\n" in done.out
