# SPDX-License-Identifier: LGPL-2.1-or-later
"""kmod check: each door under each configuration, side loads, builtins, the initial file system, text and JSON."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from pymodutils import Check, Context, Roots, check
from tests.support.common import run_inside
from tests.support.forgedsystem import RELEASE, forge_system, lay_files, lay_kernel, needing
from tests.support.images import archive, compressed
from tests.support.schemas import check_document

MODULES = {
    "base": needing("base"),
    "sctp": needing("sctp", "base", strings=["alias=net-pf-2-proto-132"]),
    "sctp_diag": needing("sctp_diag", "sctp"),
    "soft": needing("soft", strings=["softdep=pre: helper", "alias=fs-soft"]),
    "helper": needing("helper"),
    "disk": needing("disk", strings=["alias=pci:v00008086d*sv*sd*bc01sc06i*"]),
    "top": needing("top", "last", "base"),
    "last": needing("last"),
    "wants_gone": needing("wants_gone", strings=["softdep=pre: nowhere"]),
}
CONF = "etc/modprobe.d/00-x.conf"
DOORS = ("by_name", "by_alias", "as_dependency", "as_softdep", "udev", "modules_load")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("system")
    forge_system(root, MODULES, builtin=["zswap"])
    return root


@pytest.fixture
def roots(tmp_path: Path, made: Path) -> Roots:
    """A system of this test's own, but for the module directory."""
    shutil.copytree(made / "lib", tmp_path / "lib")  # a link would lead out of the system
    lay_kernel(tmp_path, {})
    lay_files(tmp_path, {
        "proc/sys/kernel/modules_disabled": "0\n",
        "sys/module/module/parameters/sig_enforce": "N\n",
        "sys/kernel/security/lockdown": "[none] integrity confidentiality\n",
        "proc/cmdline": "ro quiet\n",
    })  # fmt: skip
    base = str(tmp_path)
    return Roots(base=base, release=RELEASE, config_root=base, proc=f"{base}/proc", sys=f"{base}/sys")


def configure(roots: Roots, text: str, more: dict[str, str | bytes] | None = None) -> None:
    lay_files(Path(roots.base), {CONF: text, **(more or {})})


def one(roots: Roots, name: str, **named: Any) -> Check:
    (found,) = check(Context(roots), name, **named).checks
    return found


def opened(found: Check) -> list[str]:
    return [door for door in DOORS if getattr(found.doors, door).open]


@pytest.mark.parametrize(
    ("name", "text", "doors"),
    [
        ("sctp", "", ["by_name", "by_alias", "as_dependency", "udev"]),
        ("sctp", "blacklist sctp", ["by_name", "as_dependency"]),
        ("sctp", "install sctp /bin/false", []),
        ("sctp", "install sctp /bin/true", []),
        ("sctp", "install s* /bin/false", []),
        ("sctp", "blacklist sctp\ninstall sctp /bin/false", []),
        ("sctp", "install base /bin/false", []),
        ("sctp", "install base /bin/true", []),
        ("sctp", "install sctp /sbin/modprobe -i sctp $CMDLINE_OPTS", ["by_name", "by_alias", "as_dependency", "udev"]),
        ("sctp", "install sctp_diag /bin/false", ["by_name", "by_alias", "as_dependency", "udev"]),
        ("base", "install sctp /bin/false", ["by_name", "as_dependency", "udev"]),
        ("soft", "install soft /bin/false", ["by_name", "by_alias", "udev"]),
        ("soft", "install soft /bin/false\nblacklist soft", ["by_name"]),
        ("soft", "softdep soft pre:\ninstall soft /bin/false", []),
        ("soft", "softdep soft\ninstall soft /bin/false", ["by_name", "by_alias", "udev"]),
        ("soft", "softdep soft pre: nowhere\ninstall soft /bin/false", []),
        ("soft", "softdep soft pre:\ninstall soft /bin/false\nblacklist soft", []),
        ("wants_gone", "install wants_gone /bin/false", []),
        ("helper", "", ["by_name", "as_softdep", "udev"]),
        ("helper", "blacklist helper", ["by_name", "as_softdep"]),
        ("helper", "install helper /bin/false", []),
        ("helper", "softdep soft pre:", ["by_name", "udev"]),
        ("disk", "alias pci:v00008086d* off", ["by_name", "udev"]),
        ("sctp", "alias net-pf-2-proto-132 off", ["by_name", "as_dependency", "udev"]),
        ("sctp", "install net-pf-2-proto-132 /bin/false", ["by_name", "as_dependency", "udev"]),
        ("base", "alias other base", ["by_name", "by_alias", "as_dependency", "udev"]),
        ("disk", "install disk /bin/false\ninstall secret modprobe -i disk", ["by_alias"]),
    ],
)
def test_which_doors_are_open(roots: Roots, name: str, text: str, doors: list[str]) -> None:
    configure(roots, f"{text}\n")
    found = one(roots, name)
    assert opened(found) == doors
    assert found.verdict == ("can-get-in" if doors else "blocked")
    assert found.keeps_out is not bool(doors)


