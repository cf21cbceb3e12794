# SPDX-License-Identifier: LGPL-2.1-or-later
"""Verbs of kmod on a real kernel: what they say is what the kernel shows, and what it does."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from pymodutils import module_info
from pymodutils.formats.parametervalues import refusal
from tests.support.schemas import check_document
from tests.vm import ownmodules
from tests.vm.cases import configure, hold, load
from tests.vm.harness import Guest, Result

TYPES = {
    "flag": "bool", "inverted": "invbool", "number": "int", "unsigned": "uint", "byte_number": "byte",
    "short_number": "short", "ushort_number": "ushort", "long_number": "long", "ulong_number": "ulong",
    "ullong_number": "ullong", "hex_number": "hexint", "text": "charp", "list": "array of int",
    "names": "array of charp",
}  # fmt: skip
"""Parameters of pmt_params and their types."""

VALUES = """
    0 1 -1 +1 2 y n Y N on off of o t f true 010 08 0x 0x10 0X1f ff g 127 128 255 256 32767 32768 -32768 -32769 65535
    65536
    2147483647 2147483648 -2147483648 -2147483649 4294967295 4294967296 9223372036854775807 9223372036854775808
    18446744073709551615 18446744073709551616 1,2 1,,2 1,x , 1x --1 +-1 0x-1 -0x1 1.5
""".split()


def kmod(guest: Guest, *words: str) -> Result:
    return guest.tool("ours", ["kmod", *words])


def status_of(guest: Guest, *names: str) -> tuple[int | None, dict[str, dict[str, Any]], dict[str, Any]]:
    """(exit status, the modules by name, the document)."""
    done = kmod(guest, "status", "--json", *names)
    document = check_document(done.stdout)
    return done.status, {module["name"]: module for module in document["modules"]}, document


def test_status_of_loaded_modules_is_what_the_kernel_and_lsmod_say(guest: Guest) -> None:
    for words in load("pmt_a", "pmt_b", "pmt_held", "pmt_params"):
        guest.run(words).check()
    hold(guest)
    done, found, document = status_of(guest)
    assert done == 0
    lines = [line.split(" ") for line in guest.run("cat /proc/modules").check().stdout.decode().splitlines()]
    assert list(found) == [line[0] for line in lines]
    for name, size, count, holders, state, _address, *taint in lines:
        module = found[name]
        assert (module["size"], module["refcount"], module["state"]) == (int(size), int(count), state.lower())
        assert module["holders"] == [holder for holder in holders.split(",") if holder not in ("", "-")]
        assert module["taint"]["flags"] == "".join(taint).strip("()")
        assert module["permanent"] is False
    listed = guest.tool("kmod34", ["lsmod"]).check().stdout.decode().splitlines()[1:]
    for line in listed:
        name, size, count, *by = line.split()
        module = found[name]
        assert [str(module["size"]), str(module["refcount"]), ",".join(module["holders"])] == [
            size,
            count,
            *(by or [""]),
        ]
    tainted = int(guest.run("cat /proc/sys/kernel/tainted").check().stdout)
    assert document["kernel_taint"]["value"] == tainted
    assert set("OE") <= set(document["kernel_taint"]["flags"])
    assert found["pmt_params"]["parameters"]["number"] == "1"
    assert found["pmt_held"]["refcount"] == 1


def test_states_on_a_real_kernel(guest: Guest) -> None:
    guest.run(load("pmt_a")[0]).check()
    builtin = guest.run("head -1 /lib/modules/*/modules.builtin").check().stdout.decode()
    name = re.sub(r"\..*", "", builtin.strip().rpartition("/")[2]).replace("-", "_")
    done, found, _ = status_of(guest, "pmt-a", name, "pmt_b", "pmt_aa")
    assert {module["name"]: module["state"] for module in found.values()} == {
        "pmt_a": "live", name: "builtin", "pmt_b": "available", "pmt_aa": "absent",
    }  # fmt: skip
    assert "pmt_a" in found["pmt_aa"]["similar"]
    assert done == 1
    assert status_of(guest, "pmt_a", name)[0] == 0


def test_status_sees_that_a_loaded_module_is_another_build(guest: Guest) -> None:
    guest.run(load("pmt_a")[0]).check()
    file = ownmodules.build(guest.kernel) / "pmt_a.ko"
    build_id = module_info(file).build_id or b""
    content = file.read_bytes()
    assert content.count(build_id) == 1
    other = guest.put("/tmp/pmt_a.ko", content.replace(build_id, build_id[::-1]))
    _, found, _ = status_of(guest, guest.own("pmt_a"))
    assert (found["pmt_a"]["stale"], found["pmt_a"]["build_id"]) == (False, build_id.hex())
    _, found, _ = status_of(guest, other)
    assert found["pmt_a"]["stale"] is True


@pytest.mark.one_kernel
def test_status_without_a_tree_asks_the_kernel(guest: Guest) -> None:
    guest.run(load("pmt_a")[0]).check()
    done, found, document = status_of(guest, "-m", "/nowhere", "pmt_a", "tmpfs", "printk", "nothing_of_the_kind")
    states = {name: module["state"] for name, module in found.items()}
    assert states == {"pmt_a": "live", "tmpfs": "builtin", "printk": "builtin", "nothing_of_the_kind": "unknown"}
    assert [error["subject"] for error in document["errors"]] == ["nothing_of_the_kind"]
    assert done == 2


DENIALS = [
    "install pmt_b /bin/false", "install pmt_b /bin/true", "blacklist pmt_b", "install pmt_* /bin/false",
    "softdep pmt_b pre: pmt_c\ninstall pmt_b /bin/false", "softdep pmt_b pre: nowhere\ninstall pmt_b /bin/false",
    "softdep pmt_b pre:\ninstall pmt_b /bin/false\nblacklist pmt_b",
    "install pmt-b /sbin/modprobe --ignore-install pmt_b",
]  # fmt: skip


@pytest.mark.parametrize("text", DENIALS)
def test_status_says_denied_of_what_modprobe_does_not_load(guest: Guest, text: str) -> None:
    configure(text + "\n")(guest)
    denied = status_of(guest, "pmt_b")[1]["pmt_b"]["denied"]
    guest.tool("kmod34", ["modprobe", "pmt_b"])
    loaded = "pmt_b" in guest.run("true").modules
    assert loaded is not denied


def test_what_lint_says_of_values_is_what_the_kernel_does(guest: Guest) -> None:
    """Each value for each type of parameter: the kernel takes it, or refuses the module."""
    pairs = [(name, value) for name in TYPES for value in VALUES]
    code = f"""
