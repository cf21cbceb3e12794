# SPDX-License-Identifier: LGPL-2.1-or-later
"""kmod autoload: devices that are there, devices that appear, what is kept out, and who is not listened to."""

from __future__ import annotations

import errno
import json
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pymodutils import (
    AutoloadedModule,
    Autoloader,
    Context,
    DeniedError,
    LiveKernelNotAskedError,
    Match,
    Observer,
    Place,
    Roots,
    autoload,
)
from pymodutils.cli.verbs import readiness
from pymodutils.cli.verbs.autoload import status_line
from pymodutils.effects.uevents import UeventSocket
from pymodutils.formats.uevent import UEvent
from pymodutils.verbs import autoload as verb
from tests.support.common import BIN, REPO, run_inside
from tests.support.devices import lay_device
from tests.support.fakekernel import FakeKernel
from tests.support.forgedsystem import of_another_release
from tests.support.schemas import check_document


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeKernel:
    kernel = FakeKernel(tmp_path, monkeypatch)
    Path(kernel.roots.sys, "devices").mkdir()
    kernel.tree(
        {"bus": [], "net": ["bus"], "sound": [], "disk": ["bus"], "video": []},
        builtin=["inside"],
        aliases="pci:v1*=net pci:v2*=sound pci:v3*=disk pci:v4*=video pci:v5*=inside pci:v2d9*=net",
    )
    return kernel


def lay(kernel: FakeKernel, *modaliases: str) -> None:
    """Devices in the order in which they are looked at."""
    for modalias in modaliases:
        number = len(list(Path(kernel.roots.sys).glob("devices/pci0/*")))
        lay_device(Path(kernel.roots.sys), f"pci0/00:{number:02}", modalias)


class Hears(Observer):
    def __init__(self) -> None:
        self.heard: list[tuple[object, Exception | None]] = []

    def step_done(self, step: object, error: Exception | None) -> None:
        self.heard.append((step, error))


def until_loaded(kernel: FakeKernel, name: str) -> None:
    """Wait for what a thread does."""
    end = time.monotonic() + 20
    while name not in Context(kernel.roots).loaded_by_name() and time.monotonic() < end:
        time.sleep(0.01)
    time.sleep(0.3)  # what came of it is kept a moment later


def outcomes(modules: tuple[AutoloadedModule, ...]) -> list[tuple[str, str]]:
    return [(module.module, module.outcome) for module in modules]


def test_devices_that_are_there_in_order_and_each_once(kernel: FakeKernel) -> None:
    lay(kernel, "pci:v2d1", "pci:v1d1", "pci:v1d1", "pci:v2d1", "pci:v9d9", "pci:v1d2", "pci:v5d1", "pci:[")
    hears = Hears()
    report = autoload(Context(kernel.roots), jobs=1, observer=hears)
    assert kernel.loaded == ["sound", "bus", "net"]
    assert [call[1] for call in kernel.calls] == ["sound", "bus", "net"]
    assert outcomes(report.modules) == [("sound", "loaded"), ("net", "loaded"), ("inside", "present")]
    assert (report.aliases, report.unmatched, report.coldplugs, report.events) == (6, 2, 2, 0)
    assert report.modules[1].device == f"{kernel.roots.sys}/devices/pci0/00:01"
    assert report.modules[1].alias == "pci:v1d1"
    assert [step for step, _ in hears.heard] == [*report.modules, "coldplug"]


def test_one_alias_of_several_modules(kernel: FakeKernel) -> None:
    lay(kernel, "pci:v2d9")
    assert outcomes(autoload(Context(kernel.roots), jobs=1).modules) == [("sound", "loaded"), ("net", "loaded")]


def test_loads_side_by_side(kernel: FakeKernel) -> None:
    gate = threading.Barrier(2, timeout=20)

    def during(name: str) -> None:
        gate.wait()  # both at once, or never

    kernel.during = during
    lay(kernel, "pci:v2d1", "pci:v4d1")
    report = autoload(Context(kernel.roots), jobs=2)
    assert sorted(kernel.loaded) == ["sound", "video"] and not report.failed


def test_devices_that_a_module_brings(kernel: FakeKernel) -> None:
    lay(kernel, "pci:v1d1")
    kernel.during = lambda name: lay(kernel, "pci:v2d1") if name == "net" else None
    report = autoload(Context(kernel.roots))
    assert kernel.loaded == ["bus", "net", "sound"] and report.coldplugs == 3


