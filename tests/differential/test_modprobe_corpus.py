# SPDX-License-Identifier: LGPL-2.1-or-later
"""modprobe's options and configurations, several hundred combinations, against the real kmod to the byte.

Both run in one fake root (tests/support/fakeroot.py); the files of modprobe_corpus/ list what is tried.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import pytest

import pymodutils
from tests.support.common import Outcome
from tests.support.fakeroot import MODULES, FakeRoot
from tests.support.modprobe_corpus import CARRIAGE_RETURN, CONF, CORPUS, DEPRECATED, cases, for_kmod, parse


@dataclass
class Known:
    """A difference on purpose (docs/differences.md): why, and what ours says."""

    reason: str
    status: int
    out: str = ""
    err: str = ""


STALE = f"/{MODULES}/kernel/stale/gone.ko: file of a dependency is missing"
NEEDS_GONE = Known(
    "a dependency whose file is gone is an error", 1, err=f"modprobe: ERROR: could not insert 'needs_gone': {STALE}\n"
)
VERSION = Known("the version is that of docs/behaviour/1-commands.md, with the formats this project reads", 0,
                f"kmod version 34\n+ZSTD +XZ +ZLIB +OPENSSL\npymodutils {pymodutils.__version__} (Python ")  # fmt: skip
SHOW_ALIAS = "--show-alias is newer than 34.2"
SYMBOLS = "--show-exports and --show-modversions find modules as loading does, and name them, since 34.3"
CLOSING = "a quoted word of MODPROBE_OPTIONS ends where it ends, not at the closing quote with an empty word behind it"
AGAIN = "kmod -c shows a section that stands in two parts with all that is between them"
HOLDERS = "holders are removed with theirs, recursively"
AMBIGUOUS = ("'--show-alias' '--show-depends' '--showconfig' '--show-config' '--show-modversions' '--show-exports' "
             "'--show'")  # fmt: skip


def insmod(*paths: str) -> str:
    return "".join(f"insmod /{MODULES}/kernel/{path}.ko \n" for path in paths)


XFS_VERSIONS = "0x0000004d\tm_l\n0x00000337\tlibcrc32c_symbol\n"
XFS_EXPORTS = "0x00000151\txfs_symbol\n"

SYMBOLS_SINCE_34_3: dict[str, tuple[int, str, str]] = {
    "--show-modversions xfs": (0, XFS_VERSIONS, ""),
    "--show-modversions fs-xfs": (0, XFS_VERSIONS, ""),
    "--show-modversions snd-hda-intel": (0, "0x0000004d\tm_l\n0x0000052e\tsnd_hda_codec_symbol\n", ""),
    "--show-exports xfs": (0, XFS_EXPORTS, ""),
    "-r --show-exports xfs": (0, XFS_EXPORTS, ""),
    "-D --show-exports xfs": (0, XFS_EXPORTS, ""),
    "--show-exports snd-hda-intel": (0, "0x0000054c\tsnd_hda_intel_symbol\n", ""),
    **{
        line: (1, "", f"modprobe: {text}\n")
        for line, text in {
            "--show-exports no_such": f"FATAL: Module no_such not found in directory /{MODULES}",
            "--show-modversions no_such": f"FATAL: Module no_such not found in directory /{MODULES}",
            "-a --show-exports no_such xfs": f"WARNING: Module no_such not found in directory /{MODULES}",
            "--show-modversions bad[": f"FATAL: Module bad[ not found in directory /{MODULES}",
            "--show-exports {root}/tmp/none.ko": "FATAL: Failed to get module from path /tmp/none.ko: "
            "No such file or directory",
            "--show-exports zswap": "FATAL: could not get symbols of zswap: No such file or directory",
            "--show-modversions gone": "FATAL: could not get modversions of gone: No such file or directory",
            "--show-modversions {root}/tmp/text.ko": "FATAL: could not get modversions of text: Invalid argument",
            "--show-exports {root}/tmp/text.ko": "FATAL: could not get symbols of text: Invalid argument",
            "--show-exports {root}/tmp/long-text.ko": "FATAL: could not get symbols of long_text: Exec format error",
            "--show-exports {root}/tmp/empty.ko": "FATAL: could not get symbols of empty: Invalid argument",
            "--show-exports {root}/tmp": "FATAL: could not get symbols of tmp: Is a directory",
            "--show-exports {root}/tmp/only-needs.ko": "FATAL: could not get symbols of only_needs: No data available",
            "--show-modversions {root}/tmp/only-has.ko": "FATAL: could not get modversions of only_has: "
            "No data available",
            "-a --show-exports {root}/tmp/only-needs.ko": "WARNING: could not get symbols of only_needs: "
            "No data available",
        }.items()
    },
}

KNOWN: dict[tuple[str, str], Known] = {
    ("command lines", "-V"): VERSION,
    ("command lines", "--version"): VERSION,
    ("command lines", "-V -h"): VERSION,
    ("command lines", "-D -V"): VERSION,
    ("command lines", "--sho"): Known(
        SHOW_ALIAS, 1, err=f"modprobe: option '--sho' is ambiguous; possibilities: {AMBIGUOUS}\n"
    ),
    ("command lines", "--show-"): Known(
        SHOW_ALIAS,
        1,
        err="modprobe: option '--show-' is ambiguous; possibilities: '--show-alias' '--show-depends' '--show-config' "
        "'--show-modversions' '--show-exports'\n",
    ),
    ("command lines", "--remove-"): Known(
        "deprecated names have a meaning of their own since 34.3",
        1,
        err="modprobe: option '--remove-' is ambiguous; possibilities: '--remove-dependencies' '--remove-holders'\n",
    ),
    ("no configuration", "--show-alias loop"): Known(SHOW_ALIAS, 0, "loop\n"),
    ("command lines", "MODPROBE_OPTIONS=\"-D loop 'a b' c\" | w"): Known(
        CLOSING, 0, f"insmod /{MODULES}/kernel/drivers/block/loop.ko a b c w\n"
    ),
    ("command lines", "MODPROBE_OPTIONS=\"-D loop 'a'b\" | w"): Known(
        CLOSING, 0, f"insmod /{MODULES}/kernel/drivers/block/loop.ko ab w\n"
    ),
    ("softdep lines", "-c"): Known(AGAIN, 0, "softdep blake2b_generic pre: b xorpost: a c\n"),
    ("softdep with odd names", "-q -n loop"): Known(
        "-n prints, with -q as well",
        0,
        insmod("drivers/net/mii", "crypto/xor", "drivers/block/loop"),
        "".join(
            f"libkmod: ERROR: kmod_config_parse: /{CONF} line {number}: ignoring bad line starting with 'softdep'\n"
            for number in (5, 6)
        ),
    ),
    ("a ring while removing", "-r -n loop"): Known("kmod never ends, or crashes", 0, "rmmod loop\nrmmod mii\n"),
    ("holders", "--remove-holders -n mii"): Known(
        "--remove-holders means -r", 1, "rmmod cdc_ether\n", "modprobe: FATAL: Module usbnet is in use.\n"
    ),
    ("holders", "-r -n --remove-holders mii"): Known(
        HOLDERS, 1, "rmmod cdc_ether\n", "modprobe: FATAL: Module usbnet is in use.\n"
    ),
    **{("symbols", line): Known(SYMBOLS, *said) for line, said in SYMBOLS_SINCE_34_3.items()},
    ("stale index", "-R needs_gone"): Known("kmod looks at files even to resolve a name", 0, "needs_gone\n"),
    ("stale index", "-D needs_gone"): NEEDS_GONE,
    ("stale index", "-n needs_gone"): NEEDS_GONE,
    ("stale index", "-q -D needs_gone"): Known(NEEDS_GONE.reason, 1),
    ("stale index", "-a -D needs_gone loop"): Known(NEEDS_GONE.reason, 1, insmod("drivers/block/loop"), NEEDS_GONE.err),
    ("stale index", "-D soft_needs_gone"): Known(
        "a soft dependency that lacks something is left out", 0, insmod("stale/soft_needs_gone")
    ),
    ("stale index", "-r -n needs_gone"): Known("kmod looks at files even to remove a module", 0),
}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> FakeRoot:
    return FakeRoot(tmp_path_factory.mktemp("root"))


@pytest.mark.parametrize(("title", "line"), list(cases()))
def test_as_kmod(root: FakeRoot, title: str, line: str) -> None:
    environment, words = parse(line)
    with root.holding(CORPUS[title].files):
        ours = root.ours(words, environment)
        theirs = root.kmod("kmod34", for_kmod(words), environment)
    ours.err = CARRIAGE_RETURN.sub(b"", DEPRECATED.sub(b"", ours.err))
    known = KNOWN.get((title, line))
    if known is None:
        assert ours == theirs
        return
    assert ours != theirs, "no difference any more"
    assert (ours.status, ours.err.decode()) == (known.status, known.err)
    assert known.out == ours.out.decode() or (known.out and known.out in ours.out.decode())


NOT_IN_30 = {
    "weakdep lines": "30 knows no weakdep",
    "white space of other kinds": "30 knows no weakdep",
    "comments and odd entries": "30 says nothing of links to nowhere",
    "files": "30 loads no files by path",
    "a built-in module's name for a file": "30 loads no files by path",
    "five directories": "30 does not read /usr/lib",
    "bad lines": "30 reports deprecated lines otherwise",
    "a dangling link": "30 words it otherwise",
    "symbols": "30 takes a module without symbols for a missing file",
}
PLACE_IN_30 = re.compile(rb"\.\./\w+/[\w.-]+:\d+ \w+\(\) ")


@pytest.mark.parametrize("title", [title for title in CORPUS if title not in NOT_IN_30])
def test_as_kmod_30(root: FakeRoot, title: str) -> None:
    for line in (line for own, line in cases() if own == title and (title, line) not in KNOWN):
        environment, words = parse(line)
        with root.holding(CORPUS[title].files):
            ours = root.ours(words, environment)
            theirs = root.kmod("kmod30", for_kmod(words), environment)
        ours.err = CARRIAGE_RETURN.sub(b"", DEPRECATED.sub(b"", ours.err))
        ours.out = re.sub(rb"(?m)^weakdep .*\n", b"", ours.out)
        theirs.err = PLACE_IN_30.sub(b"", theirs.err).replace(b"soft dependency", b"dependency")
        assert ours == theirs, line


def test_the_corpus_is_large_and_the_table_has_no_strays() -> None:
    assert len(list(cases())) > 700
    assert set(KNOWN) <= set(cases())


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("resolve-alias", "show-alias"),
        ("showconfig", "show-config"),
        ("dump-modversions", "show-modversions"),
        ("remove-dependencies", "remove-holders"),
        ("show", "dry-run"),
    ],
)
def test_deprecated_names_work_and_name_the_new_one(root: FakeRoot, old: str, new: str) -> None:
    operand = f"{{root}}/{MODULES}/kernel/fs/xfs/xfs.ko" if "modversions" in old else "xfs"
    before, now = (root.ours([f"--{name}", "-n", operand]) for name in (old, new))
    warning = f"modprobe: WARNING: --{old} is deprecated and scheduled for removal; use --{new}\n".encode()
    assert before == Outcome(now.status, now.out, warning + now.err)
