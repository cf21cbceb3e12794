# SPDX-License-Identifier: LGPL-2.1-or-later
"""What `pymodutils.__all__` promises: types, records and names that hang together."""

from __future__ import annotations

import ast
import copy
import inspect
import json
import pickle
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest

import pymodutils
from pymodutils import Context, Diagnostic, Error, Record, Roots
from pymodutils.frozendict import FrozenDict
from pymodutils.json_text import render_line
from tests.support.common import REPO
from tests.support.fakekernel import FakeKernel
from tests.support.koforge import Ko, pkcs7, signature
from tests.support.schemas import SCHEMAS, validate_record

PUBLIC = {name: getattr(pymodutils, name) for name in pymodutils.__all__}
CLASSES = {name: value for name, value in PUBLIC.items() if isinstance(value, type)}
RECORDS = {name: value for name, value in CLASSES.items() if issubclass(value, Record)}
ALIASES = {"Name": "str | os.PathLike[str] | Match"}
"""Names of types that signatures use and nobody needs to import."""


# --- names


def classes_of_the_package() -> set[str]:
    found = set()
    for path in (REPO / "pymodutils").rglob("*.py"):
        found |= {node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ClassDef)}
    return found


def annotations_of(value: object) -> Iterator[str]:
    """The annotations of all public parameters, results and fields of a name."""
    if isinstance(value, type):
        for name, member in vars(value).items():
            if not name.startswith("_") or name == "__init__":
                yield from annotations_of(getattr(member, "__func__", member))
        if not issubclass(value, Error):
            yield from vars(value).get("__annotations__", {}).values()
    elif isinstance(value, property):
        yield from annotations_of(value.fget)
    elif inspect.isfunction(value):
        yield from value.__annotations__.values()


def test_no_public_signature_has_a_type_that_is_not_public() -> None:
    ours = classes_of_the_package()
    wrong = []
    for name, value in PUBLIC.items():
        for annotation in map(str, annotations_of(value)):
            text = " ".join(ALIASES.get(word, word) for word in annotation.split())
            words = {node.id for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name)}
            wrong += [f"{name}: {word}" for word in (words & ours) - PUBLIC.keys()]
    assert not wrong


def test_every_name_has_a_home_and_every_home_a_name() -> None:
    assert set(pymodutils._HOMES) == set(pymodutils.__all__)
    assert pymodutils.__all__ == sorted(pymodutils.__all__)
    for old, new in pymodutils._RENAMED.items():
        assert old not in PUBLIC and new in PUBLIC


@pytest.mark.parametrize("old", pymodutils._RENAMED)
def test_names_of_former_times_still_work_and_say_so(old: str) -> None:
    new = pymodutils._RENAMED[old]
    with pytest.warns(DeprecationWarning, match=f"pymodutils.{old} is now {new}"):
        assert getattr(pymodutils, old) is PUBLIC[new]


def test_importing_the_package_imports_nothing_else() -> None:
    program = (
        "import sys; before = set(sys.modules); import pymodutils; "
        "print(sorted(name for name in set(sys.modules) - before if name != 'pymodutils'))"
    )
    done = subprocess.run([sys.executable, "-IS", "-c", f"import sys; sys.path.insert(0, {str(REPO)!r}); {program}"],
                          capture_output=True, text=True, check=True)  # fmt: skip
    assert done.stdout == "['__future__']\n"


# --- values


