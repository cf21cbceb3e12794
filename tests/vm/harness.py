# SPDX-License-Identifier: LGPL-2.1-or-later
"""Boot a Debian kernel in QEMU and run steps in it, as root, with our commands and with the real kmod's.

    with boot("6.1", modules=["loop"]) as guest:
        result = guest.run(["lsmod"])                   # program and arguments; a str is for /bin/sh
        result.status, result.stdout, result.modules    # bytes; /proc/modules just after: {name: Module}
        guest.python("load('/opt/pmt/pmt_held.ko'); print(modules())")   # with the names that agent.py offers
        job = guest.start(["sleep", "9"], timeout=10)   # does not wait: steps run side by side
        job.wait()
        guest.reset()                                   # as after boot: nothing loaded, nothing configured

        both = compare(guest, ["rmmod", "pmt_a"], setup=[["insmod", guest.own("pmt_a")]])
        both.assert_same()

Emulation in software only: no KVM is needed or used. A step that outlives its time is killed and says so in its result;
a guest that panics, or no longer answers, raises GuestDied with the end of its console.
"""

from __future__ import annotations

import atexit
import base64
import dataclasses
import itertools
import json
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.support import assets
from tests.vm import image

KERNEL_OPTIONS = (
    "console=ttyS0 quiet panic=-1 mitigations=off nokaslr tsc=reliable no_timer_check cryptomgr.notests=1 nowatchdog "
    "random.trust_cpu=on printk.devkmsg=on rcupdate.rcu_expedited=1 "
    "lsm=capability audit=0 norandmaps init_on_alloc=0"  # these halve what starting a program costs under emulation
)
MODULES = (
    "loop dummy veth tun bridge 8021q btrfs xfs nfsd snd_hda_intel kvm dm_crypt raid456 zram ext4 vfat isofs squashfs "
    "overlay cifs fuse nbd sctp tcp_bbr nf_tables ip_tables iptable_nat virtio_blk virtio_net e1000 usb_storage msdos "
    "binfmt_misc crc32c_generic libcrc32c pcspkr parport_pc lp i2c_dev softdog i915 can_raw wireguard vxlan "
    "macvlan dm_thin_pool"
).split()
"""What a guest has unless `boot` is told otherwise, with all their dependencies."""

PATH = "/usr/sbin:/usr/bin"
DEFAULT_TIMEOUT = 30.0
_LINE_LIMIT = 16_000  # bytes the guest's serial line surely holds while nobody reads it


class GuestDied(Exception):
    """The guest panicked, stopped answering, or never came up; the message ends with its console."""


@dataclasses.dataclass(frozen=True)
class Module:
    """One line of /proc/modules."""

    refcount: int
    holders: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Result:
    """What came of a step."""

    status: int | None  # exit status; negative: the signal that ended it; None: it did not end even when killed
    stdout: bytes
    stderr: bytes
    log: list[str]  # kernel log since the step before this one ended
    modules: dict[str, Module]  # /proc/modules when the step had ended, in its order
    seconds: float
    timed_out: bool

    def check(self) -> Result:
        """The result itself if the step succeeded, else AssertionError showing all of it."""
        assert self.status == 0, str(self)
        return self

    def __str__(self) -> str:
        parts = [f"status {self.status}{' (timed out)' if self.timed_out else ''}"]
        for name in ("stdout", "stderr"):
            if text := getattr(self, name).decode(errors="backslashreplace").rstrip("\n"):
                parts.append(f"{name}:\n    " + text.replace("\n", "\n    "))
        return "\n".join([*parts, *(f"log: {line}" for line in self.log)])


class Job:
    """A step under way."""

    def __init__(self, guest: Guest, number: int, timeout: float) -> None:
        self._guest, self._number, self._timeout = guest, number, timeout

    def wait(self) -> Result:
        """Wait for its end, which the guest enforces. Raises GuestDied."""
        return self._guest._result(self._number, self._timeout + 15)

    def signal(self, number: int = signal.SIGTERM) -> None:
        """Send a signal to the step and what it started."""
        self._guest._send({"id": self._number, "signal": int(number)})


