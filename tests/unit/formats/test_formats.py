# SPDX-License-Identifier: LGPL-2.1-or-later
"""Names, patterns, compression, signatures and text files: examples, oracles and random input."""

from __future__ import annotations

import ctypes
import gzip
import lzma
import string
import subprocess
from collections.abc import Callable

import pytest
import zstandard
from asn1crypto import cms
from hypothesis import example, given
from hypothesis import strategies as st

from pymodutils.errors import CompressionError, Error, FormatError, NameSyntaxError, SignatureError
from pymodutils.formats import compression
from pymodutils.formats.conflines import fields, logical_lines
from pymodutils.formats.der import read_signer_info
from pymodutils.formats.fnmatch import fnmatch
from pymodutils.formats.modinfo import Field, Parameter, parse_modinfo, parse_parameters
from pymodutils.formats.procmodules import parse_proc_modules
from pymodutils.formats.signature import Signature, read_signature
from pymodutils.formats.softdep import parse_softdep
from pymodutils.formats.source import BytesSource
from pymodutils.formats.textindex import builtin_fields, parse_builtin_modinfo, parse_dep_line, parse_devname_line
from pymodutils.names import decode, encode, module_name, normalize_alias
from pymodutils.optional import load_part
from tests.support.common import REPO
from tests.support.koforge import Ko, pkcs7, signature


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("kernel/fs/btrfs/btrfs.ko.xz", "btrfs"),
        ("snd-hda-intel", "snd_hda_intel"),
        ("a/b.c/x-y.ko", "x_y"),
        ("loop.ko", "loop"),
        ("", ""),
    ],
)
def test_module_name(path: str, name: str) -> None:
    assert module_name(path) == name


@pytest.mark.parametrize(
    ("alias", "normal"),
    [("a-b", "a_b"), ("a-[b-c]-d", "a_[b-c]_d"), ("[-][-]-", "[-][-]_"), ("[-[-]-", "[-[-]_"), ("pci:*", "pci:*")],
)
def test_normalize_alias(alias: str, normal: str) -> None:
    assert normalize_alias(alias) == normal


@pytest.mark.parametrize("alias", ["a[", "a]", "[a][b", "]a[", "[a]]"])
def test_unmatched_brackets(alias: str) -> None:
    with pytest.raises(NameSyntaxError):
        normalize_alias(alias)


@given(st.binary())
def test_any_bytes_survive_decoding(data: bytes) -> None:
    assert encode(decode(data)) == data


LIBC = ctypes.CDLL(None)


def libc_fnmatch(pattern: str, text: str) -> bool:
    result: int = LIBC.fnmatch(pattern.encode(), text.encode(), 0)
    return result == 0


@given(st.text(alphabet="ab]*?[!^x", max_size=8), st.text(alphabet="ab]x*[!", max_size=8))
@example("[a-c]x", "bx")
@example("[!a-c]x", "bx")
@example("[a-]", "-")
@example("[c-a]", "b")
@example("[]a]", "]")
@example("[!]a]", "]")
def test_fnmatch_agrees_with_libc(pattern: str, text: str) -> None:
    assert fnmatch(pattern, text) == libc_fnmatch(pattern, text)


@given(st.text(alphabet="ab*?\\", max_size=8), st.text(alphabet="ab*\\", max_size=8))
def test_fnmatch_agrees_with_libc_about_backslashes(pattern: str, text: str) -> None:
    assert fnmatch(pattern, text) == libc_fnmatch(pattern, text)


@pytest.mark.parametrize("name", ["alnum", "alpha", "blank", "cntrl", "digit", "graph", "lower", "punct", "xdigit"])
def test_character_classes_agree_with_libc(name: str) -> None:
    for char in map(chr, range(1, 127)):
        assert fnmatch(f"[[:{name}:]_]", char) == libc_fnmatch(f"[[:{name}:]_]", char)


def test_fnmatch_takes_no_exponential_time() -> None:
    assert not fnmatch("*a" * 60 + "b", "a" * 4000)


PLAIN = bytes(range(256)) * 200
PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "xz": lambda data: lzma.compress(data, check=lzma.CHECK_CRC32),
    "zstd": lambda data: zstandard.ZstdCompressor().compress(data),
}
packers = pytest.mark.parametrize("kind", PACKERS)


@packers
def test_decompress(kind: str) -> None:
    packed = PACKERS[kind](PLAIN)
    assert compression.detect(packed[:6]) == kind
    assert compression.decompress(packed) == PLAIN


@packers
def test_concatenated_parts_are_one(kind: str) -> None:
    assert compression.decompress(PACKERS[kind](PLAIN) + PACKERS[kind](b"tail")) == PLAIN + b"tail"


@packers
@pytest.mark.parametrize("keep", [8, 100, -1])
def test_truncated_parts_are_errors(kind: str, keep: int) -> None:
    with pytest.raises(CompressionError):
        compression.decompress(PACKERS[kind](PLAIN)[:keep])


@packers
def test_a_bomb_is_an_error(kind: str) -> None:
    bomb = PACKERS[kind](bytes(64 << 20))
    with pytest.raises(CompressionError, match="more than"):
        compression.decompress(bomb, limit=1 << 20)