@pytest.fixture(scope="module")
def values(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Record]:
    """One value of each kind that a pretended system gives."""
    with pytest.MonkeyPatch.context() as patch:
        kernel = FakeKernel(tmp_path_factory.mktemp("system"), patch)
        kernel.tree({"a": [], "b": ["a"]}, builtin=["inside"], aliases="al*=b")
        strings: list[str | bytes] = ["license=GPL", "name=b", "depends=a", "softdep=pre: a", "parm=x:a number",
                                      "parmtype=x:int", "author=\udcff"]  # fmt: skip
        Ko(modinfo=strings, exports={"e": 1}, needs={"n": 2}, build_id=b"\1" * 20, trailer=signature(pkcs7())).write(
            kernel.path("b")
        )
        Context(kernel.roots).load("b")
        kernel.configure("options b x=1\nfrobnicate\nsoftdep b pre: nothing\ninstall a /bin/false\n")
        other = kernel.config.parent.parent / "usr/lib/modprobe.d"
        other.mkdir(parents=True)
        (other / "test.conf").touch()
        (kernel.modules / "modules.devname").write_text("b dev c1:2\n")
        system = Context(kernel.roots)
        (kernel.proc / "modules").write_text("b 1 0 - Live 0xffffffffc0a00000 (OE)\na 1 1 b, Live 0x0\n")
        (kernel.sys / "b/parameters").mkdir()
        (kernel.sys / "b/parameters/x").write_text("1\n")
        info, plan = system.info("b"), system.plan_load("al1", ignore_loaded=True)
        status, denied = system.status("b"), system.status("a")
        found: list[object] = [
            system.roots, system.loaded(), system.available(), system.lookup("al1"), info, plan, plan.missing, status,
            denied, system.config.rules, system.config.problems, system.config.shadowed, system.device_nodes(),
            system.unload("b"), pymodutils.status(system), pymodutils.config(system), pymodutils.lint(system),
        ]  # fmt: skip
        with system.open("b") as file:
            found += [file.exports(), file.sections()]
        job = pymodutils.IndexJob(str(kernel.modules), str(kernel.modules), "6.1", write=False)
        found += [job, pymodutils.update_indexes(job)]
        return {type(value).__name__: value for value in records_in(found)}


def records_in(value: object) -> Iterator[Record]:
    """A record and all that are in it, or in a list."""
    if isinstance(value, Record):
        yield value
        for name in value.__match_args__:
            yield from records_in(getattr(value, name))
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from records_in(item)


# Those that a pretended system has no example of; each is made by hand.
BY_HAND: dict[str, Record] = {
    "BrokenModule": pymodutils.BrokenModule("/p", "Invalid argument", "damaged"),
    "DuplicateModule": pymodutils.DuplicateModule("m", "/winner", "/loser"),
    "DuplicateSymbol": pymodutils.DuplicateSymbol("s", "winner", "loser"),
    "KernelTaint": pymodutils.KernelTaint(1, "P", ("proprietary module",)),
    "Place": pymodutils.Place("/f", 1, "blacklist x"),
    "Report": pymodutils.Report("verb", "6.1", "/", ()),
    "UnresolvedSymbol": pymodutils.UnresolvedSymbol("s", ("m",)),
}
NOT_VALUES = ("Record", "System")
"""The base of all, and one that holds open files."""


def record_names() -> list[str]:
    return sorted(RECORDS.keys() - NOT_VALUES)


SPELT = {"class": "family"}
"""Names of a document that are no names in Python."""

PLAIN: dict[str, object] = {
    "str": "text",
    "int": 1,
    "bool": True,
    "float": 1.5,
    "bytes": b"b",
    "None": None,
    "tuple": (),
}
PLAIN["FrozenDict"] = PLAIN["Mapping"] = FrozenDict({"key": "value"})


def made_of_its_types(name: str) -> Record:
    """A record with a value for each field by the first of its types."""
    values = []
    for parameter in inspect.signature(RECORDS[name]).parameters.values():
        first = re.split(r"[ |\[]", str(parameter.annotation))[0]
        values.append(PLAIN[first] if first in PLAIN else made_of_its_types(first))
    return RECORDS[name](*values)