def test_rules_keep_modules_out_with_all_that_they_need(kernel: FakeKernel) -> None:
    lay(kernel, "pci:v1d1", "pci:v2d1", "pci:v3d1", "pci:v4d1")
    kernel.configure("blacklist net\ninstall disk /bin/false\noptions sound x=1\ninstall video exit 3\n")
    report = autoload(Context(kernel.roots), jobs=1)
    assert kernel.loaded == ["sound"]
    assert outcomes(report.modules) == [
        ("net", "denied"), ("sound", "loaded"), ("disk", "denied"), ("video", "denied"),
    ]  # fmt: skip
    assert [module.by and module.by.line for module in report.modules] == [1, None, 2, 4]
    assert kernel.calls[0][2].strip() == "x=1"


def test_a_rule_of_the_policy_that_comes_meanwhile_is_named(
    kernel: FakeKernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(_loader: Autoloader, _done: AutoloadedModule, module: Match) -> AutoloadedModule:
        raise DeniedError(command="false", module=module.name, path="/e/p.conf", line=3, denial="why")

    monkeypatch.setattr(Autoloader, "_loaded", denied)
    lay(kernel, "pci:v2d1")
    (module,) = autoload(Context(kernel.roots), jobs=1).modules
    assert (module.outcome, module.by) == ("denied", Place("/e/p.conf", 3, "why"))


def test_an_install_command_of_its_own(kernel: FakeKernel, tmp_path: Path) -> None:
    lay(kernel, "pci:v2d1", "pci:v4d1")
    mark = tmp_path / "ran"
    kernel.configure(f"install sound touch {mark}\ninstall video touch {mark} && false\n")
    report = autoload(Context(kernel.roots), jobs=1)
    assert mark.exists()
    assert outcomes(report.modules) == [("sound", "failed"), ("video", "failed")]
    assert report.modules[0].error == "its install command did not load it"


def test_what_the_kernel_refuses(kernel: FakeKernel) -> None:
    lay(kernel, "pci:v2d1", "pci:v4d1")
    kernel.script["sound"] = [errno.ENODEV]
    hears = Hears()
    report = autoload(Context(kernel.roots), jobs=1, observer=hears)
    assert outcomes(report.failed) == [("sound", "failed")] and kernel.loaded == ["video"]
    errors = [error for _, error in hears.heard if error]
    assert len(errors) == 1 and isinstance(errors[0], OSError) and errors[0].errno == errno.ENODEV


def test_nothing_is_done_when_it_is_only_shown(kernel: FakeKernel) -> None:
    lay(kernel, "pci:v2d1", "pci:v1d1", "pci:v3d1")
    kernel.configure("blacklist disk\n")
    report = autoload(Context(kernel.roots), jobs=1, dry_run=True)
    assert outcomes(report.modules) == [("sound", "would-load"), ("net", "would-load"), ("disk", "denied")]
    assert (kernel.calls, kernel.loaded) == ([], [])
    other = autoload(of_another_release(kernel.roots), jobs=1, dry_run=True)
    assert outcomes(other.modules) == outcomes(report.modules)
    with pytest.raises(LiveKernelNotAskedError):
        autoload(Context(kernel.roots, live=False))
    with pytest.raises(LiveKernelNotAskedError):
        autoload(Context(Roots.of_system("/nowhere")), dry_run=True)


# --- events


class Told:
    """Stands for `UeventSocket`: tells what it is given, a list for each time somebody looks."""

    def __init__(self) -> None:
        self.foreign = 0
        self.turns: list[Any] = []
        self.closed = False

    def read(self, _timeout: float | None, _wake: int = -1) -> tuple[list[UEvent], bool]:
        one = self.turns.pop(0) if self.turns else KeyboardInterrupt()
        if isinstance(one, BaseException):
            raise one
        answer: tuple[list[UEvent], bool] = one() if callable(one) else one
        return answer

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Told:
    told = Told()
    monkeypatch.setattr(verb, "UeventSocket", lambda: told)
    return told


def event(modalias: str | None, action: str = "add") -> tuple[list[UEvent], bool]:
    return [UEvent(action, "/devices/new", "pci", modalias)], False


def followed(kernel: FakeKernel) -> verb.AutoloadReport:
    with Autoloader(Context(kernel.roots), follow=True, jobs=1) as loader:
        loader.coldplug()
        with pytest.raises(KeyboardInterrupt):
            loader.follow()
        loader.wait()
        return loader.report()


def test_devices_that_appear(kernel: FakeKernel, told: Told) -> None:
    told.turns = [event("pci:v2d1"), event("pci:v1d1", "remove"), event(None), event("pci:v4d1", "change"),
                  event("pci:v2d1")]  # fmt: skip
    report = followed(kernel)
    assert kernel.loaded == ["sound", "video"]
    assert (report.events, report.coldplugs, told.closed) == (5, 1, True)
    assert report.modules[0].device == f"{kernel.roots.sys}/devices/new"


def test_a_module_that_was_unloaded_is_loaded_again(kernel: FakeKernel, told: Told) -> None:
    def unload() -> tuple[list[UEvent], bool]:
        until_loaded(kernel, "sound")
        Context(kernel.roots).unload("sound")
        return event("pci:v2d1")

    told.turns = [event("pci:v2d1"), unload]
    followed(kernel)
    assert [call[:2] for call in kernel.calls] == [("finit", "sound"), ("delete", "sound"), ("finit", "sound")]


def test_lost_messages_mean_another_look_at_all_devices(kernel: FakeKernel, told: Told) -> None:
    def lose() -> tuple[list[UEvent], bool]:
        lay(kernel, "pci:v3d1")
        return [], True

    told.turns = [lose]
    report = followed(kernel)
    assert kernel.loaded == ["bus", "disk"] and report.coldplugs == 3


def test_indexes_and_rules_that_changed_count(kernel: FakeKernel, told: Told) -> None:
    def changed() -> tuple[list[UEvent], bool]:
        kernel.tree({"sound": [], "later": []}, aliases="pci:v7*=later pci:v2*=sound")
        kernel.configure("blacklist sound\n")
        return [*event("pci:v7d1")[0], *event("pci:v2d1")[0]], False

    told.turns = [event("pci:v7d1"), changed]
    report = followed(kernel)
    assert kernel.loaded == ["later"]
    assert outcomes(report.modules) == [("later", "loaded"), ("sound", "denied")]


def test_aliases_are_looked_up_once(kernel: FakeKernel, told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    looked_up: list[str] = []
    lookup = vars(verb)["lookup"]

    def counting(system: Any, alias: str) -> Any:
        looked_up.append(alias)
        return lookup(system, alias)

    monkeypatch.setattr(verb, "lookup", counting)
    lay(kernel, "pci:v2d1")
    told.turns = [event("pci:v2d1"), event("pci:v8d1"), event("pci:v8d1")]
    followed(kernel)
    assert looked_up == ["pci:v2d1", "pci:v8d1"]


def test_ten_thousand_forged_messages_change_nothing(kernel: FakeKernel, monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    ours.setblocking(False)
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
    monkeypatch.setattr(verb, "UeventSocket", lambda: UeventSocket(ours))
    message = b"add@/devices/x\0ACTION=add\0SUBSYSTEM=pci\0MODALIAS=pci:v2d1\0"
    thread = threading.Thread(target=lambda: [theirs.send(message) for _ in range(10_000)])
    thread.start()
    with Autoloader(Context(kernel.roots), follow=True) as loader:
        end = time.monotonic() + 60
        while loader.report().foreign < 10_000 and time.monotonic() < end:
            loader.turn(0.01)
        report = loader.report()
    thread.join()
    theirs.close()
    assert (report.foreign, report.events, report.modules, kernel.calls) == (10_000, 0, (), [])


def test_a_damaged_index_is_told_of(kernel: FakeKernel) -> None:
    lay(kernel, "pci:v2d1", "pci:v1d1")
    (kernel.modules / "modules.alias.bin").write_bytes(b"damage")
    report = autoload(Context(kernel.roots))
    assert [error.code for error in report.errors] == ["cannot-tell"] and report.modules == ()


# --- the command


def test_the_command(kernel: FakeKernel) -> None:
    lay(kernel, "pci:v2d1", "pci:v1d1", "pci:v4d1")
    kernel.configure("blacklist net\n")
    kernel.script["video"] = [errno.EIO]
    top = f"{kernel.roots.sys}/devices/pci0"
    shown = run_inside("kmod", ["autoload", "-n", "-j1"], kernel.roots)
    assert shown.out.decode().splitlines() == [
        f"would load sound for {top}/00:00", f"denied net by {kernel.config}/test.conf:1 for {top}/00:01",
        f"would load video for {top}/00:02",
    ]  # fmt: skip
    done = run_inside("kmod", ["autoload", "--coldplug", "-j1"], kernel.roots)
    assert done.status == 1
    assert done.out.decode().splitlines()[0] == f"loaded sound for {top}/00:00"
    assert done.err.decode() == f"kmod: ERROR: video: Input/output error (for {top}/00:02)\n"
    again = run_inside("kmod", ["autoload", "--coldplug", "--json"], kernel.roots)
    document = check_document(again.out)
    assert again.status == 0 and (document["aliases"], document["coldplugs"]) == (3, 2)
    assert {(module["module"], module["outcome"]) for module in document["modules"]} == {
        ("sound", "present"), ("net", "denied"), ("video", "loaded"),
    }  # fmt: skip


def test_kerneld_is_a_link_to_it(kernel: FakeKernel, tmp_path: Path) -> None:
    link = tmp_path / "kerneld"
    link.symlink_to(BIN / "kmod")
    done = subprocess.run([link, "--help"], capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.startswith("Usage:\n\tkerneld [options]\n")


@pytest.fixture
def service(kernel: FakeKernel, told: Told) -> Iterator[Callable[..., Any]]:
    """Runs the command in this process until the turns are over, with a signal of one's own among them."""
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)]

    def run(*words: str) -> Any:
        return run_inside("kmod", ["autoload", *words], kernel.roots)

    yield run
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)] == before
    assert signal.set_wakeup_fd(-1) == -1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_the_service_well(told: Told, service: Callable[..., Any], number: int, kernel: FakeKernel) -> None:
    def killed() -> tuple[list[UEvent], bool]:
        until_loaded(kernel, "sound")
        os.kill(os.getpid(), number)
        time.sleep(1)
        raise AssertionError("still here")

    lay(kernel, "pci:v1d1")
    told.turns = [event("pci:v2d1"), killed]
    done = service("--json")
    assert (done.status, done.err) == (0, b"")
    assert {module["module"] for module in check_document(done.out)["modules"]} == {"net", "sound"}
    assert told.closed


