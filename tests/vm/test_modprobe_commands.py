# SPDX-License-Identifier: LGPL-2.1-or-later
"""Install commands on a real kernel, which may call modprobe again, compared with the real kmod's."""

from __future__ import annotations

import signal

import pytest

from tests.vm.cases import PARAMETERS, Case, cases, configure, do, load
from tests.vm.harness import Guest, compare

pytestmark = pytest.mark.one_kernel("6.12")  # the other one has enough to do

SHOW_ENVIRONMENT = "env | grep ^MODPROBE | sort"


@cases(
    Case("instead", "modprobe pmt_a", config="install pmt_a echo installing", modules="", kmod30=True),
    Case("shown only", "modprobe -n -v pmt_c", config="install pmt_b echo installing", modules=""),
    Case("disabling a module", "modprobe -v pmt_a", config="install pmt_a /bin/true", modules=""),
    Case("with -i", "modprobe -i -v pmt_a", config="install pmt_a exit 1", modules="pmt_a"),
    Case("calling modprobe -i", "modprobe pmt_c", modules="pmt_a pmt_b pmt_c",
         config="install pmt_c echo before; modprobe -i -v pmt_c $CMDLINE_OPTS && echo after"),
    Case("calling modprobe for others", "modprobe both", modules="pmt_dash pmt_a",
         config="install both modprobe pmt_dash; modprobe pmt_a"),
    Case("calling modprobe for two that do so themselves", "modprobe one", modules="pmt_a pmt_b pmt_c",
         config="install one modprobe two && echo one\ninstall two modprobe pmt_c && echo two"),
    Case("calling each other, to an end", "modprobe pmt_a", modules="pmt_dash pmt_a",
         config="install pmt_a modprobe pmt_dash; modprobe -i pmt_a\n"
         "install pmt_dash modprobe -i pmt_dash; modprobe pmt_a"),
    Case("of a dependency", "modprobe pmt_c", modules="pmt_a pmt_b pmt_c",
         config="install pmt_b modprobe -i -v pmt_b; echo done\noptions pmt_b level=6",
         after="cat /sys/module/pmt_b/parameters/level"),
    Case("of a dependency that does nothing", "modprobe pmt_c", config="install pmt_b true", modules="pmt_a",
         error="could not insert 'pmt_c': Unknown symbol in module, or unknown parameter (see dmesg)"),
    Case("with the options in it", "modprobe pmt_params number=3", words=("text=a b",), after=PARAMETERS,
         config="options pmt_params flag\ninstall pmt_params modprobe -i -v pmt_params $CMDLINE_OPTS unsigned=5"),
    Case("with options twice", "modprobe pmt_params number=3", config="options pmt_params flag\n"
         "install pmt_params echo [$CMDLINE_OPTS] [$CMDLINE_OPTS]"),
    Case("in its environment", "modprobe pmt_a", config=f"install pmt_a {SHOW_ENVIRONMENT}"),
    Case("in its environment, options", "modprobe -q -v -C /etc/modprobe.d/test.conf pmt_c", status=1,
         config=f"install pmt_b {SHOW_ENVIRONMENT}"),
    Case("in its environment, options and more", "modprobe -q pmt_a", config=f"install pmt_a {SHOW_ENVIRONMENT}",
         options={"env": {"MODPROBE_OPTIONS": "-q"}}),
    Case("inheriting the configuration", "modprobe -C /tmp/chosen start", modules="pmt_params", after=PARAMETERS,
         setup=[lambda guest: guest.put(
             "/tmp/chosen", b"install start modprobe pmt_params\noptions pmt_params number=77\n")]),
    Case("found by a pattern", "modprobe pmt_a", config="install pmt_? echo pattern", modules=""),
    Case("the first one wins", "modprobe pmt_a", config="install pmt_a echo 1\ninstall pmt_a echo 2", modules=""),
    Case("of what is loaded", "modprobe pmt_a", setup=load("pmt_a"), config="install pmt_a echo again"),
    Case("of an alias", "modprobe other", config="alias other pmt_a\ninstall pmt_a echo installing"),
    Case("with a softdep line", "modprobe -v pmt_a", config="softdep pmt_a pre: pmt_dash\ninstall pmt_a echo no",
         modules="pmt_dash pmt_a"),
    Case("with -a", "modprobe -a pmt_a pmt_dash pmt_params", config="install pmt_dash modprobe pmt_c",
         modules="pmt_a pmt_b pmt_c pmt_params"),
    Case("reading nothing", "modprobe pmt_a", config="install pmt_a cat; echo end"),
    Case("first time", "modprobe --first-time pmt_a", config="install pmt_a echo first"),
)  # fmt: skip
def test_install_commands(guest: Guest, case: Case) -> None:
    do(guest, case)