def test_a_softdep_line_behind_modules_softdep_comes_too_late(roots: Roots) -> None:
    lines = "softdep soft pre:\ninstall soft /bin/false\n"
    lay_files(Path(roots.base), {"etc/modprobe.d/z.conf": lines})
    found = one(roots, "soft")
    assert opened(found) == ["by_name", "by_alias", "udev"]
    by = found.doors.by_name.by
    assert by and by.file.endswith("/modules.softdep") and by.text == "softdep soft pre: helper"
    assert "z.conf:2" in str(found.doors.by_name.note)
    assert found.remedy == "kmod deny soft"


def test_closed_doors_name_their_rule_and_what_comes_in_all_the_same(roots: Roots) -> None:
    configure(roots, "# why\ninstall sctp /bin/false\n")
    doors = one(roots, "sctp").doors
    for door in (doors.by_name, doors.by_alias, doors.as_dependency, doors.udev):
        assert door.by and (door.by.origin, door.by.text) == (f"{roots.base}/{CONF}:2", "install sctp /bin/false")
    assert doors.by_name.side_loads == doors.by_alias.side_loads == ("base",)
    assert doors.by_alias.via == ("net-pf-2-proto-132",)
    assert "any user" in str(doors.by_alias.note) and "socket()" in str(doors.by_alias.note)
    assert doors.as_dependency.via == ("sctp_diag",)
    assert doors.modules_load.note == "not listed"


def test_a_closed_door_that_lets_nothing_in_needs_no_word_about_who_asks(roots: Roots) -> None:
    configure(roots, "install base /bin/false\nalias fs-x base\n")
    door = one(roots, "base").doors.by_alias
    assert (door.open, door.via, door.side_loads, door.note) == (False, ("fs_x",), (), None)


def test_a_dependency_that_is_refused_ends_the_work_where_its_command_fails(roots: Roots) -> None:
    """The dependencies come one by one, and the one that is refused may be any of them."""
    loaded = {}
    for command in ("false", "true"):
        for refused in ("base", "last"):
            configure(roots, f"install {refused} /bin/{command}\n")
            loaded[command, refused] = one(roots, "top").doors.by_name.side_loads
            assert one(roots, "top").verdict == "blocked"
    assert {loaded["false", "base"], loaded["false", "last"]} in ({(), ("last",)}, {(), ("base",)})
    assert (loaded["true", "base"], loaded["true", "last"]) == (("last",), ("base",))


def test_a_blacklist_rule_keeps_side_loads_out(roots: Roots) -> None:
    configure(roots, "install sctp /bin/false\nblacklist sctp\n")
    doors = one(roots, "sctp").doors
    assert doors.by_alias.side_loads == () and doors.by_name.side_loads == ("base",)
    for door in (doors.by_alias, doors.udev):
        assert door.by and door.by.text == "blacklist sctp"