import json
taken = []
for name, value in [(name, value) for name in {list(TYPES)!r} for value in {VALUES!r}]:
    try:
        load({guest.own("pmt_params")!r}, f"{{name}}={{value}}")
    except OSError:
        taken.append(False)
    else:
        taken.append(True)
        unload("pmt_params")
print(json.dumps(taken))
"""
    taken = json.loads(guest.python(code, timeout=300).check().stdout)
    wrong = [
        f"{name}={value} ({TYPES[name]}): the kernel {'takes' if is_taken else 'refuses'} it"
        for (name, value), is_taken in zip(pairs, taken, strict=True)
        if is_taken is not (refusal(TYPES[name], value) is None)
    ]
    assert wrong == []
    assert {True, False} == set(taken)


def test_lint_finds_what_keeps_a_module_from_loading(guest: Guest) -> None:
    text = "options pmt_params number=many\noptions pmt_params no_such=1\noptions pmt_params called=3\n"
    configure(text)(guest)
    done = kmod(guest, "lint", "--json")
    document = check_document(done.stdout)
    assert [(finding["line"], finding["level"], finding["rule"]) for finding in document["findings"]] == [
        (1, "error", "bad-value"), (2, "warning", "unknown-parameter"),
    ]  # fmt: skip
    assert done.status == 1
    refused = guest.tool("kmod34", ["modprobe", "pmt_params"])
    assert refused.status == 1 and "pmt_params" not in refused.modules
    assert any("invalid for parameter `number'" in line for line in refused.log)
    configure(text.partition("\n")[2])(guest)
    passed_over = guest.tool("kmod34", ["modprobe", "pmt_params"]).check()
    assert any("unknown parameter 'no_such' ignored" in line for line in passed_over.log)


@pytest.mark.one_kernel
def test_config_reads_the_command_line_of_the_running_kernel(guest: Guest) -> None:
    configure("blacklist pmt_a\n")(guest)
    done = kmod(guest, "config", "--json", "pmt_a")
    document = check_document(done.stdout)
    (rule,) = document["rules"]
    assert (rule["kind"], rule["file"], rule["line"], rule["effective"]) == (
        "blacklist", "/etc/modprobe.d/test.conf", 1, True,
    )  # fmt: skip
    words = guest.run("cat /proc/cmdline").check().stdout.decode().split()
    options = {word for word in words if re.match(r"[a-z_]+\.[a-z_]+=", word)}
    rules = check_document(kmod(guest, "config", "--json").stdout)["rules"]
    shown = {f"{rule['key']}.{rule['value']}" for rule in rules if rule["file"] == "/proc/cmdline"}
    assert options <= shown
