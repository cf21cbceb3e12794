# SPDX-License-Identifier: LGPL-2.1-or-later
"""Write the first corpus: `python -m fuzz.seeds`. What fuzzing finds is added by hand, as small files."""

from __future__ import annotations

import gzip
import lzma
from pathlib import Path
from tempfile import TemporaryDirectory

import zstandard

from pymodutils.depmod.cache import Snapshot, _encode_snapshot
from pymodutils.depmod.factcodec import encode_fields, facts_to_fields
from pymodutils.depmod.facts import ModuleFacts
from pymodutils.depmod.stamps import encode_stamps
from pymodutils.formats.policy import Denial, compile_rules
from tests.support.cmodules import DWARF4, DWARF5, compile_module
from tests.support.dwarfforge import line_table
from tests.support.images import archive, compressed
from tests.support.indexforge import build, write
from tests.support.kernelforge import bzimage, certificate_like, kernel_elf, kernel_with, signature_list, zboot
from tests.support.koforge import Ko, pkcs7, signature
from tests.support.oopses import ARM64, HUNG, KASAN, LOCKDEP, OLD, RISCV, STAMPS, UNLOADED, WITH_BUILD_ID, X86, stamped
from tests.support.parameterforge import a_table
from tests.support.traces import request_line, trace_line

CORPUS = Path(__file__).parent / "corpus"


