# SPDX-License-Identifier: LGPL-2.1-or-later
"""kmod graph and kmod symbols on a real kernel: what they say is what the kernel shows."""

from __future__ import annotations

from tests.support.schemas import check_document
from tests.vm.cases import load
from tests.vm.harness import Guest


def test_the_graph_of_loaded_modules_is_that_of_proc_modules(guest: Guest) -> None:
    for words in load("pmt_a", "pmt_b", "pmt_c", "pmt_params"):
        guest.run(words).check()
    document = check_document(guest.tool("ours", ["kmod", "graph", "--json", "--devices"]).check().stdout)
    lines = [line.split(" ") for line in guest.run("cat /proc/modules").check().stdout.decode().splitlines()]
    modules = {node["name"]: node for node in document["nodes"] if node["state"] != "device"}
    assert {name: module["size"] for name, module in modules.items()} == {line[0]: int(line[1]) for line in lines}
    shown = {(user, line[0]) for line in lines for user in line[3].split(",") if user not in ("", "-")}
    drawn = {(edge["from"], edge["to"]) for edge in document["edges"] if edge["kind"] == "dependency"}
    assert {("pmt_c", "pmt_b"), ("pmt_b", "pmt_a")} <= drawn <= shown
    for user, used in shown - drawn:  # what is left out follows from the rest
        assert used in _reachable(user, drawn)
    assert modules["pmt_a"]["taint"]["flags"] == "OE"


def _reachable(start: str, arrows: set[tuple[str, str]]) -> set[str]:
    found = {start}
    while more := {target for source, target in arrows if source in found} - found:
        found |= more
    return found


def test_symbols_are_those_of_kallsyms(guest: Guest) -> None:
    for words in load("pmt_a", "pmt_b"):
        guest.run(words).check()
    document = check_document(
        guest.tool("ours", ["kmod", "symbols", "--json", "pmt_a_value", "pmt_a_gpl_value", "_printk"]).check().stdout
    )
    plain, gpl, printk = document["symbols"]
    assert (plain["module"], plain["gpl"], plain["users"]) == ("pmt_a", False, ["pmt_b"])
    assert (gpl["gpl"], gpl["exported"]) == (True, True)
    assert (printk["module"], printk["exported"]) in (("vmlinux", True), ("vmlinux", None))
    lines = guest.run("grep -w 'pmt_a_value\\|_printk' /proc/kallsyms").check().stdout.decode().splitlines()
    shown = {line.split()[2]: f"0x{int(line.split()[0], 16):x}" for line in lines}
    assert (plain["address"], printk["address"]) == (shown["pmt_a_value"], shown["_printk"])
    nearest = check_document(
        guest.tool("ours", ["kmod", "symbols", "--json", f"{int(shown['_printk'], 16) + 3:#x}"]).check().stdout
    )["symbols"][0]
    assert (nearest["name"], nearest["module"], nearest["offset"]) == ("_printk", "vmlinux", 3)
    hidden = guest.run(["/opt/pymodutils/bin/kmod", "symbols", "--json", "pmt_a_value"], uid=1000).check()
    assert check_document(hidden.stdout)["hidden"] is True