def test_a_signal_asks_for_the_status(told: Told, service: Callable[..., Any]) -> None:
    def asked() -> tuple[list[UEvent], bool]:
        os.kill(os.getpid(), signal.SIGUSR1)
        return event("pci:v2d1")

    told.turns = [asked, ([], False)]
    done = service()
    assert done.err.startswith(b"kmod: WARNING: modules: ") and done.err.count(b"\n") == 1
    assert b"; 1 events, 0 foreign messages; devices looked at 1 times" in done.err


def test_readiness_is_told_in_each_way(
    told: Told, service: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kernel: FakeKernel
) -> None:
    lay(kernel, "pci:v2d1")
    hears = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    hears.bind(str(tmp_path / "notify"))
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    read, write = os.pipe()
    assert service("--ready-fd", str(write)).status == 0
    assert os.read(read, 10) == b"\n" and os.read(read, 10) == b""
    assert hears.recv(100) == b"READY=1" and hears.recv(100) == b"STOPPING=1"
    os.close(read)
    abstract = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    abstract.bind(f"\0pymodutils-test-{os.getpid()}")
    monkeypatch.setenv("NOTIFY_SOCKET", f"@pymodutils-test-{os.getpid()}")
    readiness.Readiness().tell("STATUS=x")
    assert abstract.recv(100) == b"STATUS=x"
    for nobody in ("", "/no/such", "nonsense", "@nobody-here"):
        monkeypatch.setenv("NOTIFY_SOCKET", nobody)
        readiness.Readiness().ready()
    hears.close()
    abstract.close()