@packers
def test_the_limit_itself_is_allowed(kind: str) -> None:
    assert len(compression.decompress(PACKERS[kind](PLAIN), limit=len(PLAIN))) == len(PLAIN)


def test_only_the_core_of_zstandard_is_imported() -> None:
    code = "from pymodutils.formats.compression import decompress; import sys; sys.stdout.buffer.write(decompress("
    code += "sys.stdin.buffer.read())); sys.exit('typing' in sys.modules)"
    start = f"import sys; sys.path.append({str(REPO)!r}); {code}"
    done = subprocess.run(["/usr/bin/python3", "-IS", "-c", start], input=PACKERS["zstd"](PLAIN), capture_output=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, PLAIN, b"")


def test_zstandard_in_another_shape_is_imported_as_a_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_part("zstandard", "no_such_part") is None
    assert load_part("no_such_package", "part") is None
    monkeypatch.setattr(compression, "load_part", lambda *_: None)
    assert compression.zstandard_library() is zstandard
    assert compression.decompress(PACKERS["zstd"](PLAIN)) == PLAIN


def test_zstd_without_content_size() -> None:
    packed = zstandard.ZstdCompressor(write_content_size=False).compress(PLAIN)
    assert compression.decompress(packed) == PLAIN


@packers
@given(data=st.data())
def test_damaged_compression_gives_a_typed_error(kind: str, data: st.DataObject) -> None:
    packed = bytearray(PACKERS[kind](PLAIN))
    packed[data.draw(st.integers(0, len(packed) - 1))] = data.draw(st.integers(0, 255))
    try:
        compression.decompress(bytes(packed), limit=1 << 20)
    except Error:
        pass


def test_pkcs7_signature() -> None:
    found = read_signature(BytesSource(Ko(trailer=signature(pkcs7())).bytes()))
    assert found
    assert (found.id_type, found.signer, found.key_id, found.hash) == ("PKCS#7", "A key", b"\x66\xf5\x4e", "sha256")
    assert found.signature == b"S" * 256


def test_other_forms_go_to_the_library() -> None:
    info = cms.ContentInfo.load(pkcs7())
    info["content"]["certificates"] = []
    info["content"]["signer_infos"].append(info["content"]["signer_infos"][0].copy())
    data = info.dump(force=True)
    assert read_signer_info(data) is None
    found = read_signature(BytesSource(Ko(trailer=signature(data)).bytes()))
    assert found
    assert (found.signer, found.hash) == ("A key", "sha256")


def test_undecodable_pkcs7() -> None:
    found = read_signature(BytesSource(Ko(trailer=signature(b"garbage")).bytes()))
    assert found
    assert (found.id_type, found.signer, found.key_id, found.hash) == ("PKCS#7", None, None, None)


def test_pgp_signature() -> None:
    trailer = signature(b"sig", id_type=0, algo=1, hash_id=4, signer=b"Me", key_id=b"\x01\x02")
    found = read_signature(BytesSource(Ko(trailer=trailer).bytes()))
    assert found
    assert found == Signature(id_type="PGP", signer="Me", key_id=b"\x01\x02", hash="sha256", signature=b"sig")


def test_unsigned() -> None:
    assert read_signature(BytesSource(Ko().bytes())) is None


@pytest.mark.parametrize("trailer", [signature(b"")[-28:], b"\xff" * 12 + signature(b"")[-28:], signature(b"")])
def test_damaged_signature_trailer(trailer: bytes) -> None:
    with pytest.raises(SignatureError):
        read_signature(BytesSource(trailer))