@pytest.mark.parametrize("name", record_names())
def test_a_record_is_a_value(values: dict[str, Record], name: str) -> None:
    value = values.get(name) or BY_HAND.get(name) or made_of_its_types(name)
    field = value.__match_args__[0]
    with pytest.raises(AttributeError, match="cannot be changed"):
        setattr(value, field, None)
    with pytest.raises(AttributeError):
        delattr(value, field)
    for again in (copy.copy(value), copy.deepcopy(value), pickle.loads(pickle.dumps(value)), value.replace()):
        assert again == value and type(again) is type(value)
        assert hash(again) == hash(value)
    keys = [SPELT.get(key, key) for key in value.as_dict()]
    assert list(inspect.signature(type(value)).parameters) == list(value.__match_args__) == keys
    assert json.loads(json.dumps(value.as_dict())) == value.as_dict()
    document = json.loads(value.to_json())
    assert document.pop("schema") == "pymodutils/1"
    assert document
    schema = json.loads((SCHEMAS / "records.json").read_text())["$defs"].get(name)
    if schema:
        assert schema["required"] == list(schema["properties"]) == list(value.__match_args__)
        validate_record(name, document)
    unhashable = [part for part in value.__match_args__ if isinstance(getattr(value, part), (list, dict, set))]
    assert not unhashable


@pytest.mark.parametrize("name", record_names())
def test_no_field_of_a_record_can_be_changed(name: str) -> None:
    for field, parameter in inspect.signature(RECORDS[name]).parameters.items():
        words = {node.id for node in ast.walk(ast.parse(str(parameter.annotation))) if isinstance(node, ast.Name)}
        assert not words & {"list", "dict", "set", "bytearray", "Any", "object"}, field


def test_large_numbers_survive_in_json(values: dict[str, Record]) -> None:
    loaded = values["LoadedModule"].replace(address=0xFFFFFFFFC0A00000, size=1 << 53)
    assert loaded.as_dict()["address"] == 0xFFFFFFFFC0A00000
    document = json.loads(loaded.to_json())
    assert (document["address"], document["size"], document["permanent"]) == ("0xffffffffc0a00000", 1 << 53, False)
    line = render_line({"numbers": [1 << 53, (1 << 53) + 1, -(1 << 60), True]})
    assert json.loads(line)["numbers"] == [1 << 53, "0x20000000000001", "-0x1000000000000000", True]
    assert line.startswith('{"schema": "pymodutils/1", ') and line.count("\n") == 1


class Mixed(Record):
    """Values that JSON has no form for."""

    data: bytes
    names: frozenset[str]


def test_json_of_what_json_does_not_have() -> None:
    document = json.loads(Mixed(b"\1\xff", frozenset("ba")).to_json())
    assert document == {"schema": "pymodutils/1", "data": "01ff", "names": ["a", "b"]}


def test_the_name_of_a_signer_is_text(values: dict[str, Record]) -> None:
    assert json.loads(values["Signature"].to_json())["signer"] == "A key"
    assert json.loads(values["ModuleInfo"].to_json())["signature"]["signer"] == "A key"


def test_dictionaries_in_records_cannot_be_changed() -> None:
    parameters = FrozenDict({"x": "1", "y": None})
    assert parameters == {"x": "1", "y": None} and dict(parameters) == parameters and len(parameters) == 2
    assert hash(parameters) == hash(FrozenDict({"y": None, "x": "1"}))
    assert list(parameters) == ["x", "y"] and parameters.get("z") is None
    with pytest.raises(TypeError):
        parameters["x"] = "2"  # type: ignore[index]
    for again in (copy.deepcopy(parameters), pickle.loads(pickle.dumps(parameters))):
        assert again == parameters


def test_records_are_made_with_care() -> None:
    with pytest.raises(TypeError, match="has no field named colour"):
        Roots(colour="red")  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="takes 6 values"):
        Roots("", "", "", "", "", "", "")  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="two values for base"):
        Roots("", base="")  # type: ignore[misc]
    with pytest.raises(TypeError, match="needs a value for text"):
        Diagnostic("code", "error")  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="has no field named colour"):
        Roots().replace(colour="red")
    match Diagnostic("bad-line", "error", "text", line=3):
        case Diagnostic("bad-line", line=number):
            assert number == 3
        case _:
            pytest.fail("did not match")