@cases(
    Case("of the module", "modprobe -v pmt_a", config="install pmt_a echo installing", modules=""),
    Case("of a dependency with -i", "modprobe -i -v pmt_c", modules="pmt_a pmt_b pmt_c",
         config="install pmt_b echo installing; modprobe -i pmt_b"),
    Case("with options and no place for them", "modprobe -v pmt_params number=3",
         config="options pmt_params flag\ninstall pmt_params echo"),
    Case("of a softdep", "modprobe -v pmt_a", config="softdep pmt_a pre: pmt_dash\ninstall pmt_dash echo installing",
         modules="pmt_a"),
)  # fmt: skip
def test_a_command_is_shown_before_it_prints(guest: Guest, case: Case) -> None:
    """kmod's line appears when it ends, if its output is no terminal."""
    done = compare(guest, case.command.split(), [configure(case.config)]).assert_same(ignore=["stdout"])
    lines = done.ours.check().stdout.splitlines()
    assert sorted(lines) == sorted(done.kmod.stdout.splitlines())
    (shown,) = [number for number, line in enumerate(lines) if line.startswith(b"install ")]
    assert not lines[shown + 1].startswith(b"insmod")
    assert list(reversed(done.ours.modules)) == (case.modules or "").split()


@cases(
    Case("", "modprobe pmt_a", "Error running install command 'exit 3' for module pmt_a: retcode 3\n"
         "could not insert 'pmt_a': Invalid argument", config="install pmt_a exit 3", kmod30=True),
    Case("unknown program", "modprobe pmt_a", "Error running install command 'no-such 2> /dev/null' for module pmt_a: "
         "retcode 127\ncould not insert 'pmt_a': Invalid argument", config="install pmt_a no-such 2> /dev/null"),
    Case("refusing", "modprobe -v pmt_a", "Error running install command '/bin/false' for module pmt_a: retcode 1\n"
         "could not insert 'pmt_a': Invalid argument", config="install pmt_a /bin/false"),
    Case("dependency", "modprobe -v pmt_c", "Error running install command 'exit 3' for module pmt_b: retcode 3\n"
         "could not insert 'pmt_c': Invalid argument", config="install pmt_b exit 3", modules="pmt_a"),
    Case("softdep", "modprobe -v pmt_a", "Error running install command 'exit 3' for module pmt_dash: retcode 3",
         config="softdep pmt_a pre: pmt_dash\ninstall pmt_dash exit 3", status=0, modules="pmt_a"),
    Case("quietly", "modprobe -q pmt_a", config="install pmt_a exit 3", status=1),
    Case("with -a", "modprobe -a pmt_a pmt_dash", "Error running install command 'exit 3' for module pmt_a: retcode 3\n"
         "could not insert 'pmt_a': Invalid argument", config="install pmt_a exit 3", modules="pmt_dash"),
    Case("modprobe in it", "modprobe pmt_a", "FATAL: Module no_such not found in directory /lib/modules/RELEASE\n"
         "Error running install command 'modprobe no_such' for module pmt_a: retcode 1\n"
         "could not insert 'pmt_a': Invalid argument", config="install pmt_a modprobe no_such"),
)  # fmt: skip
def test_install_commands_that_fail(guest: Guest, case: Case) -> None:
    import dataclasses

    do(guest, dataclasses.replace(case, error=case.error.replace("RELEASE", guest.release)))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGSEGV])
def test_an_install_command_that_is_killed_is_a_failure(guest: Guest, number: signal.Signals) -> None:
    """kmod takes it for a success, and goes on with what depends on it."""
    done = compare(guest, ["modprobe", "pmt_b"], [configure(f"install pmt_b kill -{number.value} $$")])
    assert (done.ours.status, done.kmod.status) == (1, 0)
    assert done.ours.stderr.decode() == (
        f"modprobe: ERROR: Error running install command 'kill -{number.value} $$' for module pmt_b: "
        f"killed by signal {number.value}\n"
        "modprobe: ERROR: could not insert 'pmt_b': Invalid argument\n"
    )


@pytest.mark.parametrize(
    "text",
    [
        "install pmt_a modprobe pmt_a",
        "install pmt_a modprobe pmt_dash\ninstall pmt_dash modprobe pmt_a",
        "install pmt_a sh -c 'exec env -u MODPROBE_OPTIONS modprobe pmt_a'",
    ],
    ids=["itself", "in turn", "through a shell"],
)
def test_an_install_command_that_ends_where_it_began_is_refused(guest: Guest, text: str) -> None:
    """kmod never ends."""
    guest.put("/etc/modprobe.d/loop.conf", text.encode())
    result = guest.tool("ours", ["modprobe", "pmt_a"], timeout=20)
    assert (result.status, result.timed_out, result.modules) == (1, False, {}), result
    assert b"calls itself" in result.stderr
    guest.reset()
    guest.put("/etc/modprobe.d/loop.conf", b"install pmt_a modprobe pmt_a\n")
    assert guest.tool("kmod34", ["modprobe", "pmt_a"], timeout=2).timed_out


def test_a_command_gets_the_signals_everybody_gets(guest: Guest) -> None:
    """Python ignores SIGPIPE; a command must not inherit that."""
    guest.put("/etc/modprobe.d/test.conf", b"install pmt_a { trap; kill -PIPE $$; echo still here; }\n")
    result = guest.tool("ours", ["modprobe", "pmt_a"])
    assert b"still here" not in result.stdout
    assert b"killed by signal 13" in result.stderr
