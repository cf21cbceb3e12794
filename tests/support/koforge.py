# SPDX-License-Identifier: LGPL-2.1-or-later
"""Forge module files (.ko): any class and byte order, with chosen strings, symbols, CRCs, signature and damage.

    Ko(modinfo=["license=GPL"], exports={"foo": 0x1234}, needs={"printk": 1}).bytes()

Only what readers of module files look at is written: no code, no relocations.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from asn1crypto import cms

SHT_PROGBITS, SHT_SYMTAB, SHT_STRTAB, SHT_NOTE, SHT_NOBITS = 1, 2, 3, 7, 8
SHN_ABS = 0xFFF1
GLOBAL, WEAK = 1, 2
SIGNATURE_MAGIC = b"~Module signature appended~\n"

MACHINES = {(64, "<"): 62, (32, "<"): 3, (64, ">"): 21, (32, ">"): 20}  # x86-64, i386, ppc64, ppc


@dataclass
class Ko:
    """A module to be written. `exports` and `needs` map a name to its CRC; a need with CRC None has no version."""

    modinfo: Sequence[str | bytes] = field(default_factory=lambda: ["license=GPL", "name=forged"])
    exports: dict[str, int] = field(default_factory=dict)
    needs: dict[str, int | None] = field(default_factory=dict)
    weak: set[str] = field(default_factory=set)
    bits: int = 64
    order: str = "<"
    machine: int | None = None
    build_id: bytes | None = None
    crc_in_section: bool = False  # CRCs as words of __kcrctab instead of absolute symbol values
    extended_versions: bool = False  # __version_ext_* instead of __versions
    crc_symbols: bool = True  # False: only __ksymtab_strings, as without CONFIG_MODVERSIONS
    first_versions: dict[str, int] = field(default_factory=dict)  # in __versions, but no symbol (module_layout)
    local_names: tuple[str, ...] = ("local_function",)
    other_names: tuple[str, ...] = ()  # defined global symbols that are no exports
    namespaces: dict[str, str] | None = None  # of exports, which then have entries in export tables; "" for none
    gpl: set[str] = field(default_factory=set)  # exports for modules under the GPL alone
    flags_table: bool = False  # one export table and __kflagstab, as newer kernels have it
    extra_sections: dict[bytes, bytes] = field(default_factory=dict)
    this_module: bool = True  # what the kernel makes a module of
    trailer: bytes = b""

    def bytes(self) -> bytes:
        return Writer(self).write() + self.trailer

    def write(self, path: Path) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(self.bytes())
        return path


def signature(
    signature: bytes, *, id_type: int = 2, algo: int = 0, hash_id: int = 0, signer: bytes = b"", key_id: bytes = b""
) -> bytes:
    """A signature trailer for `Ko.trailer`."""
    record = struct.pack(">BBBBB3xI", algo, hash_id, id_type, len(signer), len(key_id), len(signature))
    return signer + key_id + signature + record + SIGNATURE_MAGIC


def modinfo_section(strings: Sequence[str | bytes]) -> bytes:
    raw = [text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape") for text in strings]
    return b"".join(text + b"\0" for text in raw)


class _Strings:
    """A string table."""

    def __init__(self) -> None:
        self.data = b"\0"

    def add(self, name: bytes) -> int:
        at = len(self.data)
        self.data += name + b"\0"
        return at


class Writer:
    """Lays out one file: header, section contents, section table."""

    def __init__(self, ko: Ko) -> None:
        self.ko = ko
        self.is64 = ko.bits == 64
        self.long = struct.Struct(ko.order + ("Q" if self.is64 else "I"))
        self.sections: list[tuple[bytes, int, int, bytes, int, int]] = []  # name type flags data link info

    def add(self, name: bytes, kind: int, data: bytes, *, flags: int = 2, link: int = 0, info: int = 0) -> int:
        """Append a section; its index in the section table (0 is the null section)."""
        self.sections.append((name, kind, flags, data, link, info))
        return len(self.sections)

    def write(self) -> bytes:
        ko = self.ko
        if ko.modinfo is not None:
            self.add(b".modinfo", SHT_PROGBITS, modinfo_section(ko.modinfo))
        if ko.build_id is not None:
            header = struct.pack(ko.order + "III", 4, len(ko.build_id), 3)
            padding = bytes(-len(ko.build_id) % 4)
            self.add(b".note.gnu.build-id", SHT_NOTE, header + b"GNU\0" + ko.build_id + padding)
        self.add_versions()
        self.labels: list[tuple[str, int, int]] = []  # name, value, section
        if ko.exports:
            self.add_exported_strings()
        self.add_symbols()
        if ko.this_module:
            self.add(b".gnu.linkonce.this_module", SHT_PROGBITS, bytes(64), flags=3)
        for name, data in ko.extra_sections.items():
            self.add(name, SHT_PROGBITS, data)
        return self.layout()

    def add_versions(self) -> None:
        ko = self.ko
        recorded = {**ko.first_versions, **{name: crc for name, crc in ko.needs.items() if crc is not None}}
        if not recorded:
            return
        if ko.extended_versions:
            crcs = b"".join(struct.pack(ko.order + "I", crc) for crc in recorded.values())
            self.add(b"__version_ext_crcs", SHT_PROGBITS, crcs)
            self.add(b"__version_ext_names", SHT_PROGBITS, b"".join(n.encode() + b"\0" for n in recorded))
            return
        records = (self.long.pack(crc) + name.encode() for name, crc in recorded.items())
        self.add(b"__versions", SHT_PROGBITS, b"".join(record.ljust(64, b"\0") for record in records))

    def add_exported_strings(self) -> None:
        ko, data = self.ko, b""
        home = len(self.sections) + 1
        for name in ko.exports:
            data += name.encode() + b"\0"
            if ko.namespaces is not None:
                self.labels.append((f"__kstrtabns_{name}", len(data), home))
                data += ko.namespaces.get(name, "").encode() + b"\0"
        self.add(b"__ksymtab_strings", SHT_PROGBITS, data)
        if ko.namespaces is not None:
            self.add_export_tables()

    def add_export_tables(self) -> None:
        """The kernel sorts each table by name. An entry has three words, which only relocations would fill."""
        ko, size = self.ko, 12
        gpl = set() if ko.flags_table else ko.gpl
        for table, names in ((b"__ksymtab", ko.exports.keys() - gpl), (b"__ksymtab_gpl", gpl)):
            if names:
                home = self.add(table, SHT_PROGBITS, bytes(size * len(names)))
                self.labels += [(f"__ksymtab_{name}", size * n, home) for n, name in enumerate(sorted(names))]
        if ko.flags_table:
            self.add(b"__kflagstab", SHT_PROGBITS, bytes(name in ko.gpl for name in sorted(ko.exports)))

    def add_symbols(self) -> None:
        ko, strings = self.ko, _Strings()
        table = [self.symbol(0, 0, 0, 0)]
        for name in ko.local_names:
            table.append(self.symbol(strings.add(name.encode()), 0, 1, 0))
        for name, value, section in self.labels:
            table.append(self.symbol(strings.add(name.encode()), value, section, 0))
        local_count = len(table)
        for name in ko.other_names:
            table.append(self.symbol(strings.add(name.encode()), 0, 1, GLOBAL))
        if ko.exports and ko.crc_symbols:
            words = b"".join(struct.pack(ko.order + "I", crc) for crc in ko.exports.values())
            home = self.add(b"__kcrctab", SHT_PROGBITS, words) if ko.crc_in_section else SHN_ABS
            for number, (name, crc) in enumerate(ko.exports.items()):
                value = number * 4 if ko.crc_in_section else crc
                table.append(self.symbol(strings.add(b"__crc_" + name.encode()), value, home, GLOBAL))
        for name in ko.exports:
            table.append(self.symbol(strings.add(name.encode()), 0, 1, GLOBAL))
        for name in ko.needs:
            bind = WEAK if name in ko.weak else GLOBAL
            table.append(self.symbol(strings.add(name.encode()), 0, 0, bind))
        text = self.add(b".strtab", SHT_STRTAB, strings.data, flags=0)
        self.add(b".symtab", SHT_SYMTAB, b"".join(table), flags=0, link=text, info=local_count)

    def symbol(self, name: int, value: int, section: int, bind: int) -> bytes:
        info = bind << 4
        if self.is64:
            return struct.pack(self.ko.order + "IBBHQQ", name, info, 0, section, value, 0)
        return struct.pack(self.ko.order + "IIIBBH", name, value & 0xFFFFFFFF, 0, info, 0, section)

    def layout(self) -> bytes:
        ko, names = self.ko, _Strings()
        sections = [*self.sections, (b".shstrtab", SHT_STRTAB, 0, b"", 0, 0)]
        places = [names.add(section[0]) for section in sections]
        sections[-1] = (b".shstrtab", SHT_STRTAB, 0, names.data, 0, 0)
        header_size = 64 if self.is64 else 52
        entry_size = 64 if self.is64 else 40
        body = b""
        table = bytes(entry_size)
        for place, (_, kind, flags, data, link, info) in zip(places, sections, strict=True):
            body += bytes(-(header_size + len(body)) % 8)
            table += self.section_header(place, kind, flags, header_size + len(body), len(data), link, info)
            body += data
        body += bytes(-(header_size + len(body)) % 8)
        machine = MACHINES[ko.bits, ko.order] if ko.machine is None else ko.machine
        ident = b"\x7fELF" + bytes((2 if self.is64 else 1, 1 if ko.order == "<" else 2, 1)) + bytes(9)
        layout = ko.order + ("HHIQQQIHHHHHH" if self.is64 else "HHIIIIIHHHHHH")
        at = header_size + len(body)
        fields = (1, machine, 1, 0, 0, at, 0, header_size, 0, 0, entry_size, len(sections) + 1, len(sections))
        return ident + struct.pack(layout, *fields) + body + table

    def section_header(self, name: int, kind: int, flags: int, offset: int, size: int, link: int, info: int) -> bytes:
        entry = (24 if self.is64 else 16) if kind == SHT_SYMTAB else 0
        form = "IIQQQQIIQQ" if self.is64 else "IIIIIIIIII"
        return struct.pack(self.ko.order + form, name, kind, flags, 0, offset, size, link, info, 8, entry)


def pkcs7(common_name: str = "A key", serial: int = 0x66F54E) -> bytes:
    """SignedData in the shape of the kernel's sign-file, made by the library that is the oracle."""
    issuer = cms.Name.build({"organization_name": "Org", "common_name": common_name})
    signer = {
        "version": "v1",
        "sid": cms.SignerIdentifier({"issuer_and_serial_number": {"issuer": issuer, "serial_number": serial}}),
        "digest_algorithm": {"algorithm": "sha256"},
        "signature_algorithm": {"algorithm": "rsassa_pkcs1v15"},
        "signature": b"S" * 256,
    }
    signed = cms.SignedData(
        {
            "version": "v1",
            "digest_algorithms": [{"algorithm": "sha256"}],
            "encap_content_info": {"content_type": "data"},
            "signer_infos": [cms.SignerInfo(signer)],
        }
    )
    dumped: bytes = cms.ContentInfo({"content_type": "signed_data", "content": signed}).dump()
    return dumped
