# SPDX-License-Identifier: LGPL-2.1-or-later
"""Each lint rule compared with the real kmod: what its `modprobe -n -v` shows where the rule finds something.

Of each mistake the mended form is tried, too: kmod then shows what was meant, and the rule finds nothing.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from pymodutils import Context, Roots, deny
from pymodutils.diagnosis.lint import LINT_RULES
from pymodutils.diagnosis.lint.sources import Finding
from pymodutils.verbs.lint import lint
from tests.support import assets
from tests.support.fakeroot import RELEASE, FakeRoot
from tests.support.images import archive, compressed

Files = Mapping[str, str | bytes]
A, B, Z = "etc/modprobe.d/a.conf", "etc/modprobe.d/b.conf", "etc/modprobe.d/z.conf"  # modules.softdep comes before z
AT_BOOT, CMDLINE = "etc/modules-load.d/l.conf", "proc/cmdline"

LOOP = "block-major-7-0"
IMAGE = f"boot/initrd.img-{RELEASE}"
CRC = ["insmod crc32c_generic", "insmod crc32c_intel"]


def image(files: Mapping[str, str | bytes]) -> bytes:
    """An initial file system with a module and configuration files."""
    return compressed(archive({f"lib/modules/{RELEASE}/kernel/loop.ko": "", **files}), "gzip")


@dataclass
class Mistake:
    """One mistake: the files that make it, what modprobe is asked, and what kmod shows.

    `found` is FILE:LINE LEVEL of what the rule says. `mended` are the files without the mistake, for which kmod shows
    `wanted`; None where nothing else could be shown.
    """

    rule: str
    files: Files
    words: str
    shown: list[str]
    found: str
    mended: Files | None = None
    wanted: list[str] | None = None
    also: set[str] = field(default_factory=set)  # other rules that have something to say of it


MISTAKES = [
    Mistake(
        "shadowed", {A: "install loop /bin/one\n", B: "# c\ninstall loop /bin/two\n"}, "loop",
        ["install /bin/one"], f"{B}:2 warning",
        {B: "install loop /bin/two\n"}, ["install /bin/two"],
    ),
    Mistake(
        "shadowed", {A: "install lo* /bin/one\ninstall loop /bin/two\n"}, "loop",
        ["install /bin/one"], f"{A}:2 warning",
        {A: "install loop /bin/two\ninstall lo* /bin/one\n"}, ["install /bin/two"],
    ),
    Mistake(
        "shadowed", {A: "install loop /bin/one\n", B: "install loop /bin/one\n"}, "loop",
        ["install /bin/one"], f"{B}:1 note",
    ),
    Mistake(
        "shadowed", {Z: "softdep snd_hda_codec post: loop\n"}, "snd_hda_codec",
        ["insmod snd_pcm", "insmod snd_hda_codec", "insmod snd_seq"], f"{Z}:1 warning",
        {A: "softdep snd_hda_codec post: snd-seq loop\n"},
        ["insmod snd_pcm", "insmod snd_hda_codec", "insmod snd_seq", "insmod loop"],
    ),
    Mistake(
        "second-softdep", {A: "softdep mii pre: loop\nsoftdep mii pre: raid6_pq\n"}, "mii",
        ["insmod loop", "insmod mii"], f"{A}:2 warning",
        {A: "softdep mii pre: loop raid6_pq\n"}, ["insmod loop", "insmod raid6_pq", "insmod mii"],
    ),
    Mistake(
        "softdep-replaces-shipped", {A: "softdep snd_hda_codec pre: loop\n"}, "snd_hda_codec",
        ["insmod snd_pcm", "insmod loop", "insmod snd_hda_codec"], f"{A}:1 warning",
        {A: "softdep snd_hda_codec pre: loop post: snd-seq\n"},
        ["insmod snd_pcm", "insmod loop", "insmod snd_hda_codec", "insmod snd_seq"],
    ),
    Mistake(
        "softdep-replaces-shipped", {"lib/modprobe.d/a.conf": "softdep snd_hda_codec pre: loop\n"}, "snd_hda_codec",
        ["insmod snd_pcm", "insmod loop", "insmod snd_hda_codec"], "lib/modprobe.d/a.conf:1 note",
    ),
    Mistake(
        "install-ignored", {A: "install snd_hda_codec /bin/false\n"}, "snd_hda_codec",
        ["insmod snd_pcm", "insmod snd_hda_codec", "insmod snd_seq"], f"{A}:1 error",
        {A: "softdep snd_hda_codec pre:\ninstall snd_hda_codec /bin/false\nblacklist snd_hda_codec\n"},
        ["insmod snd_pcm", "install /bin/false"],
    ),
    Mistake(
        "install-ignored", {A: "install snd_hda_* /bin/false\n"}, "snd_hda_codec",
        ["insmod snd_pcm", "insmod snd_hda_codec", "insmod snd_seq"], f"{A}:1 error",
    ),
    Mistake(
        "side-loads", {A: "install xfs /bin/false\n"}, "fs-xfs",
        [*CRC, "insmod libcrc32c", "install /bin/false"], f"{A}:1 warning",
        {A: "install xfs /bin/false\nblacklist xfs\n"}, [],
    ),
    Mistake(
        "unknown-module", {A: "install lopo /bin/false\n"}, "loop", ["insmod loop"], f"{A}:1 warning",
        {A: "install loop /bin/false\n"}, ["install /bin/false"],
    ),
    Mistake(
        "unknown-module", {A: "blacklist nosuch_module\n"}, "loop", ["insmod loop"], f"{A}:1 note",
    ),
    Mistake(
        "unknown-module", {A: "blacklist block-major-7-0\n"}, LOOP, ["insmod loop"], f"{A}:1 warning",
        {A: "blacklist loop\n"}, [],
    ),
    Mistake(
        "bad-line", {A: "blacklist raid6_pq loop\n"}, LOOP, ["insmod loop"], f"{A}:1 warning",
        {A: "blacklist raid6_pq # not here\nblacklist loop\n"}, [],
    ),
    Mistake(
        "unknown-module", {A: "blacklist lbm-nouveau\nalias lbm-nouveau off\n"}, "loop", ["insmod loop"],
        f"{A}:1 note",
    ),
    Mistake(
        "side-loads", {A: "install xfs /usr/sbin/nologin\n"}, "fs-xfs",
        [*CRC, "insmod libcrc32c", "install /usr/sbin/nologin"], f"{A}:1 warning",
        {A: "install xfs /usr/sbin/nologin\nblacklist xfs\n"}, [],
    ),
    Mistake(
        "unknown-module", {A: "softdep mii pre: lopo\n"}, "mii", ["insmod mii"], f"{A}:1 warning",
        {A: "softdep mii pre: loop\n"}, ["insmod loop", "insmod mii"],
    ),
    Mistake(
        "builtin-module", {A: "install zswap /bin/false\n"}, "zswap", [], f"{A}:1 warning",
    ),
    Mistake(
        "builtin-module", {A: "options zswap enabled=1\n"}, "-D zswap", ["builtin zswap"], f"{A}:1 note",
    ),
    Mistake(
        "unknown-parameter", {A: "options snd_pcm limt=1 limit=2\n"}, "snd_pcm", ["insmod snd_pcm limt=1 limit=2"],
        f"{A}:1 warning",
        {A: "options snd_pcm limit=1 dyndbg=+p\n"}, ["insmod snd_pcm limit=1 dyndbg=+p"],
    ),
    Mistake(
        "bad-value", {A: "options snd_pcm limit=many\n"}, "snd_pcm", ["insmod snd_pcm limit=many"], f"{A}:1 error",
        {A: "options snd_pcm limit=0x10\n"}, ["insmod snd_pcm limit=0x10"],
    ),
    Mistake(
        "alias-nowhere", {A: "alias my nosuch_module\n"}, "my", [], f"{A}:1 warning",
        {A: "alias my loop\n"}, ["insmod loop"],
    ),
    Mistake(
        "alias-nowhere", {A: "alias my fs-xfs\n"}, "my", [], f"{A}:1 warning",
        {A: "alias my mii\n"}, ["insmod mii"],
    ),
    Mistake(
        "bad-line", {A: "blaklist loop\n"}, LOOP, ["insmod loop"], f"{A}:1 error",
        {A: "blacklist loop\n"}, [],
    ),
    Mistake(
        "bad-line", {A: "  # blanks before\nblacklist loop\n"}, LOOP, [], f"{A}:1 error",
        {A: "# none before\nblacklist loop\n"}, [],
    ),
    Mistake(
        "bad-line", {A: "install loop\n"}, "loop", ["insmod loop"], f"{A}:1 error",
        {A: "install loop /bin/false\n"}, ["install /bin/false"],
    ),
    Mistake(
        "wrong-place", {AT_BOOT: "install loop /bin/false\n"}, "loop", ["insmod loop"], f"{AT_BOOT}:1 error",
        {A: "install loop /bin/false\n"}, ["install /bin/false"],
    ),
    Mistake(
        "wrong-place", {AT_BOOT: "loop max_loop=4\n"}, "loop@max_loop=4", [], f"{AT_BOOT}:1 error",
        {AT_BOOT: "loop\n"}, [],
    ),
    Mistake(
        "not-conf", {"etc/modprobe.d/a.cnf": "blacklist loop\n"}, LOOP, ["insmod loop"], "etc/modprobe.d/a.cnf warning",
        {A: "blacklist loop\n"}, [],
    ),
    Mistake(
        "not-conf", {"etc/modprobe.d/a.conf.bak": "blacklist loop\n"}, LOOP, ["insmod loop"],
        "etc/modprobe.d/a.conf.bak note",
    ),
    Mistake(
        "crlf", {A: "# made elsewhere\r\nblacklist loop\r\n"}, LOOP, ["insmod loop"], f"{A}:2 error",
        {A: "# made elsewhere\r\nblacklist loop\n"}, [],
    ),
    Mistake(
        "backslash", {A: "# all of them \\\nblacklist loop\n"}, LOOP, ["insmod loop"], f"{A}:1 warning",
        {A: "# all of them\nblacklist loop\n"}, [],
    ),
    Mistake(
        "backslash", {A: "options mii path=C:\\temp\n"}, "mii", ["insmod mii path=C:temp"], f"{A}:1 warning",
        {A: "options mii path=C:\\\\temp\n"}, ["insmod mii path=C:\\temp"], also={"unknown-parameter"},
    ),
    Mistake(
        "backslash", {A: "install loop /bin/one; \\ \n/bin/two\n"}, "loop", ["install /bin/one;"], f"{A}:1 warning",
        {A: "install loop /bin/one; \\\n/bin/two\n"}, ["install /bin/one; /bin/two"], also={"bad-line"},
    ),
    Mistake(
        "bom", {A: b"\xef\xbb\xbfblacklist loop\n"}, LOOP, ["insmod loop"], f"{A}:1 error",
        {A: "blacklist loop\n"}, [],
    ),
    Mistake(
        "cmdline-dash", {CMDLINE: "ro modprobe.blacklist=mii,snd-pcm\n", A: "alias my snd-pcm\n"}, "my",
        ["insmod snd_pcm"], f"{CMDLINE} error",
        {CMDLINE: "ro modprobe.blacklist=mii,snd_pcm\n", A: "alias my snd-pcm\n"}, [],
    ),
    Mistake(
        "initramfs-stale", {A: "blacklist loop\n", IMAGE: image({A: "# nothing yet\n"}), "boot/older/a.conf": ""},
        "-C /boot/older " + LOOP, ["insmod loop"], f"{A} warning",
        {A: "blacklist loop\n", IMAGE: image({A: "blacklist loop\n"}), "boot/older/a.conf": "blacklist loop\n"}, [],
    ),
    Mistake(
        "initramfs-stale", {A: "blacklist loop\n", IMAGE: image({B: "blacklist mii\n", A: "blacklist loop\n"})},
        LOOP, [], f"{IMAGE}:/{B} warning",
    ),
    Mistake(
        "modules-load-absent", {AT_BOOT: "loop\nnosuch_module\n"}, "nosuch_module", [], f"{AT_BOOT}:2 warning",
        {AT_BOOT: "loop\nfs-xfs\next4\n"}, [],
    ),
    Mistake(
        "modules-load-denied", {AT_BOOT: "loop\n", A: "blacklist loop\n"}, "-b loop", [], f"{AT_BOOT}:1 warning",
        {AT_BOOT: "loop\n"}, ["insmod loop"],
    ),
    Mistake(
        "modules-load-denied", {AT_BOOT: "mii\nfs-xfs\n", A: "install xfs /bin/false\n"}, "-b xfs",
        [*CRC, "insmod libcrc32c", "install /bin/false"], f"{AT_BOOT}:2 warning", also={"side-loads"},
    ),
]  # fmt: skip


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> FakeRoot:
    return FakeRoot(tmp_path_factory.mktemp("root"))


def shown(root: FakeRoot, version: str, words: str) -> list[str]:
    """What kmod shows, with the names of modules in place of their paths; an @ in `words` is a blank."""
    asked = [word.replace("@", " ") for word in words.split()]
    show = ["-S", RELEASE, *([] if "-D" in asked else ["-n", "-v"])]
    lines = root.kmod(version, [*show, *asked]).out.decode().splitlines()
    return [re.sub(r"^insmod \S*/([\w-]+)\.ko", lambda found: f"insmod {found[1].replace('-', '_')}", line).rstrip()
            for line in lines]  # fmt: skip


def findings(root: FakeRoot) -> Iterator[tuple[str, str, Finding]]:
    """(rule, place and level, finding) of each."""
    prefix = f"{root.path}/"
    for finding in lint(Context(root.roots())).findings:
        yield finding.rule, f"{finding.origin.removeprefix(prefix)} {finding.level}", finding


def name_of(mistake: Mistake) -> str:
    return f"{mistake.rule} {next(iter(mistake.files.values()))!r:.40}"


@pytest.mark.parametrize("version", ["kmod34", "kmod30"])
@pytest.mark.parametrize("mistake", MISTAKES, ids=name_of)
def test_what_a_mistake_does(root: FakeRoot, mistake: Mistake, version: str) -> None:
    with root.holding(mistake.files):
        assert shown(root, version, mistake.words) == mistake.shown
    if mistake.mended is not None:
        with root.holding(mistake.mended):
            assert shown(root, version, mistake.words) == mistake.wanted


@pytest.mark.parametrize("mistake", MISTAKES, ids=name_of)
def test_a_mistake_is_found_and_nothing_is_once_it_is_mended(root: FakeRoot, mistake: Mistake) -> None:
    with root.holding(mistake.files):
        found = list(findings(root))
    assert (mistake.rule, mistake.found) in [(rule, place) for rule, place, _ in found]
    counted = {rule for rule, _, finding in found if finding.counts}
    assert counted - mistake.also == ({mistake.rule} if not mistake.found.endswith("note") else set())
    if mistake.mended is not None:
        with root.holding(mistake.mended):
            still = {rule for rule, _, finding in findings(root) if finding.counts}
        assert still <= mistake.also - {mistake.rule}


def test_every_rule_is_tried() -> None:
    assert {mistake.rule for mistake in MISTAKES} == {rule.name for rule in LINT_RULES}


# --- no finding where nothing is wrong


def lay_shipped(kernel: str, folder: Path) -> Roots:
    """What the packages of a Debian release put down, with all modules of its kernel."""
    source = assets.shipped_configs(kernel)
    for parent in ("etc", "lib", "usr/lib"):
        for kind in ("modprobe.d", "modules-load.d", "udev"):
            if (source / parent / kind).is_dir():
                shutil.copytree(source / parent / kind, folder / parent / kind, symlinks=True)
    (folder / "etc/modules").write_text("# nothing\n")
    (folder / "lib").mkdir(exist_ok=True)
    # The modules are those of another place: a link to them would lead out of the system.
    return Roots(base=str(assets.module_tree(kernel, "xz")), release=assets.release(kernel), config_root=str(folder))


@pytest.mark.parametrize("kernel", assets.KERNELS)
def test_what_a_distribution_ships_has_no_findings(kernel: str, tmp_path: Path) -> None:
    report = lint(Context(lay_shipped(kernel, tmp_path)))
    assert report.errors == ()
    assert [finding for finding in report.findings if finding.counts] == []
    notes = {finding.rule for finding in report.findings}
    # Debian 12's kmod says `softdep uhci-hcd pre: ehci-hcd`, and the module itself wants ehci_pci.
    assert notes == ({"softdep-replaces-shipped"} if kernel == "6.1" else set())


@pytest.mark.parametrize("kernel", assets.KERNELS)
def test_a_denial_in_three_lines_has_no_findings(kernel: str, tmp_path: Path) -> None:
    """For every module that has soft dependencies or an alias: what keeps it out for good trips no rule."""
    roots = lay_shipped(kernel, tmp_path)
    context = Context(roots)
    soft = {rule.key for rule in context.config.of("softdep")}
    names = sorted(soft | {"sctp", "btrfs", "loop", "tipc", "can_raw", "dccp", "rds", "usb_storage"})
    lines = "".join(f"softdep {name} pre:\ninstall {name} /bin/false\nblacklist {name}\n" for name in names)
    (tmp_path / "etc/modprobe.d/00-policy.conf").write_text(lines)
    found = [finding for finding in lint(Context(roots)).findings if finding.file.endswith("00-policy.conf")]
    assert [finding for finding in found if finding.counts] == []


@pytest.mark.parametrize("kernel", assets.KERNELS)
def test_what_kmod_deny_writes_has_no_findings(kernel: str, tmp_path: Path) -> None:
    roots = lay_shipped(kernel, tmp_path)
    done = deny(Context(roots), ["btrfs", "sctp", "loop", "xfs", "dccp"])
    assert str(tmp_path / "etc/modprobe.d/00-pymodutils-policy.conf") in done.written, done
    assert [finding for finding in lint(Context(roots)).findings if finding.counts] == []
