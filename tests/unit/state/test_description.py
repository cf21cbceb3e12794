# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the library says of a module, and what it reads for that."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from pymodutils import Field, ModuleFile, Parameter, Softdep
from pymodutils.state.description import ModuleInfo, describe_builtin, describe_file
from tests.support.common import replace_call
from tests.support.koforge import Ko, signature

STRINGS = [
    "version=1.0",
    "license=GPL",
    "license=MIT",
    "alias=pci:v*-d*",
    "alias=a-b",
    "author=A",
    "depends=snd-pcm,b",
    "depends=c",
    "softdep=pre: crypto-x of:[a-z]-y post: z-1",
    "softdep=post: bad[-",
    "weakdep=w-1,w2",
    "weakdep=w-3",
    "import_ns=DMA_BUF",
    "firmware=a/b-c.bin",
    "intree=Y",
    "parmtype=p:int",
    "parm=p:text",
    "odd",
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    trailer = signature(b"s" * 9, id_type=0, signer=b"J\xf6", key_id=b"\1\2")
    text = {b".text": bytes(1 << 14)}
    return Ko(modinfo=list(STRINGS), build_id=b"i" * 20, trailer=trailer, extra_sections=text).write(
        tmp_path / "a-b.ko"
    )


def describe(path: Path, *fields: str) -> ModuleInfo:
    with ModuleFile(path) as module:
        return describe_file(module, fields or None)


def test_names_of_other_modules_have_underscores(path: Path) -> None:
    info = describe(path)
    assert info.name == "a_b"
    assert info.depends == ("snd_pcm", "b")  # of several the first counts, as for the kernel's build
    assert info.softdeps == Softdep(("crypto_x", "of:[a-z]_y"), ("z_1", "bad[-"))
    assert info.weakdeps == ("w_1", "w2", "w_3")
    assert info.aliases == ("pci:v*-d*", "a-b")
    assert info.raw[6] == Field("depends", "snd-pcm,b")
    assert info.firmware == ("a/b-c.bin",)


def test_the_first_of_several_counts(path: Path) -> None:
    info = describe(path)
    assert (info.version, info.license, info.vermagic) == ("1.0", "GPL", None)
    assert (info.intree, info.staging, info.retpoline) == (True, False, False)
    assert info.parameters == (Parameter("p", "int", "text"),)
    assert info.import_ns == ("DMA_BUF",)
    assert len(info.raw) == len(STRINGS)
    assert info.signature and info.signature.signer == "J\udcf6"


def test_descriptions_can_be_kept_in_sets_and_written_as_json(path: Path) -> None:
    info = describe(path)
    assert {info, describe(path)} == {info}
    document = json.loads(info.to_json())
    assert document["softdeps"] == {"pre": ["crypto_x", "of:[a-z]_y"], "post": ["z_1", "bad[-"]}
    assert document["signature"]["signer"] == "J\udcf6"
    assert document["signature"]["key_id"] == "0102"
    assert document["build_id"] == (b"i" * 20).hex()
    assert list(document) == ["schema", *ModuleInfo.__match_args__]


ALWAYS = {"name", "filename", "builtin", "compression"}
EMPTY = ModuleInfo("a_b", "", False, None)


@pytest.mark.parametrize("field", sorted(set(ModuleInfo.__match_args__) - ALWAYS))
def test_a_single_field(path: Path, field: str) -> None:
    whole, part = describe(path), describe(path, field)
    assert getattr(part, field) == getattr(whole, field)
    for name in set(ModuleInfo.__match_args__) - ALWAYS - {field}:
        assert getattr(part, name) == getattr(EMPTY, name)
    assert (part.name, part.filename, part.builtin) == ("a_b", str(path), False)


def test_what_is_not_asked_for_is_not_read(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, counts = os.pread, {}
    for field in ("name", "signature", "build_id", "firmware", ""):
        reads: list[int] = []

        def pread(fd: int, size: int, at: int, reads: list[int] = reads) -> bytes:
            reads.append(at)
            return real(fd, size, at)

        with monkeypatch.context() as patch:
            replace_call(patch, "pread", pread)
            describe(path, *([field] if field else []))
        counts[field] = len(reads)
    # The beginning; then the section table with what stands around it, and a section; or the trailer and the signature.
    assert counts == {"name": 1, "signature": 3, "build_id": 3, "firmware": 3, "": 4}


def test_a_file_without_strings_can_be_asked_for_the_rest(tmp_path: Path) -> None:
    path = Ko(modinfo=None, build_id=b"i" * 20).write(tmp_path / "a.ko")  # type: ignore[arg-type]
    assert describe(path, "build_id", "signature").build_id == b"i" * 20


def test_a_field_that_there_is_not(path: Path) -> None:
    with pytest.raises(ValueError, match="no field named licence, nothing"):
        describe(path, "license", "licence", "nothing")
    with pytest.raises(ValueError, match="licence"):
        describe_builtin("a", [], ["licence"])


def test_builtin_modules() -> None:
    strings = [Field("license", "GPL"), Field("parm", "a:b")]
    info = describe_builtin("core", strings)
    assert (info.name, info.filename, info.builtin, info.license) == ("core", None, True, "GPL")
    assert info.parameters == (Parameter("a", None, "b"),)
    assert info.raw == tuple(strings)
    assert describe_builtin("core", strings, ["license"]).parameters == ()
