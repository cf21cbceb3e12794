# SPDX-License-Identifier: LGPL-2.1-or-later
"""Inputs made to cost time or memory, and a process that may use only so much of either.

A case builds its input first, freely; then limits are set (RLIMIT_CPU, RLIMIT_AS) above what is used by then, and the
reader runs. It must end with a value or with one of our errors.
"""

from __future__ import annotations

import gzip
import lzma
import os
import resource
import struct
import tempfile
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import zstandard

from pymodutils.cli.modprobe.values import split_words
from pymodutils.cli.options import Option, Parser
from pymodutils.errors import Error
from pymodutils.formats import compression
from pymodutils.formats.cmdline import parse_kernel_command_line
from pymodutils.formats.conflines import logical_lines
from pymodutils.formats.cpio import read_members
from pymodutils.formats.depmodconf import parse_depmod_conf
from pymodutils.formats.der import read_signer_info
from pymodutils.formats.efisignatures import SHA256, entries_in
from pymodutils.formats.elf import MOST_SYMBOLS, ElfFile
from pymodutils.formats.fnmatch import fnmatch
from pymodutils.formats.index import MAX_SIZE, Index, read_index
from pymodutils.formats.modinfo import parse_modinfo
from pymodutils.formats.modprobeconf import parse_modprobe_conf
from pymodutils.formats.policy import parse_policy
from pymodutils.formats.procmodules import parse_proc_modules
from pymodutils.formats.signature import read_signature
from pymodutils.formats.source import BytesSource, FileSource
from pymodutils.formats.symbols import exports, needs, versions
from pymodutils.formats.textindex import builtin_fields, parse_builtin_modinfo, parse_dep_line
from pymodutils.names import normalize_alias
from pymodutils.state.files import read_file
from pymodutils.state.modulefile import ModuleFile
from tests.support.dwarfforge import BEGIN, COPY, END, line_table, lines, uleb
from tests.support.images import archive, compressed
from tests.support.indexforge import CHILDREN, MAGIC, VALUES, VERSION
from tests.support.koforge import Ko, Writer, signature

MIB = 1 << 20


@dataclass(frozen=True)
class Case:
    """One input. `parser` is the row of docs/security.md; `expect` a class name: `value` or that of an error."""

    parser: str
    expect: str
    build: Callable[[], Callable[[], object]]
    seconds: int = 5
    memory: int = 128 * MIB


CASES: dict[str, Case] = {}


def case(parser: str, expect: str, *, seconds: int = 5, memory: int = 128) -> Callable[..., Callable[..., object]]:
    def register(build: Callable[[], Callable[[], object]]) -> Callable[[], Callable[[], object]]:
        CASES[build.__name__] = Case(parser, expect, build, seconds, memory * MIB)
        return build

    return register


def consume(items: Iterable[object]) -> int:
    """Go through all of it, keeping nothing."""
    return sum(1 for _ in items)


# --- ELF and what is in it


def ko_with(**sections: bytes) -> bytes:
    return Ko(extra_sections={name.replace("dot_", ".").encode(): data for name, data in sections.items()}).bytes()


@case("ELF", "ElfError")
def sections_that_share_one_huge_name() -> Callable[[], object]:
    names = b"\0" + b"a" * (32 * MIB) + b"\0"
    table = bytes(64) + struct.pack("<IIQQQQIIQQ", 1, 3, 0, 0, 64, len(names), 0, 0, 1, 0)
    table += struct.pack("<IIQQQQIIQQ", 1, 1, 0, 0, 64, 0, 0, 0, 1, 0) * 65533
    header = b"\x7fELF\x02\x01\x01" + bytes(9)
    header += struct.pack("<HHIQQQIHHHHHH", 1, 62, 1, 0, 0, 64 + len(names), 0, 64, 0, 0, 64, 65535, 1)
    data = header + names + table
    return lambda: ElfFile(BytesSource(data)).sections()


