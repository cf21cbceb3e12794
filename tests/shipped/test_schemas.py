# SPDX-License-Identifier: LGPL-2.1-or-later
"""The JSON Schema files: what the commands print is as they say, and they say all of it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator, ValidationError

from pymodutils import Context
from pymodutils.cli import registry
from tests.support.common import REPO, run_inside
from tests.support.forgedsystem import RELEASE, forge_system, needing
from tests.support.koforge import Ko, pkcs7, signature
from tests.support.schemas import SCHEMAS, check_document

FILES = sorted(SCHEMAS.glob("*.json"))


def references(value: Any) -> list[str]:
    if isinstance(value, list):
        return [reference for item in value for reference in references(item)]
    if not isinstance(value, dict):
        return []
    own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
    return own + [reference for item in value.values() for reference in references(item)]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_files_are_valid_schemas(path: Path) -> None:
    schema = json.loads(path.read_text())
    Draft202012Validator.check_schema(schema)
    assert schema["$id"] == path.name
    for reference in references(schema):
        name, _, place = reference.partition("#/$defs/")
        target = json.loads((SCHEMAS / name).read_text()) if name else schema
        assert place in target["$defs"], reference


def test_every_document_has_a_schema() -> None:
    headings = re.findall(r"(?m)^## (?:kmod )?([\w-]+).*--json", (REPO / "docs/json.md").read_text())
    assert {f"{heading}.json" for heading in headings} == {path.name for path in FILES} - {
        "common.json",
        "records.json",
    }
    assert set(headings) >= {"lsmod", "modinfo", "modprobe", "depmod"}
    assert set(headings) <= {command.name for command in registry.COMMANDS}


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Context:
    modules = {
        "low": needing("low", strings=["alias=pci:v1d*"]),
        "high": Ko(
            modinfo=["license=GPL", "name=high", "softdep=pre: low post: other", "parm=x:a number", "parmtype=x:int",
                     "parm=y:", "firmware=a.bin", "import_ns=NS", "author=\udcff", "weakdep=other", "intree=Y",
                     "vermagic=6.1 SMP", "version=1", "srcversion=AB", "description=d", "alias=al-*"],
            needs={"low_symbol": 1, "nobody_has_this": 2}, build_id=b"\1" * 20, trailer=signature(pkcs7()),
        ),
        "again": Ko(exports={"low_symbol": 1}),
    }  # fmt: skip
    roots = forge_system(
        tmp_path_factory.mktemp("system"),
        modules,
        builtin=["inside"],
        builtin_modinfo=b"inside.license=GPL\0",
        loaded={
            "low": "1 high, Live 0xffffffffc0a00000 (OE)",
            "high": "- - Loading 0x0",
            "last": "0 [permanent], Live 0x0",
        },
        files={"etc/modprobe.d/a.conf": "softdep high pre: nothing\ninstall again /bin/false\noptions low x=1\n"},
    )
    return Context(roots)


def output(command: str, words: list[str], system: Context) -> str:
    return run_inside(command, words, system.roots).out.decode()


def test_lsmod(system: Context) -> None:
    modules = check_document(output("lsmod", ["--json"], system), "lsmod")["modules"]
    assert [module["address"] for module in modules] == ["0xffffffffc0a00000", 0, 0]
    assert [module["state"] for module in modules] == ["live", "coming", "live"]


def test_modinfo(system: Context) -> None:
    modules = check_document(output("modinfo", ["--json", "high", "again", "inside"], system), "modinfo")["modules"]
    assert [module["builtin"] for module in modules] == [False, False, True]


@pytest.mark.parametrize(
    "words", ["-D high", "-n high", "-R al-1", "-nr high", "-D nothing", "-D inside", "-aD again low"]
)
def test_modprobe(system: Context, words: str) -> None:
    plans = check_document(output("modprobe", ["--json", *words.split()], system), "modprobe")["plans"]
    assert plans


@pytest.mark.parametrize("words", [[], ["-n"], ["-F"]])
def test_depmod(system: Context, tmp_path: Path, words: list[str]) -> None:
    if words == ["-F"]:
        (tmp_path / "System.map").write_text("0 T printk\n")
        words = ["-F", str(tmp_path / "System.map")]
    base = ["-b", system.roots.base, RELEASE]
    summary = check_document(output("depmod", ["--json", "-o", str(tmp_path), *words, *base], system), "depmod")
    assert summary["modules"] == 3 and summary["duplicate_symbols"]
    assert bool(summary["unresolved"]) == bool(words and words[0] == "-F")


def test_depmod_with_cycles(tmp_path: Path) -> None:
    folder = tmp_path / "lib/modules" / RELEASE
    for name, other in (("a", "b"), ("b", "a")):
        needing(name, other).write(folder / f"{name}.ko")
    (folder / "c.ko").write_text("no module")
    done = run_inside("depmod", ["--json", "-b", str(tmp_path), RELEASE])
    summary = check_document(done.out, "depmod")
    assert (done.status, summary["seconds"], len(summary["cycles"]), len(summary["broken"])) == (1, None, 1, 1)


def test_plans_of_the_library(system: Context) -> None:
    for plan in (system.plan_load("high", "x=1"), system.plan_unload("high"), system.plan_load("nothing")):
        assert check_document(plan.to_json(), "modprobe")["plans"]


def test_a_schema_tells_a_wrong_document(system: Context) -> None:
    document = json.loads(output("lsmod", ["--json"], system))
    document["modules"][0]["state"] = "Live"
    with pytest.raises(ValidationError):
        check_document(json.dumps(document), "lsmod")
    document["modules"][0]["state"] = "live"
    document["modules"][0]["more"] = 1
    with pytest.raises(ValidationError):
        check_document(json.dumps(document), "lsmod")