class Guest:
    """A booted machine. Make one with `boot`; use it as a context manager, or call close."""

    def __init__(self, kernel: str, process: subprocess.Popen[bytes], console: Path, limit: float) -> None:
        self.kernel, self.release = kernel, assets.release(kernel)
        self._process, self._console, self._death = process, console, time.monotonic() + limit
        self._number = 0
        self._found_dead = False
        self._clean = True  # no step has run since boot or the last reset
        self._messages: dict[Any, dict[str, Any]] = {}
        self._arrived = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        atexit.register(process.kill)

    # --- steps

    def run(self, argv: Sequence[str] | str, **options: Any) -> Result:
        """Run a program (a list) or a shell command (a str) and wait; options as for `start`."""
        return self.start(argv, **options).wait()

    def python(self, code: str, **options: Any) -> Result:
        """Run Python code in a copy of the guest's first process; agent.py says what it can use."""
        return self.start([], python=code, **options).wait()

    def start(
        self,
        argv: Sequence[str] | str,
        *,
        python: str | None = None,
        program: str | None = None,
        stdin: bytes = b"",
        env: Mapping[str, str] | None = None,
        cwd: str = "/",
        uid: int = 0,
        close: Iterable[int] = (),
        merge: bool = False,
        timeout: float = DEFAULT_TIMEOUT,
    ) -> Job:
        """Start a step without waiting for it.

        program: what to execute, if not argv[0]. env: added to PATH and HOME. uid: also the group. close: descriptors
        the step must not have. merge: stderr goes where stdout goes, in order. timeout: seconds, then it is killed.
        """
        words = ["/bin/sh", "-c", argv] if isinstance(argv, str) else list(argv)
        step: dict[str, Any] = {"argv": words, "program": program, "cwd": cwd, "uid": uid, "close": list(close)}
        step |= {"stdin": _encode(stdin), "env": {"PATH": PATH, "HOME": "/root"} | dict(env or {})}
        step |= {"merge": merge, "timeout": timeout}
        if python is not None:
            step["python"] = python
        return self._start(step, timeout)

    def run_steps(self, steps: Iterable[Mapping[str, Any]]) -> list[Result]:
        """Run steps that are data: each the arguments of `start` by name."""
        return [self.start(**step).wait() for step in steps]

    def reset(self) -> None:
        """Back to the state after boot: nothing runs, nothing is loaded, mounted or configured, /tmp is empty.

        What cannot be undone: kernel taint, modules_disabled, sig_enforce, changes to /usr and /opt.
        """
        if self._clean:
            return
        left = self.python("print(*reset())").check().stdout.split()
        if left:
            raise GuestDied(f"these modules would not unload: {b' '.join(left).decode()}")
        self._clean = True

    def put(self, path: str, content: bytes, mode: int = 0o644) -> str:
        """Write a file in the guest, with its directories; returns its path."""
        for start in range(0, len(content) or 1, 8192):
            code = f"write({path!r}, sys.stdin.buffer.read(), {mode}, append={start > 0})"
            self.python(code, stdin=content[start : start + 8192]).check()
        return path

    def own(self, name: str, suffix: str = "") -> str:
        """Path in the guest of one of our own modules; suffix .gz, .xz or .zst for its compressed form."""
        return f"{image.GUEST_MODULES}/{name}.ko{suffix}"

    def tool(self, tool: str, command: Sequence[str], **options: Any) -> Result:
        """Run a module command (`["rmmod", "-f", "loop"]`) of one of TOOLS. All get the same argv[0]."""
        return self.start_tool(tool, command, **options).wait()

    def start_tool(self, tool: str, command: Sequence[str], **options: Any) -> Job:
        """As `tool`, without waiting."""
        argv0 = f"{image.GUEST_CHECKOUT}/bin/{command[0]}"
        program, words, directory = TOOLS[tool](argv0)
        env = {"PATH": f"{directory}:{PATH}"} | dict(options.pop("env", {}))
        return self.start([*words, *command[1:]], program=program, env=env, **options)

    # --- the line to the agent

    def _start(self, step: dict[str, Any], timeout: float) -> Job:
        self._number += 1
        self._clean = False
        self._send({"id": self._number, **step})
        return Job(self, self._number, timeout)

    def _send(self, message: dict[str, Any]) -> None:
        line = json.dumps(message).encode() + b"\n"
        if len(line) > _LINE_LIMIT:
            raise ValueError(f"a step of {len(line)} bytes: use put for large content")
        assert self._process.stdin
        try:
            self._process.stdin.write(line)
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self._died("it has ended") from None

    def _read(self) -> None:
        assert self._process.stdout
        lines = iter(self._process.stdout)
        first = b"{" + next((line for line in lines if b"{" in line), b"").partition(b"{")[2]  # behind what UEFI says
        for line in itertools.chain([first], lines):
            with self._arrived:
                try:
                    message = json.loads(line)
                except ValueError:
                    break
                self._messages[message.get("id") or next(iter(message))] = message
                self._arrived.notify_all()
        with self._arrived:
            self._messages["end"] = {}
            self._arrived.notify_all()

    def _take(self, key: Any, timeout: float) -> dict[str, Any]:
        deadline = min(time.monotonic() + timeout, self._death)
        with self._arrived:
            self._arrived.wait_for(
                lambda: key in self._messages or "end" in self._messages, max(0, deadline - time.monotonic())
            )
            if key in self._messages:
                return self._messages.pop(key)
            ended = "end" in self._messages
        raise self._died("it ended without an answer" if ended else "no answer in time")

    def _result(self, number: int, timeout: float) -> Result:
        message = self._take(number, timeout)
        del message["id"]
        modules = {name: Module(count, tuple(holders)) for name, (count, holders) in message.pop("modules").items()}
        stdout, stderr = _decode(message.pop("stdout")), _decode(message.pop("stderr"))
        return Result(stdout=stdout, stderr=stderr, modules=modules, **message)

    def _died(self, reason: str) -> GuestDied:
        self._found_dead = True
        self._process.kill()
        self._process.wait()
        console = self._console.read_text(errors="replace")
        if "Kernel panic" in console:
            reason = "kernel panic"
        return GuestDied(f"guest {self.kernel}: {reason}\n--- console\n{console[-4000:]}")

    # --- end

    def close(self) -> None:
        """Power off. Raises GuestDied unless the guest was well to the end, or that was raised before."""
        try:
            if not self._found_dead:
                self._send({"poweroff": True})
                self._take("bye", 15)
        finally:
            self.kill()

    def kill(self) -> None:
        """End the guest as it is."""
        self._process.kill()
        self._process.wait()
        atexit.unregister(self._process.kill)
        self._reader.join(5)
        shutil.rmtree(self._console.parent, ignore_errors=True)

    def __enter__(self) -> Guest:
        return self

    def __exit__(self, kind: type[BaseException] | None, *details: object) -> None:
        if kind is None:
            self.close()
        else:
            self.kill()