class Symbols(Writer):
    """Writes a module with a symbol table of our own making."""

    def __init__(self, table: bytes, strings: bytes) -> None:
        super().__init__(Ko())
        self.table, self.strings = table, strings

    def add_symbols(self) -> None:
        text = self.add(b".strtab", 3, self.strings, flags=0)
        self.add(b".symtab", 2, self.table, flags=0, link=text, info=1)


def needed_symbols(count: int, strings: bytes) -> Callable[[], object]:
    table = bytes(24) + struct.pack("<IBBHQQ", 1, 0x10, 0, 0, 0, 0) * count
    data = Symbols(table, strings).write()
    return lambda: needs(ElfFile(BytesSource(data)))


@case("ELF", "ElfError")
def symbols_that_share_one_huge_name() -> Callable[[], object]:
    return needed_symbols(500_000, b"\0" + b"a" * (32 * MIB) + b"\0")


@case("ELF", "ElfError")
def too_many_symbols() -> Callable[[], object]:
    return needed_symbols(MOST_SYMBOLS + 1, b"\0a\0")


@case("ELF", "ElfError")
def too_many_exported_strings() -> Callable[[], object]:
    data = ko_with(__ksymtab_strings=b"a\0" * (16 * MIB))
    return lambda: exports(ElfFile(BytesSource(data)))


@case("ELF", "ElfError", memory=256)
def too_many_extended_versions() -> Callable[[], object]:
    data = ko_with(__version_ext_crcs=bytes(64 * MIB), __version_ext_names=b"a\0" * (16 * MIB))
    return lambda: versions(ElfFile(BytesSource(data)))


def sparse(content: dict[int, bytes], size: int) -> int:
    """A descriptor of a file of any size that takes no room."""
    descriptor, path = tempfile.mkstemp()
    os.unlink(path)
    os.ftruncate(descriptor, size)
    for offset, data in content.items():
        os.pwrite(descriptor, data, offset)
    return descriptor


def huge_section(name: bytes) -> Callable[[], object]:
    """A section that claims the 5 GiB which the file really has."""
    data = bytearray(Ko(extra_sections={name: b"x"}).bytes())
    elf = ElfFile(BytesSource(data))
    section = elf.section(name)
    assert section
    at = elf.section_table_offset + section.index * 64
    struct.pack_into("<QQ", data, at + 24, 0, 5 << 30)
    source = FileSource(sparse({0: bytes(data)}, 5 << 30))
    return lambda: ElfFile(source).data_of(name)


@case("ELF", "ElfError")
def a_section_of_five_gigabytes() -> Callable[[], object]:
    return huge_section(b"__versions")


@case("ELF", "value")
def a_note_that_claims_four_gigabytes() -> Callable[[], object]:
    note = struct.pack("<III", 4, 0xFFFFFFFF, 3) + b"GNU\0" + b"x" * 20
    data = Ko(extra_sections={b".note.gnu.build-id": note}).bytes()
    return lambda: ElfFile(BytesSource(data)).build_id()


@case(".modinfo", "FormatError")
def too_many_modinfo_strings() -> Callable[[], object]:
    data = b"a\0" * (16 * MIB)
    return lambda: parse_modinfo(data)


@case(".modinfo", "value", memory=256)
def one_modinfo_string_of_64_mebibytes() -> Callable[[], object]:
    data = b"author=" + b"\xff" * (16 * MIB)
    return lambda: parse_modinfo(data)


@case("signature", "SignatureError")
def a_signature_of_four_gigabytes() -> Callable[[], object]:
    trailer = signature(b"s", id_type=0)[-40:-28]
    trailer = trailer[:8] + struct.pack(">I", 0xFFFFFFFF) + b"~Module signature appended~\n"
    size = 5 << 30
    source = FileSource(sparse({size - len(trailer): trailer}, size))
    return lambda: read_signature(source)