def test_a_command_of_its_own_is_not_known(roots: Roots) -> None:
    configure(roots, "install disk /usr/local/bin/decide\n")
    found = one(roots, "disk")
    assert (found.doors.by_name.open, found.verdict, found.keeps_out) == (None, None, False)
    assert found.doors.by_name.by is not None
    assert run_inside("kmod", ["check", "disk"], roots).status == 2


def test_a_dependency_that_is_loaded_needs_no_rule(roots: Roots) -> None:
    configure(roots, "install base /bin/false\n")
    assert one(roots, "sctp").verdict == "blocked"
    lay_kernel(Path(roots.base), {"base": "0 - Live 0x0"})
    assert opened(one(roots, "sctp")) == ["by_name", "by_alias", "as_dependency", "udev"]


def test_what_is_loaded_is_in(roots: Roots) -> None:
    configure(roots, "install disk /bin/false\n")
    lay_kernel(Path(roots.base), {"disk": "0 - Live 0x0"})
    found = one(roots, "disk")
    assert (found.state, found.verdict, found.remedy) == ("live", "in", "modprobe -r disk")
    assert opened(found) == []


# --- what loads modules at boot


@pytest.mark.parametrize(
    ("files", "text", "door"),
    [
        ({"etc/modules-load.d/a.conf": "# c\ndisk\n"}, "", True),
        ({"etc/modules-load.d/a.conf": "disk\n"}, "blacklist disk\n", False),
        ({"etc/modules-load.d/a.conf": "disk\n"}, "install disk /bin/false\n", False),
        ({"etc/modules": "disk a=1\n"}, "blacklist disk\n", True),
        ({"etc/modules-load.d/a.conf": "fs-soft\n"}, "", False),
    ],
)
def test_modules_load(roots: Roots, files: dict[str, str | bytes], text: str, door: bool) -> None:
    configure(roots, text, files)
    found = one(roots, "disk").doors.modules_load
    assert found.open is door
    if "fs-soft" not in str(files):
        assert found.via[0].startswith(f"{roots.base}/etc/modules")


def test_udev_rules_that_name_a_module(roots: Roots) -> None:
    rule = 'SUBSYSTEM=="x", RUN{builtin}+="kmod load helper"\n'
    configure(roots, "", {"usr/lib/udev/rules.d/50-x.rules": rule})
    assert one(roots, "helper").doors.udev.via == (f"{roots.base}/usr/lib/udev/rules.d/50-x.rules:1",)
    assert one(roots, "disk").doors.udev.via == ("pci:v00008086d*sv*sd*bc01sc06i*",)
    assert one(roots, "base").doors.udev.note == "no device and no rule asks for it here"


# --- the kernel's own rules


@pytest.mark.parametrize(
    ("files", "place", "facts"),
    [
        ({"proc/sys/kernel/modules_disabled": "1\n"}, "modules_disabled", {"modules_disabled": True}),
        ({"proc/cmdline": "module_blacklist=disk,other\n"}, "cmdline", {"module_blacklist": ("disk", "other")}),
        ({"sys/module/module/parameters/sig_enforce": "Y\n"}, "sig_enforce", {"sig_enforce": True}),
        ({"sys/kernel/security/lockdown": "none [integrity] confidentiality\n"}, "lockdown", {"lockdown": "integrity"}),
    ],
)
def test_what_the_kernel_refuses(
    roots: Roots, files: dict[str, str | bytes], place: str, facts: dict[str, object]
) -> None:
    configure(roots, "", files)
    found = one(roots, "disk")
    assert opened(found) == [] and found.doors.insmod.open is False and found.verdict == "blocked"
    assert found.doors.insmod.by and found.doors.insmod.by.file.endswith(place)
    assert {name: getattr(found.kernel, name) for name in facts} == facts


def test_the_kernel_list_has_names_as_the_kernel_spells_them(roots: Roots) -> None:
    configure(roots, "", {"proc/cmdline": "module_blacklist=wants-gone\n"})
    assert one(roots, "wants-gone").verdict == "can-get-in"