def boot(
    kernel: str = "6.1",
    modules: Iterable[str] | None = MODULES,
    *,
    cmdline: str = "",
    memory: int = 0,
    cpus: int = 1,
    boot_timeout: float = 240,
    limit: float = 3600,
    qemu: Sequence[str] = (),
    extra: Sequence[Path] = (),
    vmlinux: Path | None = None,
    machine: Callable[[Path, int, str], list[str]] | None = None,
) -> Guest:
    """Boot a kernel of assets.KERNELS and wait until steps can run.

    modules: names of Debian's modules to have, with what they depend on; None for all 4,000 of them. cmdline: added to
    the kernel's. memory: MiB, default as much as needed. limit: seconds after which the guest is ended, whatever it
    does. cpus: one makes everything faster; two are for races. qemu: more arguments for QEMU. extra: more archives.
    vmlinux: the kernel itself, changed. machine: makes QEMU's words from the folder, the MiB and the kernel's options.
    """
    folder = Path(tempfile.mkdtemp(prefix="pymodutils-vm-"))
    try:
        size = _write_initramfs(folder / "initramfs", [*image.archives(kernel, modules), *extra])
        memory = memory or 512 + 3 * size // 2**20
        if machine:
            command = machine(folder, memory, f"{KERNEL_OPTIONS} {cmdline}")
        else:
            command = _qemu(kernel, folder, memory, cpus, cmdline, vmlinux)
        process = subprocess.Popen([*command, *qemu], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    except BaseException:
        shutil.rmtree(folder)
        raise
    guest = Guest(kernel, process, folder / "console", limit)
    try:
        guest._take("ready", boot_timeout)
    except BaseException:
        guest.kill()
        raise
    (folder / "initramfs").unlink()
    return guest


def _write_initramfs(output: Path, archives: Iterable[Path]) -> int:
    image.write_checkout(output)
    with open(output, "ab") as stream:
        for archive in archives:
            with open(archive, "rb") as source:
                shutil.copyfileobj(source, stream, 1 << 20)
        return stream.tell()


def _qemu(
    kernel: str, folder: Path, memory: int, cpus: int, cmdline: str, vmlinux: Path | None = None
) -> list[str]:  # fmt: skip
    return [
        *"qemu-system-x86_64 -machine pc,accel=tcg -cpu max,la57=off -nodefaults -display none -no-reboot".split(),
        *("-smp", str(cpus), "-m", str(memory)),
        *("-kernel", str(vmlinux or assets.vmlinux(kernel)), "-initrd", str(folder / "initramfs")),
        *("-append", f"{KERNEL_OPTIONS} {cmdline}"),
        *("-serial", f"file:{folder / 'console'}", "-serial", "stdio"),
    ]


def _encode(data: bytes) -> str:
    return base64.b64encode(zlib.compress(data)).decode()


def _decode(text: str) -> bytes:
    return zlib.decompress(base64.b64decode(text))


# --- our commands and the real ones, side by side


Start = tuple[str | None, list[str], str]
"""The program to execute, the first words, and the directory to put into PATH."""


def _ours(argv0: str) -> Start:
    return None, [argv0], f"{image.GUEST_CHECKOUT}/bin"


def _kmod34(argv0: str) -> Start:
    root = Path(image.GUEST_KMOD34)
    return None, [str(word) for word in assets.kmod34_words(root, argv0)], f"{root}/bin"


def _kmod30(argv0: str) -> Start:
    return "/usr/bin/kmod", [argv0], "/usr/sbin"


TOOLS: dict[str, Callable[[str], Start]] = {"ours": _ours, "kmod34": _kmod34, "kmod30": _kmod30}
"""Whose commands a step may use, and how each is started under a given argv[0]."""

Setup = Sequence[Sequence[str] | str | Callable[[Guest], object]]


@dataclasses.dataclass(frozen=True)
class Comparison:
    """The same step done by several tools, each from the same state."""

    command: list[str]
    results: dict[str, Result]
    afterwards: dict[str, bytes] = dataclasses.field(default_factory=dict)

    @property
    def ours(self) -> Result:
        return self.results["ours"]

    @property
    def kmod(self) -> Result:
        """What the first of the other tools did."""
        return next(result for tool, result in self.results.items() if tool != "ours")

    def assert_same(self, *, ignore: Iterable[str] = ()) -> Comparison:
        """Fail unless ours did as each other tool; `ignore` names what may differ: fields of Result, "afterwards"."""
        compared = {"status", "stdout", "stderr", "modules", "timed_out", "afterwards"} - set(ignore)
        for tool in self.results:
            differing = sorted(name for name in compared if self._of("ours", name) != self._of(tool, name))
            assert not differing, f"{' '.join(self.command)}: {', '.join(differing)} differ\n{self}"
        return self

    def _of(self, tool: str, name: str) -> object:
        """What is compared: a field of the tool's result, or the output of the command that looked afterwards."""
        if name == "afterwards":
            return self.afterwards.get(tool)
        value = getattr(self.results[tool], name)
        return normal(value) if name == "stderr" else list(value.items()) if name == "modules" else value

    def __str__(self) -> str:
        parts = []
        for tool, result in self.results.items():
            parts += [f"--- {tool}: {result}", f"modules: {result.modules}"]
            parts += [f"afterwards: {self.afterwards[tool]!r}"] if tool in self.afterwards else []
        return "\n".join(parts)


_SOURCE_PLACE = re.compile(rb"\.\./libkmod/[\w.-]+:\d+ (\w+)\(\) |(libkmod: \w+) \.\./libkmod/[\w.-]+:\d+ (\w+): ")


def normal(message: bytes) -> bytes:
    """A message of kmod without the places in its source that Debian's builds print (docs/behaviour/5-details.md)."""
    return _SOURCE_PLACE.sub(lambda match: b"" if match[1] else b"%s: %s: " % (match[2], match[3]), message)


def compare(
    guest: Guest,
    command: Sequence[str],
    setup: Setup = (),
    *,
    tools: Sequence[str] = ("ours", "kmod34"),
    after: Sequence[str] | str | None = None,
    **options: Any,
) -> Comparison:
    """Do the same with several tools, each after a reset and `setup`; options are those of `Guest.start`.

    Setup is made of steps, which must succeed and where a command is the real kmod 30's, and of functions of the guest.
    after: a step that looks at what the command has done; its output is compared too.
    """
    results: dict[str, Result] = {}
    afterwards: dict[str, bytes] = {}
    for tool in tools:
        guest.reset()
        for step in setup:
            if callable(step):
                step(guest)
            else:
                guest.run(step).check()
        results[tool] = guest.tool(tool, command, **options)
        if after is not None:
            afterwards[tool] = guest.run(after).stdout
    return Comparison(list(command), results, afterwards)