@case("signature", "value")
def nested_der() -> Callable[[], object]:
    data = b""
    for _ in range(2000):
        length = len(data)
        data = b"\x30" + (bytes((length,)) if length < 128 else b"\x83" + length.to_bytes(3, "big")) + data
    return lambda: read_signer_info(data)


@case("signature", "value")
def nested_der_for_the_library() -> Callable[[], object]:
    data = b"\x30\x80" * 100_000
    source = BytesSource(signature(data))
    return lambda: read_signature(source)


# --- decompressors


def unpack(data: bytes, limit: int = 16 * MIB) -> Callable[[], object]:
    return lambda: compression.decompress(data, limit)


@case("decompressors", "CompressionError")
def gzip_bomb() -> Callable[[], object]:
    packer = zlib.compressobj(9, wbits=31)
    data = b"".join(packer.compress(bytes(MIB)) for _ in range(512)) + packer.flush()
    return unpack(data)


@case("decompressors", "CompressionError")
def xz_bomb() -> Callable[[], object]:
    packer = lzma.LZMACompressor(preset=0)
    data = b"".join(packer.compress(bytes(MIB)) for _ in range(256)) + packer.flush()
    return unpack(data)


@case("decompressors", "CompressionError")
def zstd_bomb() -> Callable[[], object]:
    packer = zstandard.ZstdCompressor(level=1, write_content_size=False).compressobj()
    data = b"".join(packer.compress(bytes(MIB)) for _ in range(512)) + packer.flush()
    return unpack(data)


@case("decompressors", "CompressionError")
def bomb_in_many_parts() -> Callable[[], object]:
    return unpack(gzip.compress(bytes(MIB)) * 1000)


@case("decompressors", "value", seconds=8)
def many_empty_gzip_members() -> Callable[[], object]:
    return unpack(gzip.compress(b"") * 100_000)


@case("decompressors", "value", seconds=8)
def many_empty_xz_streams() -> Callable[[], object]:
    return unpack(lzma.compress(b"") * 100_000)


@case("decompressors", "value", seconds=8)
def many_empty_zstd_frames() -> Callable[[], object]:
    return unpack(zstandard.ZstdCompressor().compress(b"") * 100_000)


@case("decompressors", "value")
def xz_padding_of_many_megabytes() -> Callable[[], object]:
    return unpack(lzma.compress(b"x") + bytes(16 * MIB))


@case("decompressors", "CompressionError")
def xz_that_wants_a_dictionary_of_four_gigabytes() -> Callable[[], object]:
    data = bytearray(lzma.compress(b"x" * 100))
    length = (data[12] + 1) * 4  # the block header, after the stream header of 12 bytes
    header = data[12 : 12 + length]
    header[header.index(b"\x21\x01") + 2] = 40  # 4 GiB - 1
    header[-4:] = zlib.crc32(header[:-4]).to_bytes(4, "little")
    data[12 : 12 + length] = header
    return unpack(bytes(data))


@case("decompressors", "CompressionError")
def zstd_that_claims_a_window_of_two_gigabytes() -> Callable[[], object]:
    return unpack(b"\x28\xb5\x2f\xfd" + bytes((0x00, 21 << 3)) + b"\x01\x00\x00")


@case("decompressors", "CompressionError")
def zstd_that_claims_four_gigabytes() -> Callable[[], object]:
    return unpack(b"\x28\xb5\x2f\xfd" + bytes((0xE0,)) + (4 << 30).to_bytes(8, "little") + b"\x02\x00\x00a")


@case("decompressors", "FileError")
def a_compressed_file_of_a_terabyte() -> Callable[[], object]:
    module = ModuleFile(f"/proc/self/fd/{sparse({0: gzip.compress(b'x')}, 1 << 40)}")
    return module.image


# --- variables of the firmware


@case("variables of the firmware", "FormatError")
def millions_of_empty_signatures() -> Callable[[], object]:
    size = 60 * MIB
    data = struct.pack("<16sIII", SHA256, 28 + size, 0, 16) + bytes(size)
    return lambda: list(entries_in(data))