def seeds() -> dict[str, list[bytes]]:
    """Well-formed input for each target."""
    certificate = certificate_like()
    kernel = kernel_with(certificate, around=64)
    modules = [
        Ko(exports={"e": 1}, needs={"n": 2, "w": None}, weak={"w"}, build_id=b"i" * 20).bytes(),
        Ko(bits=32, order=">", exports={"e": 1}, needs={".n": 2}, crc_in_section=True).bytes(),
        Ko(needs={"n": 2}, extended_versions=True, exports={"e": 1}, crc_symbols=False).bytes(),
        Ko(bits=64, order=">", machine=43, needs={"r": None}).bytes(),
        Ko(
            needs={"n": 2},
            first_versions={"module_layout": 1},
            exports={"e": 1, "f": 2},
            namespaces={"e": "N", "f": ""},
            gpl={"f"},
            crc_in_section=True,
        ).bytes(),
    ]
    strings = b"license=GPL\0parm=a:b\0parmtype=a:int\0softdep=pre: x post: y\0alias=pci:v*d[0-9]*\0flag\0"
    entries = [(b"pci:v1*", 0, b"a"), (b"pci:v*", 1, b"b"), (b"pci:v[1-3]", 1, b"c"), (b"x", 2, b"d"), (b"xy", 0, b"e")]
    indexes = [write(build(entries)), write(build(entries), children_first=True), write(build([]))]
    plain = b"module " * 40
    packed = {
        "gzip": [gzip.compress(plain, mtime=0), gzip.compress(plain, mtime=0) + gzip.compress(b"", mtime=0) + b"pad"],
        "xz": [lzma.compress(plain, check=lzma.CHECK_CRC32), lzma.compress(plain) + bytes(8) + lzma.compress(b"x")],
        "zstd": [zstandard.ZstdCompressor(write_checksum=True).compress(plain),
                 zstandard.ZstdCompressor(write_content_size=False).compress(plain) * 2],
    }  # fmt: skip
    stamps = {b"kernel/a.ko": (1, 2, 3, 4, 5)}
    facts = [ModuleFacts((b"e", b"\1\0\0\0", b"", b"alias=x", b"1", b""))]
    with TemporaryDirectory() as folder:
        debugging = [
            compile_module(Path(folder, str(number)), [*options, "-O1"]).read_bytes()
            for number, options in enumerate([DWARF4, DWARF5, [*DWARF5, "-gz"]])
        ]
    return {
        **packed,
        "debugging_data": debugging,
        "line_table": [line_table(), line_table(version=5), line_table(order=">"), line_table(version=2)],
        "oops": [
            stamped(X86 + HUNG, STAMPS["journalctl"]).encode(), (ARM64 + KASAN).encode(), (RISCV + UNLOADED).encode(),
            (LOCKDEP + OLD + WITH_BUILD_ID).encode(),
        ],
        "elf": modules,
        "modinfo": [strings],
        "parameter_table": [a_table(), a_table(">", 22)],
        "parameter_values": [b"bool\nY\n1", b"array of int\n1,0x2\n1,2", b"\non\n0x1", b"byte\n-1\n256"],
        "signature": [pkcs7(), signature(pkcs7()), signature(b"s" * 9, id_type=0, signer=b"Me", key_id=b"k")],
        "index_lookup": [b"xy\n" + index for index in indexes[:2]],
        "index_match": [b"pci:v1d2\n" + index for index in indexes],
        "index_dump": indexes,
        "namespace": [b"kvm_intel\nmodule:kvm,kvm-*", b"btrfs\nCRYPTO_INTERNAL", b"a\nmodule:,*"],
        "pattern": [b"pci:v1\npci:v[0-9]*", b"ab]\n[]a-c][!x]\\]", b"a1 \n[[:alpha:]]?*[^[:digit:]]"],
        "modprobe_d": [
            b"alias a-b m\nblacklist x\noptions m a=1 b=\"2 3\"\ninstall m /bin/true \\\n  $CMDLINE_OPTS\n# c\n",
            b"remove m c\nsoftdep m pre: a post: b\nweakdep m a b\ninclude x\nbad\nalias [a-b]\\- m\r\n",
        ],
        "depmod_d": [b"search updates built-in\noverride m 6.1 extra\nexternal * /opt\nexclude a b\ninclude x\n"],
        "kernel_command_line": [
            b'ro modprobe.blacklist=a,b-c, m.p=1 "m.q=a b" x.y a.b.c=d m.s="a b" -- z.z=1\n',
            b'module_blacklist=a module-blacklist="b,,c" initcall_blacklist=f,g modules_load=x "y\n',
        ],
        "signed_data": [pkcs7(), b"content" + signature(pkcs7())],
        "kernel_image": [
            kernel_with(certificate, certificate, around=64),
            bzimage(gzip.compress(kernel, mtime=0), 1),
            zboot(lzma.compress(kernel, check=lzma.CHECK_CRC32), 1),
            kernel_elf({"printk": (0x11, False, ""), "kmalloc": (0x12, True, "NS")}),
        ],
        "kernel_exports": [
            b"0x11\tprintk\tvmlinux\tEXPORT_SYMBOL_GPL\tNS\n0x12\tx\tNS\tvmlinux\tEXPORT_SYMBOL\n",
            b"ffff01 R __ksymtab_printk\nffff01 R __start___ksymtab_gpl\nffff02 R __stop___ksymtab_gpl\n"
            b"0 A __crc_printk\n",
        ],
        "efi_signatures": [signature_list(certificate, certificate) + signature_list(bytes(32), kind=bytes(16))],
        "initial_file_system": [
            archive({"early": "x"}) + compressed(archive({"etc/a.conf": "blacklist a\n", "lib": "-> x"}), kind)
            for kind in ("none", "gzip", "xz", "zstd", "lz4")
        ],
        "wanted_state": [
            b"[module.a-b]\nstate = 'loaded'\nat_boot = true\n"
            b"parameters = {x = 1, y = [true, 'z'], \"z-z\" = 'a b\\\\'}\n",
            b"[module.c]\noptions_exactly = true\n[module.d]\nstate = 'denied'\nparameters = {x = \"'a 'b\"}\n",
        ],
        "policy": [
            b'# c\n[allow]\nfrom = "lsmod"\ndate = 2026-05-17\nmodules = ["a", "b-c"]\n\n[deny.sctp]\nreason = "x"\n',
            b"[deny.'a']\n\n# x\n[deny.b]\n",
        ],
        "compiled_policy": [compile_rules([Denial("a", "why", "2026-05-17")], ["b"], "2026-05-18")],
        "kernel_symbols": [
            b"ffff t f\nffff d __initcall__kmod_a__340_1537_init_a7s\n0 d __initcall__kmod_a__1_2_x6\t[y]"
        ],
        "kernel_log": [
            b"6,339,5140900,-;NET: family 10\\x0a\\xffx\n SUBSYSTEM=x\n",
            b"<6>[    1.500000][  T12] a: b\n<4>no time\n",
        ],
        "modules_load_d": [b"# c\nloop\n  snd-seq \n; c\nparport_pc io=0x378\r\n\xff\n"],
        "udev_rules": [
            b'ACTION!="add", GOTO="end"\nENV{MODALIAS}=="?*", RUN{builtin}+="kmod load \'$env{MODALIAS}\'"\n',
            b'# c\nA=="b|c", \\\n# c\n  X:=e"\\"q" , Y = "1"\nLABEL="end"\nbad\nK{a\n',
        ],
        "mountinfo": [b"36 35 98:0 /a /b\\040c rw shared:1 master:2 - nfs h:/x rw,addr=10.0.0.1\n"
                      b"1 0 8:1 / / rw - ext4 d rw\n"],
        "routes": [b"10.0.0.1\nIface Destination\neth0 0000000A 0 0001 0 0 0 000000FF 0 0 0\n",
                   b"2001:db8::1\n" + b"0" * 32 + b" 00 " + b"0" * 32 + b" 00 " + b"0" * 32 + b" 1 1 0 1 eth0\n"],
        "proc_modules": [b"a 1 2 b,[permanent], Live 0xffff (OE)\nb 3 - - Loading 0x0\nc 1 0 -\n"],
        "modules_dep": [b"kernel/a.ko: kernel/b.ko /x/c.ko\nkernel/b.ko:\n", b"# c\nm d/n c1:2\nm n b3:4\n"],
        "builtin_modinfo": [b"a.license=GPL\0ab.license=MIT\0a.parm=x:y\0nodot\0a.flag\0"],
        "trace_pipe": [
            request_line("fs-a\nb") + b"CPU:0 [LOST 3 EVENTS]\n" + trace_line("module_load", "a OE"),
            trace_line("module_get", "a call_site=f [b] refcnt=2") + b"entries: 1\noverrun: 5\ndropped events: 2\n",
        ],
        "uevent": [
            b"add@/devices/a\0ACTION=add\0DEVPATH=/devices/a\0SUBSYSTEM=pci\0MODALIAS=pci:v1d2\0SEQNUM=7\0",
            b"libudev\0\xfe\xed\xca\xfe", b"remove@/x\0a\0=b\0\xff=\xff",
        ],
        "watch_log": [
            b'{"event": "request", "asked": "a-b", "modules": ["m"], "comm": "x", "pid": 1, "uid": null}\nn # c\n',
            b'{"event": "load", "module": "m-n"}\n{"event": "request", "modules": 1}\n{"cut',
        ],
        "modprobe_options": [b"-q  -C '/a b' -v --show-dep"],
        "options": [b"-nv\0--dirname=/x\0a\0b=c\0--\0-q", b"-w\0100\0-C\0x\0--ign\0-Sx"],
        "depmod_cache": [
            _encode_snapshot(Snapshot(b"c", True, b"e", stamps, stamps, stamps)),
            encode_fields(facts_to_fields(facts)), encode_stamps(stamps.values()),
        ],
    }  # fmt: skip


def main() -> None:
    """Write each seed as corpus/TARGET/seed-N."""
    for name, contents in seeds().items():
        (CORPUS / name).mkdir(parents=True, exist_ok=True)
        for number, content in enumerate(contents):
            (CORPUS / name / f"seed-{number}").write_bytes(content)


if __name__ == "__main__":
    main()