def test_nothing_is_known_of_the_kernel_of_another_system(roots: Roots) -> None:
    found = one(Roots.of_system(roots.base, RELEASE), "disk")
    assert (found.doors.insmod.open, found.kernel.modules_disabled, found.kernel.lockdown) == (None, None, None)
    assert found.verdict == "can-get-in"


# --- builtin, absent, aliases


def test_builtin_modules_are_beyond_rules(roots: Roots) -> None:
    configure(roots, "install zswap /bin/false\n")
    found = one(roots, "zswap")
    assert (found.verdict, found.builtin and found.builtin.initcall, found.remedy) == ("builtin", None, None)
    symbols = "ffffffff82a1 t init_zswap\nffffffff82b0 d __initcall__kmod_zswap__340_1537_init_zswap7s\n"
    lay_files(Path(roots.base), {f"boot/System.map-{RELEASE}": symbols})
    found = one(roots, "zswap")
    assert found.builtin and found.builtin.initcall == "init_zswap"
    assert found.remedy == "initcall_blacklist=init_zswap"
    assert all(getattr(found.doors, door).open is None for door in found.doors.__match_args__)


def test_builtin_modules_by_the_kernels_own_symbols(roots: Roots) -> None:
    lay_files(Path(roots.base), {"proc/kallsyms": "0000 d __initcall__kmod_zswap__1_2_first4\t\n"
                                                  "0000 d __initcall__kmod_zswap__3_4_second_rootfs\n"})  # fmt: skip
    found = one(roots, "zswap")
    assert found.builtin and found.builtin.initcall == "first,second_"


def test_why_the_function_that_starts_a_builtin_module_is_not_known(roots: Roots) -> None:
    """A list of symbols that cannot be read is another thing than one that has no such function."""
    place = Path(roots.base, f"boot/System.map-{RELEASE}")
    done = run_inside("kmod", ["check", "zswap"], roots)
    assert f"its initcall is not found: there is no {place}\n" in done.out.decode()
    place.parent.mkdir(exist_ok=True)
    place.mkdir()
    done = run_inside("kmod", ["check", "zswap"], roots)
    assert f"its initcall is not found: cannot read {place}: Is a directory\n" in done.out.decode()
    place.rmdir()
    place.write_text("ffffffff82a1 t start\n")
    assert run_inside("kmod", ["check", "zswap"], roots).out.endswith(b"its initcall is not found\n")


def test_names_that_nothing_knows(roots: Roots) -> None:
    found = one(roots, "sctpp")
    assert (found.verdict, found.state, found.similar) == ("absent", "absent", ("sctp",))
    assert check(Context(roots), ["sctpp"]).keeps_all_out


def test_an_alias_and_a_path(roots: Roots, monkeypatch: pytest.MonkeyPatch) -> None:
    assert one(roots, "net-pf-2-proto-132").name == "sctp"
    assert one(roots, f"{roots.modules}/kernel/sctp.ko").name == "sctp"
    monkeypatch.chdir(roots.modules)
    assert one(roots, "kernel/sctp.ko").name == "sctp"
    configure(roots, "alias devname:net/tun sctp")
    assert one(roots, "devname:net/tun").name == "sctp"


def test_without_a_module_directory_nobody_can_tell(tmp_path: Path) -> None:
    lay_kernel(tmp_path, {})
    roots = Roots(base=str(tmp_path), release="none", proc=f"{tmp_path}/proc", sys=f"{tmp_path}/sys")
    report = check(Context(roots), "sctp")
    assert [found.verdict for found in report.checks] == [None]
    assert report.errors
    assert run_inside("kmod", ["check", "sctp"], roots).status == 2


def test_all_modules(roots: Roots) -> None:
    configure(roots, "install [a-z]* /bin/false\nsoftdep soft pre:\n")
    lay_kernel(Path(roots.base), {"foreign": "0 - Live 0x0 (O)"})
    report = check(Context(roots), everything=True)
    verdicts = {found.name: found.verdict for found in report.checks}
    assert verdicts == {"foreign": "in", **dict.fromkeys(MODULES, "blocked")}