# --- debugging data


def lines_of(table: bytes) -> Callable[[], object]:
    import elftools.elf.elffile  # noqa: F401  # whose memory is not the table's

    return lambda: lines(table)


@case("debugging data", "FormatError", seconds=8, memory=512)
def a_line_table_of_sixteen_million_rows() -> Callable[[], object]:
    return lines_of(line_table(BEGIN + b"\x20" * (16 * MIB) + END))


@case("debugging data", "FormatError", seconds=8, memory=512)
def a_line_table_of_millions_of_sequences() -> Callable[[], object]:
    return lines_of(line_table((COPY + END) * (3 * MIB)))


@case("debugging data", "FormatError")
def a_line_table_that_promises_files_without_end() -> Callable[[], object]:
    return lines_of(line_table(version=5, files=b"\0" + uleb(1 << 62) + b"\0\0"))


@case("debugging data", "value")
def half_a_million_files_in_one_huge_directory() -> Callable[[], object]:
    names = b"\x01\x01\x08\x01" + b"d" * MIB + b"\0" + b"\x01\x01\x08" + uleb(500_000) + b"f\0" * 500_000
    return lines_of(line_table(version=5, files=names))


# --- index


def index_file(body: bytes, root: int) -> Index:
    return read_index(struct.pack(">III", MAGIC, VERSION, root) + body)


def dump(index: Index) -> Callable[[], object]:
    return lambda: consume(index.dump())


@case("index", "IndexFormatError")
def a_trie_a_million_deep() -> Callable[[], object]:
    body = b"".join(struct.pack(">2sI", b"aa", 12 + 6 * (n + 1) | CHILDREN) for n in range(MIB))
    return dump(index_file(body, 12 | CHILDREN))


def diamonds(edges: bytes, levels: int = 64) -> Index:
    """Each node's children are all the next node: as many ways as edges to the power of levels."""
    size, first, last = 2 + 4 * (edges[1] - edges[0] + 1), edges[0], edges[1]
    body = b"".join(
        bytes((first, last)) + struct.pack(">I", 12 + size * (n + 1) | CHILDREN) * (last - first + 1)
        for n in range(levels)
    )
    return index_file(body + b"aa\0\0\0\0", 12 | CHILDREN)


@case("index", "IndexFormatError")
def exponentially_many_ways() -> Callable[[], object]:
    return dump(diamonds(b"\x01\x7f"))


@case("index", "IndexFormatError")
def exponentially_many_wildcards() -> Callable[[], object]:
    index = diamonds(b"*a")
    return lambda: index.match("a" * 60)


@case("index", "IndexFormatError")
def a_cycle() -> Callable[[], object]:
    return dump(index_file(struct.pack(">2sI", b"aa", 12 | CHILDREN), 12 | CHILDREN))


@case("index", "IndexFormatError")
def a_cycle_on_the_way() -> Callable[[], object]:
    index = index_file(struct.pack(">2sI", b"aa", 12 | CHILDREN), 12 | CHILDREN)
    return lambda: index.lookup("a" * 4000)


@case("index", "IndexFormatError")
def nodes_that_overlap() -> Callable[[], object]:
    """A node every five bytes, each with 4096 values that are the bytes of the next nodes."""
    width = 120
    fan = 2 + 4 * width  # bytes of a node with so many children
    leaves = 12 + fan + width * fan
    body = bytes((1, width)) + b"".join(struct.pack(">I", 12 + fan * (n + 1) | CHILDREN) for n in range(width))
    for first in range(0, width * width, width):
        words = (leaves + 5 * (first + n) | VALUES for n in range(width))
        body += bytes((1, width)) + b"".join(struct.pack(">I", word) for word in words)
    return dump(index_file(body + bytes((0, 0, 16, 0, 0)) * (width * width + 5000), 12 | CHILDREN))