@given(st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), min_size=1, max_size=4))
@example([(pkcs7().index(b"\x66\xf5\x4e"), 0x99)])  # a negative serial number
def test_own_der_reader_never_contradicts_the_library(changes: list[tuple[int, int]]) -> None:
    data = bytearray(pkcs7())
    for place, value in changes:
        data[place % len(data)] = value
    ours = read_signer_info(bytes(data))
    if ours is None:
        return
    try:
        info = cms.ContentInfo.load(bytes(data), strict=True)["content"]["signer_infos"][0]
        serial = abs(info["sid"].chosen["serial_number"].native)
        theirs = (serial.to_bytes((serial.bit_length() + 7) // 8, "big"), info["signature"].native)
    except (ValueError, TypeError, KeyError):
        return  # the library refuses parts that ours does not look at
    assert (ours.key_id, ours.signature) == theirs


@given(st.binary(max_size=200))
def test_random_signatures(data: bytes) -> None:
    for source in (data, data + b"~Module signature appended~\n"):
        try:
            read_signature(BytesSource(source))
        except FormatError:
            pass


def test_parameters_join_both_strings() -> None:
    strings = parse_modinfo(b"parmtype=a:int\0parm=b:second\0parm=a:first: really\0parmtype=c:bool\0parm=bad\0")
    malformed: list[Field] = []
    assert parse_parameters(strings, malformed.append) == [
        Parameter("a", "int", "first: really"),
        Parameter("b", None, "second"),
        Parameter("c", "bool", None),
    ]
    assert malformed == [Field("parm", "bad")]
    assert len(parse_parameters(strings)) == 3


def test_softdep() -> None:
    assert parse_softdep("lost pre: a b post: c pre: d").as_dict() == {"pre": ["a", "b", "d"], "post": ["c"]}


PROC = b"""loop 40960 2 - Live 0xffffffffc0a00000
btrfs 1785856 1 a,b,[permanent], Loading 0x0 (OE)
old 100 - -
gone 10 0 - Unloading 0x0
"""


def test_a_module_that_is_being_unloaded_has_no_users() -> None:
    (module,) = parse_proc_modules(b"going 1 -1 - Unloading 0x0\n")
    assert (module.refcount, module.state) == (0, "going")


def test_a_module_that_the_kernel_shows_twice_counts_once() -> None:
    """As happens when another one is loaded between two pages of /proc/modules."""
    lines = b"new 1 0 - Live 0x0\nold 2 0 - Live 0x0\nold 2 0 - Live 0x0\nlast 3 0 - Live 0x0\n"
    assert [module.name for module in parse_proc_modules(lines)] == ["new", "old", "last"]


def test_a_state_that_no_kernel_writes_is_not_known() -> None:
    (module,) = parse_proc_modules(b"a 1 0 - Liee 0x0\n")
    assert module.state == "unknown"


def test_proc_modules_of_linux_2_4() -> None:
    lines = (
        b"iptable_filter          1728   0 (unused)\n"
        b"ip_tables              12928   4 [iptable_filter iptable_nat]\n"
        b"soundcore               4208   2 (autoclean) [sb]\n"
        b"8139too                16448   1\n"
    )
    assert [(module.name, module.size, module.refcount, module.holders) for module in parse_proc_modules(lines)] == [
        ("iptable_filter", 1728, 0, ()),
        ("ip_tables", 12928, 4, ("iptable_filter", "iptable_nat")),
        ("soundcore", 4208, 2, ("sb",)),
        ("8139too", 16448, 1, ()),
    ]


def test_a_module_that_only_a_permanent_reference_holds() -> None:
    (module,) = parse_proc_modules(b"unix 40960 1 [permanent], Live 0x0\n")
    assert (module.holders, module.permanent, module.state) == ((), True, "live")


def test_proc_modules() -> None:
    loop, btrfs, old, gone = parse_proc_modules(PROC)
    assert (loop.name, loop.size, loop.refcount, loop.holders, loop.address) == (
        "loop",
        40960,
        2,
        (),
        0xFFFFFFFFC0A00000,
    )
    assert (btrfs.holders, btrfs.permanent, btrfs.state, btrfs.taint) == (("a", "b"), True, "coming", "OE")
    assert (old.refcount, old.holders, old.state) == (None, (), "live")
    assert gone.state == "going"


@given(st.binary(max_size=120))
def test_random_proc_modules(data: bytes) -> None:
    try:
        parse_proc_modules(data)
    except FormatError:
        pass


def test_builtin_modinfo_forms_agree() -> None:
    data = b"a.license=GPL\0ab.license=MIT\0a.parm=x:y\0nodot\0"
    assert builtin_fields(data, "a") == parse_builtin_modinfo(data)["a"]
    assert [f.value for f in builtin_fields(data, "a")] == ["GPL", "x:y"]
    assert builtin_fields(data, "b") == []


def test_dep_and_devname_lines() -> None:
    assert parse_dep_line("kernel/a.ko: kernel/b.ko kernel/c.ko") == ("kernel/a.ko", ["kernel/b.ko", "kernel/c.ko"])
    assert parse_dep_line("kernel/a.ko:") == ("kernel/a.ko", [])
    assert parse_dep_line("nonsense") is None
    node = parse_devname_line("snd_timer snd/timer c116:33")
    assert node
    assert (node.kind, node.major, node.minor) == ("c", 116, 33)


@pytest.mark.parametrize("line", ["a b", "a b x1:2", "a b c1", "a b c1:x", "a b c-1:2", ""])
def test_bad_devname_lines(line: str) -> None:
    assert parse_devname_line(line) is None


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        (b"a b\n#c\n\nd\n", [(1, "a b"), (4, "d")]),
        (b"a \\\nb\nc", [(2, "a b"), (3, "c")]),
        (b"# comment \\\nswallowed\nx\n", [(3, "x")]),
        (b"C:\\dir\n", [(1, "C:dir")]),
        (b"a\\\\\nb\n", [(1, "a\\"), (2, "b")]),
        (b"end\\", [(1, "end")]),
        (b"  # indented\n", [(1, "  # indented")]),
    ],
)
def test_logical_lines(data: bytes, lines: list[tuple[int, str]]) -> None:
    assert list(logical_lines(data)) == lines


def test_fields_keep_the_rest() -> None:
    assert fields(" options  a\tx=1  y=2 ", 2) == ["options", "a", "x=1  y=2 "]
    assert fields("") == []


@given(st.text(alphabet=string.printable))
def test_fields_never_hold_blanks(text: str) -> None:
    assert all(word and not set(word) & set(" \t") for word in fields(text))