# --- the initial file system


def image_of(made: Path, config: dict[str, str | bytes], kind: str = "gzip", *, with_modules: bool = True) -> bytes:
    tree = made / "lib/modules" / RELEASE
    files: dict[str, str | bytes] = {"lib": "-> usr/lib", **config}
    if with_modules:
        for path in [*tree.glob("modules.*"), *tree.glob("kernel/*.ko")]:
            files[f"usr/lib/modules/{RELEASE}/{path.relative_to(tree)}"] = path.read_bytes()
    return archive({"early": "cpu"}) + compressed(archive(files), kind)


RULES = "softdep soft pre:\ninstall soft /bin/false\nblacklist soft\n"


@pytest.mark.parametrize(
    ("config", "is_open"),
    [
        ({}, True),
        ({"etc/modprobe.d/00-x.conf": RULES}, False),
        ({"etc/modprobe.d/z.conf": RULES}, True),
        ({"usr/lib/modprobe.d/00-x.conf": RULES}, False),
        ({"usr/lib/modprobe.d/00-x.conf": RULES, "etc/modprobe.d/00-x.conf": "-> /dev/null"}, True),
        ({"etc/modprobe.d/00-x.conf": "-> ../y/rules.conf", "etc/y/rules.conf": RULES}, True),
        ({"etc/modprobe.d/00-x.conf": "-> /usr/lib/modprobe.d/y.conf", "usr/lib/modprobe.d/y.conf": RULES}, False),
    ],
)
def test_the_image_has_its_own_rules(roots: Roots, made: Path, config: dict[str, str | bytes], is_open: bool) -> None:
    configure(roots, "", {"etc/modprobe.d/00-x.conf": RULES, f"boot/initrd.img-{RELEASE}": image_of(made, config)})
    found = one(roots, "soft")
    assert found.doors.initramfs.open is is_open
    assert found.verdict == ("can-get-in" if is_open else "blocked")
    if is_open and not config:
        assert (
            found.doors.initramfs.note == "the configuration in the image has no such rule" or found.doors.initramfs.by
        )
    if not is_open:
        by = found.doors.initramfs.by
        assert by and by.file.startswith(f"{roots.base}/boot/initrd.img-{RELEASE}:/")


def test_an_old_image_is_made_again(roots: Roots, made: Path) -> None:
    configure(roots, "install disk /bin/false\n", {
        f"boot/initrd.img-{RELEASE}": image_of(made, {}), "usr/sbin/update-initramfs": "",
    })  # fmt: skip
    found = one(roots, "disk")
    assert found.verdict == "can-get-in" and found.remedy == f"update-initramfs -u -k {RELEASE}"
    assert found.doors.initramfs.note == "the configuration in the image has no such rule"
    assert one(roots, "disk", initrd="none").verdict == "blocked"


def test_what_is_not_in_the_image_is_not_loaded_there(roots: Roots, made: Path) -> None:
    configure(roots, "install disk /bin/false\n")
    image = Path(roots.base, "my.img")
    image.write_bytes(image_of(made, {}, with_modules=False))
    found = one(roots, "disk", initrd=str(image))
    assert (found.doors.initramfs.open, found.verdict) == (False, "blocked")


@pytest.mark.parametrize(("content", "is_open"), [(None, None), (b"damaged", None), (b"", None)])
def test_an_image_without_a_list_of_its_modules(
    roots: Roots, made: Path, content: bytes | None, is_open: bool | None
) -> None:
    configure(roots, "install disk /bin/false\n")
    index = made / "lib/modules" / RELEASE / "modules.dep.bin"
    whole = index.read_bytes()
    index.unlink()
    if content is not None:
        index.write_bytes(content)
    image = Path(roots.base, "my.img")
    image.write_bytes(image_of(made, {}))
    index.write_bytes(whole)
    found = one(roots, "disk", initrd=str(image))
    assert (found.doors.initramfs.open, found.verdict) == (is_open, None if is_open is None else "blocked")