@case("index", "IndexFormatError")
def an_index_of_a_terabyte() -> Callable[[], object]:
    header = struct.pack(">III", MAGIC, VERSION, 12)
    source = FileSource(sparse({0: header}, 1 << 40))
    return lambda: consume(Index(source).dump())


@case("index", "value", memory=400)
def a_sparse_index_of_the_largest_size() -> Callable[[], object]:
    header = struct.pack(">III", MAGIC, VERSION, 12 | VALUES)
    source = FileSource(sparse({0: header}, MAX_SIZE))
    return lambda: consume(Index(source).dump())


@case("index", "value")
def a_text_of_many_megabytes() -> Callable[[], object]:
    index = diamonds(b"*a", 1)
    return lambda: (index.match("a" * (8 * MIB)), index.lookup("a" * (8 * MIB)))


@case("patterns", "value")
def brackets_that_never_close() -> Callable[[], object]:
    return lambda: fnmatch("*" + "[" * 1000, "[" * 999)


@case("patterns", "value")
def classes_that_never_close() -> Callable[[], object]:
    return lambda: fnmatch("*[" + "[:" * 500 + "]x", "a" * 1000)


@case("patterns", "value")
def many_stars() -> Callable[[], object]:
    return lambda: fnmatch("*a" * 500 + "b", "a" * 4000)


# --- initial file systems


def look_into(data: bytes) -> Callable[[], object]:
    return lambda: consume(read_members(BytesSource(data), lambda path: path.endswith(".conf")))


@case("initial file systems", "CompressionError", seconds=8)
def an_image_of_zeros_without_end() -> Callable[[], object]:
    packer = zlib.compressobj(9, wbits=31)
    zeros = bytes(64 * MIB)
    return look_into(b"".join([packer.compress(zeros) for _ in range(20)]) + packer.flush())


@case("initial file systems", "FormatError", seconds=8)
def half_a_million_members() -> Callable[[], object]:
    member = archive({"a": ""})[: -len(archive({}))]
    return look_into(compressed(member * 500_000, "zstd"))


@case("initial file systems", "FormatError")
def a_file_of_four_gigabytes_that_is_wanted() -> Callable[[], object]:
    return look_into(
        archive({"a.conf": ""}).replace(b"%08X" % 0o100644, b"%08X" % 0o100644, 1)[:54] + b"FFFFFFFF" + bytes(99)
    )


# --- policies


@case("policy", "FormatError")
def tables_within_tables() -> Callable[[], object]:
    data = b"x = " + b"[" * 100_000
    return lambda: parse_policy(data)


@case("policy", "value", seconds=8, memory=256)
def a_hundred_thousand_denials() -> Callable[[], object]:
    data = b"".join(b"[deny.m%d]\n" % number for number in range(100_000))
    return lambda: parse_policy(data)


# --- text


@case("modprobe.d", "value")
def a_line_of_half_a_million_lines() -> Callable[[], object]:
    data = b"options a \\\n" + b"b\\\n" * 500_000
    return lambda: parse_modprobe_conf(data, "f")


@case("modprobe.d", "value")
def a_line_of_backslashes() -> Callable[[], object]:
    data = b"\\\n" * MIB + b"\\" * (4 * MIB)
    return lambda: consume(logical_lines(data))


@case("modprobe.d", "value", memory=256)
def half_a_million_brackets() -> Callable[[], object]:
    data = b"alias " + b"[a-z]" * 500_000 + b" m\n"
    return lambda: parse_modprobe_conf(data, "f")


@case("modprobe.d", "NameSyntaxError")
def half_a_million_open_brackets() -> Callable[[], object]:
    return lambda: normalize_alias("[a]" * 500_000 + "[")


@case("modprobe.d", "value", memory=512)
def softdeps_without_number() -> Callable[[], object]:
    data = b"softdep a pre: " + b"b " * MIB
    return lambda: [rule.softdeps() for rule in parse_modprobe_conf(data, "f")[0]]