BACKGROUND = """
import os, sys, time
sys.path.insert(0, {repo!r})
from pymodutils.cli.verbs import readiness
fd = readiness.go_to_background()
if sys.argv[1] == "fails":
    os._exit(3)
time.sleep(0.2)
print("said before", flush=True)
readiness.leave_terminal()
os.write(fd, b"x")
os.close(fd)
print("not said", flush=True)
assert os.getsid(0) == os.getpid()
open({mark!r}, "w").write("done")
"""


def test_the_parent_of_a_daemon_ends_when_it_is_ready(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    code = BACKGROUND.format(repo=str(REPO), mark=str(mark))
    done = subprocess.run(["python3", "-c", code, "works"], capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stdout, done.stderr) == (0, "said before\n", "")
    end = time.monotonic() + 10
    while not mark.exists() and time.monotonic() < end:
        time.sleep(0.01)
    assert mark.exists()
    assert subprocess.run(["python3", "-c", code, "fails"], timeout=30).returncode == 3


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["net"], b"loads for all devices, not net"),
        (["-j", "0"], b"no number to go by: 0"),
        (["-j", "many"], b"no number to go by: many"),
        (["--ready-fd", "-1"], b"no number to go by: -1"),
        (["--ready-fd", "987"], b"no open descriptor: 987"),
        (["--root=/tmp"], b"another system or release"),
        (["-n", "-m", "/nowhere"], b"/nowhere/"),
    ],
)
def test_mistakes(kernel: FakeKernel, words: list[str], says: bytes) -> None:
    done = run_inside("kmod", ["autoload", *words], kernel.roots)
    assert (done.status, done.out) == (2, b"") and says in done.err and done.err.count(b"\n") == 1


def test_the_status_in_a_line(kernel: FakeKernel) -> None:
    lay(kernel, "pci:v2d1", "pci:v9d1")
    report = autoload(Context(kernel.roots))
    assert status_line(report) == (
        "modules: 1 loaded, 0 present, 0 denied, 0 failed; 2 modaliases, 1 of no module; 0 events, 0 foreign messages; "
        "devices looked at 2 times"
    )
    assert json.loads(report.to_json())["modules"][0]["module"] == "sound"