def test_the_kernels_list_holds_in_the_initial_file_system(roots: Roots, made: Path) -> None:
    files: dict[str, str | bytes] = {"proc/cmdline": "module_blacklist=disk\n"}
    configure(roots, "", {f"boot/initrd.img-{RELEASE}": image_of(made, {}), **files})
    assert one(roots, "disk").doors.initramfs.open is False


def test_an_image_that_cannot_be_read(roots: Roots) -> None:
    configure(roots, "install disk /bin/false\n", {f"boot/initrd.img-{RELEASE}": "rubbish"})
    report = check(Context(roots), "disk")
    assert (report.checks[0].doors.initramfs.open, report.checks[0].verdict) == (None, None)
    assert [error.file for error in report.errors] == [f"{roots.base}/boot/initrd.img-{RELEASE}"]
    assert run_inside("kmod", ["check", "disk"], roots).status == 2


# --- the command


def test_the_document(roots: Roots, made: Path) -> None:
    configure(roots, "install sctp /bin/false\n", {f"boot/initrd.img-{RELEASE}": image_of(made, {})})
    done = run_inside("kmod", ["check", "--json", "sctp", "zswap", "nosuch", "soft"], roots)
    assert done.status == 1
    document = check_document(done.out)
    assert [found["verdict"] for found in document["checks"]] == ["can-get-in", "builtin", "absent", "can-get-in"]
    assert json.loads(check(Context(roots), ["sctp"]).to_json())["checks"] == document["checks"][:1]


@pytest.mark.parametrize(
    ("words", "status"),
    [(["disk"], 0), (["disk", "nosuch"], 0), (["disk", "soft"], 1), (["zswap"], 1), ([], 2), (["--all"], 1)],
)
def test_exit_status(roots: Roots, words: list[str], status: int) -> None:
    configure(roots, "install disk /bin/false\n")
    assert run_inside("kmod", ["check", *words], roots).status == status


def test_text(roots: Roots) -> None:
    configure(roots, "install sctp /bin/false\n")
    done = run_inside("kmod", ["check", "sctp"], roots)
    assert done.out.decode().replace(roots.base, "") == (
        "sctp  NOT LOADED, BLOCKED\n"
        "  by name        closed  install sctp /bin/false  /etc/modprobe.d/00-x.conf:1; side loads base\n"
        "  by alias       closed  install sctp /bin/false  /etc/modprobe.d/00-x.conf:1; net-pf-2-proto-132; "
        "any user can ask for net-pf-2-proto-132, by socket(); side loads base\n"
        "  as dependency  closed  install sctp /bin/false  /etc/modprobe.d/00-x.conf:1; of 1 module\n"
        "  as softdep     closed  no softdep rule names it\n"
        "  udev           closed  install sctp /bin/false  /etc/modprobe.d/00-x.conf:1; "
        "no device and no rule asks for it here; side loads base\n"
        "  modules-load   closed  not listed\n"
        "  insmod         OPEN    modules_disabled=0, sig_enforce=N, lockdown none, module_blacklist= not set\n"
        "  initramfs      -       no image\n"
    )
    done = run_inside("kmod", ["check", "--all"], roots)
    assert b"disk" in done.out and done.out.count(b"\n") == len(MODULES)


def test_a_tree_without_a_list_of_its_modules(roots: Roots) -> None:
    """A module that no index lists is not known to be absent where depmod has not run, or its file is damaged."""
    index = Path(roots.modules, "modules.dep.bin")
    index.unlink()
    done = run_inside("kmod", ["check", "disk"], roots)
    assert (done.status, done.out) == (2, b"disk  CANNOT TELL\n")
    assert done.err.count(b"\n") == 1 and b"no usable modules.dep.bin" in done.err
    (found,) = check(Context(roots), ["disk"]).checks
    assert (found.state, found.verdict) == ("unknown", None)
    assert run_inside("kmod", ["check", "--all"], roots).status == 2
    assert run_inside("kmod", ["status", "disk"], roots).status == 2
    index.write_bytes(b"damaged")
    done = run_inside("kmod", ["check", "disk"], roots)
    assert done.status == 2 and done.err.count(b"\n") == 2 and b"damaged index" in done.err