@case("modprobe.d", "value")
def a_line_of_nuls() -> Callable[[], object]:
    data = b"alias a\0 b\n" + bytes(16 * MIB)
    return lambda: parse_modprobe_conf(data, "f")


@case("depmod.d", "value", memory=256)
def a_search_line_of_a_million_words() -> Callable[[], object]:
    data = b"search " + b"a " * MIB
    return lambda: parse_depmod_conf(data, "f")


@case("kernel command line", "value", memory=256)
def a_command_line_of_a_million_quotes() -> Callable[[], object]:
    data = b'a."b=c" ' * MIB
    return lambda: parse_kernel_command_line(data)


@case("kernel command line", "value", memory=512)
def a_blacklist_of_a_million_names() -> Callable[[], object]:
    data = b"modprobe.blacklist=" + b"a," * (MIB // 2)
    return lambda: parse_kernel_command_line(data)


@case("/proc/modules", "FormatError")
def a_size_of_a_million_digits() -> Callable[[], object]:
    data = b"a " + b"9" * MIB + b" 0 - Live 0x0\n"
    return lambda: parse_proc_modules(data)


@case("/proc/modules", "value", memory=256)
def a_million_holders() -> Callable[[], object]:
    data = b"a 1 1 " + b"b," * MIB + b" Live 0x0\n"
    return lambda: parse_proc_modules(data)


@case("modules.dep", "value", memory=256)
def a_million_dependencies() -> Callable[[], object]:
    line = "kernel/a.ko:" + " b" * MIB
    return lambda: parse_dep_line(line)


@case("modules.builtin.modinfo", "value", memory=400)
def a_million_builtin_strings() -> Callable[[], object]:
    data = b"a.b=c\0" * (MIB // 2)
    return lambda: (builtin_fields(data, "a"), builtin_fields(data, "b"))


@case("modules.builtin.modinfo", "value", memory=400)
def builtin_strings_without_a_dot() -> Callable[[], object]:
    data = b"a" * (8 * MIB) + b"\0a" * MIB
    return lambda: parse_builtin_modinfo(data)


@case("MODPROBE_OPTIONS", "value")
def two_megabytes_of_modprobe_options() -> Callable[[], object]:
    text = "' \" " * (MIB // 2)
    return lambda: split_words(text)


OPTIONS = (Option("all", "a", ("all",), ""), Option("base", "b", ("basedir",), "", "DIR"))


@case("options", "value")
def three_hundred_thousand_operands() -> Callable[[], object]:
    words = ["x", "-a", "-b", "y"] * 75_000
    return lambda: consume(Parser(words, OPTIONS))


@case("options", "value")
def a_cluster_of_a_million_letters() -> Callable[[], object]:
    return lambda: consume(Parser(["-" + "a" * MIB], OPTIONS))


@case("text files", "FileError")
def a_configuration_without_end() -> Callable[[], object]:
    return lambda: read_file("/dev/zero")


@case("text files", "FileError")
def a_configuration_of_a_terabyte() -> Callable[[], object]:
    descriptor = sparse({}, 1 << 40)
    return lambda: read_file(f"/proc/self/fd/{descriptor}")


def run(name: str) -> tuple[str, int]:
    """Run one case in a process of its own: the name of what came out, and the status as of waitpid."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writer, _outcome(CASES[name]).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with open(reader) as stream:
        outcome = stream.read()
    return outcome, os.waitpid(child, 0)[1]


def _outcome(chosen: Case) -> str:
    action = chosen.build()
    used = resource.getrusage(resource.RUSAGE_SELF)
    seconds = int(used.ru_utime + used.ru_stime) + 1 + chosen.seconds
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    memory = pages * resource.getpagesize() + chosen.memory
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    try:
        action()
    except (Error, MemoryError) as error:
        return type(error).__name__
    except Exception as error:
        return repr(error)
    return "value"
