# SPDX-License-Identifier: LGPL-2.1-or-later
"""What `kmod check` says, and what the kernel then lets in: by every door, with the real kmod and with ours."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from pymodutils import Context, Roots
from tests.support import assets
from tests.vm import image
from tests.vm.harness import Guest, boot

FULL = os.environ.get("PYMODUTILS_DOORS") == "full"
"""All modules that ship softdeps and thirty others, in place of a few: takes most of an hour for each kernel."""

VARIANTS = {
    "nothing": "",
    "blacklist": "blacklist NAME\n",
    "install": "install NAME /bin/false\n",
    "both": "install NAME /bin/false\nblacklist NAME\n",
    "softdep": "softdep NAME pre:\n",
    "three lines": "softdep NAME pre:\ninstall NAME /bin/false\nblacklist NAME\n",
    "deny": "DENY",
}
"""What modprobe.d says about a module; the kernel's own `module_blacklist=` is another boot."""

FEW = ["sctp", "libcrc32c", "vfat"]
SHORT_VARIANTS = ("blacklist", "install", "deny")
OTHERS = (
    "loop dummy veth tun bridge 8021q zram vfat isofs squashfs overlay fuse nbd sctp tcp_bbr nf_tables e1000 "
    "usb_storage binfmt_misc pcspkr softdog can_raw wireguard vxlan macvlan dccp tipc rds l2tp_ppp udf cramfs hfs "
    "minix ufs atm appletalk algif_hash algif_skcipher"
).split()
STAYING = ("sctp",)
"""Modules that hold themselves once they are loaded."""

GUEST_PROGRAM = "/opt/doors.py"
LIMIT = 3 * 3600 if FULL else 600


def modules_with_softdeps(context: Context) -> list[str]:
    """Modules that ship soft dependencies."""
    return sorted(name for name in {rule.key for rule in context.config.of("softdep")} if context.tree.find(name))


def softdep_targets_of(context: Context, name: str) -> set[str]:
    """Modules that a module's soft dependencies stand for."""
    rule = context.config.softdep(name)
    wanted = [text for part in rule.softdeps() for text in part] if rule else []
    return {found.name for text in wanted for found in context.lookup(text)}


def tree_of(kernel: str) -> Context:
    roots = Roots(base=str(assets.module_tree(kernel)), release=assets.release(kernel))
    return Context(roots, config=["/nowhere"])


def chosen(kernel: str) -> list[str]:
    with tree_of(kernel) as context:
        return [*modules_with_softdeps(context), *OTHERS] if FULL else FEW


def boot_with(kernel: str, modules: list[str], cmdline: str = "") -> Guest:
    """Boot with modules, all that they need, and one that depends on each of them."""
    with tree_of(kernel) as context:
        dependents = {name: module.name for module in context.available() for name in module.dependency_names}
        needed = (context.tree.find(module) for module in modules)
        with_softdeps = {*modules, *(name for module in needed if module for name in module.dependency_names)}
        wanted = {name for module in with_softdeps for name in softdep_targets_of(context, module)}
    modules = [*modules, *wanted, *(dependents[name] for name in modules if name in dependents)]
    guest = boot(
        kernel,
        [*modules, "af_alg", "algif_hash", "algif_skcipher", "algif_aead", "algif_rng"],
        cmdline=cmdline,
        limit=LIMIT + 600,
        extra=[image.boot_programs_archive()],
    )
    guest.put(GUEST_PROGRAM, Path(__file__).with_name("doors.py").read_bytes())
    return guest


def ask(guest: Guest, modules: list[str], variants: dict[str, str], *, refused: bool = False) -> list[dict[str, Any]]:
    """Try the doors of some modules in the guest, each under all variants; `refused` by the kernel itself."""
    tools = ["kmod34", "ours"]
    staying = [] if refused else list(STAYING)
    job = {"modules": modules, "configuration": variants, "tools": tools, "refused": refused, "staying": staying}
    done = guest.run(
        ["/usr/bin/python3.11", "-IS", GUEST_PROGRAM], stdin=json.dumps(job).encode(), timeout=LIMIT
    ).check()
    return [json.loads(line) for line in done.stdout.decode().splitlines()]


DOORS = ("by_name", "by_alias", "as_dependency", "as_softdep", "udev", "modules_load", "insmod")


def wrong(result: dict[str, Any]) -> list[str]:
    """What `check` said that was not so."""
    name, said = result["module"], result["said"]
    where = f"{name}, {result['variant']}"
    if "stuck" in result["came"]:
        return [f"{where}: could not unload {result['came']['stuck']}"]
    found = []
    for door in DOORS:
        for tool, came in result["came"].get(door, {}).items():
            told = said["doors"][door]
            if told["open"] is not (name in came):
                found.append(f"{where}, {door}, {tool}: said {told['open']} ({told['by']}), came {came}")
            missing = set(told["side_loads"]) - set(came) - set(result["unable"])
            if not told["open"] and missing and door != "udev":
                found.append(f"{where}, {door}, {tool}: side loads {missing} did not come: {came}")
    closed = [said["doors"][door]["open"] is False for door in DOORS if door != "insmod"]
    if (said["verdict"] == "blocked") is not all(closed):
        found.append(f"{where}: verdict {said['verdict']}")
    return found


def report(results: list[dict[str, Any]]) -> None:
    """Fail unless `check` was right about all."""
    tried = [result for result in results if "came" in result]
    doors = sum(len(came) for result in tried for came in result["came"].values() if isinstance(came, dict))
    print(f"{len(tried)} configurations of {len({result['module'] for result in tried})} modules, {doors} doors tried")
    for result in results:
        if "unusable" in result:
            print(f"left out: {result['module']} {result['unusable']}")
    mistakes = [text for result in tried for text in wrong(result)]
    assert not mistakes, "\n".join(mistakes)


def test_check_says_what_the_kernel_then_does(kernel: str, vm_programs: None) -> None:
    modules = chosen(kernel)
    variants = VARIANTS if FULL else {name: VARIANTS[name] for name in SHORT_VARIANTS}
    with boot_with(kernel, modules) as guest:
        results = ask(guest, modules, variants)
        if folder := os.environ.get("PYMODUTILS_DOORS_RESULTS"):
            Path(folder, f"doors-{kernel}.json").write_text(json.dumps(results, indent=1))
        report(results)
        kept_out = [result for result in results if result.get("variant") in ("three lines", "deny")]
        assert kept_out and all(result["said"]["verdict"] == "blocked" for result in kept_out)


def test_check_knows_the_kernels_own_list(kernel: str, vm_programs: None) -> None:
    # A socket of kind AF_ALG asks for a cipher only when it has these.
    modules = [name for name in chosen(kernel) if not name.startswith("algif_")]
    with boot_with(kernel, modules, cmdline=f"module_blacklist={','.join(modules)}") as guest:
        results = ask(guest, modules, {"module_blacklist": ""}, refused=True)
    report(results)
    assert all(result["said"]["verdict"] == "blocked" for result in results)