@pytest.mark.parametrize("index", ["modules.alias.bin", "modules.builtin.bin"])
def test_a_tree_without_an_index_that_may_know_a_name(roots: Roots, index: str) -> None:
    """An alias is not known to stand for nothing where no index lists aliases, or builtin modules."""
    path = Path(roots.modules, index)
    path.unlink()
    done = run_inside("kmod", ["check", "nosuch"], roots)
    assert (done.status, done.out) == (2, b"nosuch  CANNOT TELL\n")
    assert done.err.count(b"\n") == 1 and f"no usable {index}".encode() in done.err
    assert run_inside("kmod", ["check", "disk"], roots).status != 2
    shown = run_inside("kmod", ["status", "nosuch"], roots)
    assert shown.status == 2 and b"absent" not in shown.out
    path.write_bytes(b"damaged")
    done = run_inside("kmod", ["check", "nosuch"], roots)
    assert (done.status, done.out) == (2, b"nosuch  CANNOT TELL\n")
    assert done.err.count(b"\n") == 2 and b"damaged index" in done.err
    path.write_bytes(b"")  # kmod's depmod leaves that of builtin modules so; another one was lost in a power cut
    assert run_inside("kmod", ["check", "nosuch"], roots).status == (0 if "builtin" in index else 2)


def test_a_tree_that_is_not_there_is_said_once(roots: Roots) -> None:
    for words in (["disk"], ["--all"]):
        done = run_inside("kmod", ["check", "-S", "9.9", *words], roots)
        assert (done.status, done.err.count(b"\n")) == (2, 1), done.err
        assert b": no module directory\n" in done.err


def test_a_file_of_rules_that_cannot_be_read_may_open_all_but_what_is_blacklisted(roots: Roots) -> None:
    configure(roots, "install soft /bin/false\nblacklist sctp\n")
    (Path(roots.base) / "etc/modprobe.d/00-a.conf").symlink_to("nowhere")
    assert one(roots, "soft").doors.by_name.open is None
    assert "00-a.conf cannot be read" in str(one(roots, "soft").doors.by_name.note)
    assert one(roots, "base").doors.as_dependency.open is None
    assert one(roots, "sctp").doors.by_alias.open is False


@pytest.mark.parametrize("damaged", [False, True])
def test_a_tree_without_its_aliases(roots: Roots, damaged: bool) -> None:
    """What is not known is not "none": an alias may lead there, and only what closes the door anyway closes it."""
    for name in ("modules.alias", "modules.alias.bin"):
        Path(roots.modules, name).unlink()
    if damaged:
        Path(roots.modules, "modules.alias.bin").write_bytes(b"damaged")
    door = one(roots, "sctp").doors.by_alias
    assert (door.open, door.via) == (None, ()) and "modules.alias.bin" in str(door.note)
    assert "modules.alias.bin" in str(one(roots, "base").doors.udev.note)
    configure(roots, "blacklist sctp\ninstall base /bin/false\nalias own disk\n")
    doors = [one(roots, name).doors.by_alias for name in ("sctp", "base", "disk")]
    assert [door.open for door in doors] == [False, False, True]


def test_a_loaded_module_without_a_tree(roots: Roots) -> None:
    lay_kernel(Path(roots.base), {"sctp": "0 - Live 0x0"})
    for name in Path(roots.modules).glob("modules.*"):
        name.unlink()
    doors = one(roots, "sctp").doors
    found = [doors.by_alias, doors.as_dependency]
    assert [door.open for door in found] == [None, None], found
    assert "modules.dep.bin" in str(doors.as_dependency.note)
    assert str(doors.by_name.note).startswith("cannot tell: no usable modules.dep.bin")
    assert str(one(roots, "sctp").remedy).endswith("rmmod sctp")  # modprobe would not find it
