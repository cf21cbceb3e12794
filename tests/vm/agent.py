# SPDX-License-Identifier: LGPL-2.1-or-later
"""The guest's first process: runs steps that the host sends over the second serial port, and sends their results back.

Both ways go lines of JSON. A step is {"id", "argv" or "python", ...} as `harness.Guest.start` writes it; its result is
{"id", "status", "stdout", "stderr", "log", "modules", "seconds", ...}. Steps run side by side; each leaves its output
in files, so that what a step leaves running behind it holds nobody up. The names under "for python steps" are what
the code of a python step can use.

It runs in the guest only, where nothing but Debian's Python is installed.
"""

from __future__ import annotations

import base64
import contextlib
import ctypes
import errno
import json
import os
import re
import select
import shutil
import signal
import sys
import termios
import time
import traceback
import tty
import zlib
from typing import Any

RELEASE = os.uname().release
CONFIG_DIRECTORIES = ("/etc", "/run", "/usr/local/lib", "/usr/lib")
KILL_GRACE = 1.5  # seconds that a killed step may still take to end before its result goes out without it
IDLE_LIMIT = 900.0  # seconds without any step: the host's process has died, so power off

O_NONBLOCK, O_TRUNC = os.O_NONBLOCK, os.O_TRUNC
_SYS_FINIT_MODULE, _SYS_DELETE_MODULE = 313, 176  # x86-64
_libc = ctypes.CDLL(None, use_errno=True)


# --- for python steps


def read(path: str) -> str:
    """A file's whole text."""
    with open(path) as stream:
        return stream.read()


def write(path: str, content: bytes, mode: int = 0o644, append: bool = False) -> None:
    """Make a file, and the directories it is in."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "ab" if append else "wb") as stream:
        stream.write(content)
    os.chmod(path, mode)


def modules() -> dict[str, list[Any]]:
    """/proc/modules: {name: [reference count, [holders]]}, in its order."""
    found = {}
    for line in read("/proc/modules").splitlines():
        name, _size, count, holders = line.split()[:4]
        found[name] = [int(count), [] if holders == "-" else holders.rstrip(",").split(",")]
    return found


def load(path: str, parameters: str = "", flags: int = 0) -> None:
    """finit_module. Raises OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        _check(_libc.syscall(_SYS_FINIT_MODULE, fd, parameters.encode(), flags), path)
    finally:
        os.close(fd)


def unload(name: str, flags: int = O_NONBLOCK) -> None:
    """delete_module. Raises OSError."""
    _check(_libc.syscall(_SYS_DELETE_MODULE, name.encode(), flags), name)


def mount(source: str, target: str, kind: str, options: str = "") -> None:
    os.makedirs(target, exist_ok=True)
    _check(_libc.mount(source.encode(), target.encode(), kind.encode(), 0, options.encode()), target)


def reset() -> list[str]:
    """Bring the guest back to what it was after boot; returns the modules that would not go.

    Ends all other steps, unmounts, unloads, empties the configuration directories and /tmp, restores kernel.modprobe.
    """
    with contextlib.suppress(ProcessLookupError):
        os.kill(-1, signal.SIGKILL)  # spares this process and the first
    for line in reversed(read("/proc/self/mounts").splitlines()):
        if line not in _boot.mounts:
            _libc.umount2(line.split()[1].encode(), 2)  # MNT_DETACH
    for directory in (*(f"{top}/{name}.d" for top in CONFIG_DIRECTORIES for name in ("modprobe", "depmod")), "/tmp"):
        _empty(directory)
    if read("/proc/sys/kernel/modprobe") != _boot.modprobe:
        with open("/proc/sys/kernel/modprobe", "w") as path:
            path.write(_boot.modprobe)
    for parameter in ("hold_init", "hold_exit"):
        release(parameter)
    return _unload_all()


def release(parameter: str) -> None:
    """Let pmt_slow and pmt_slow2 go on, if they are there: "hold_init" or "hold_exit"."""
    for name in ("pmt_slow", "pmt_slow2"):
        with contextlib.suppress(OSError), open(f"/sys/module/{name}/parameters/{parameter}", "w") as stream:
            stream.write("0")


def _unload_all() -> list[str]:
    quiet_since = time.monotonic()
    while left := [name for name in modules() if name not in _boot.modules]:
        quiet = time.monotonic() - quiet_since
        removed = [name for name in left if _try_unload(name, _flags(name, quiet))]
        if removed or re.search(
            " (Loading|Unloading) ", read("/proc/modules")
        ):  # one that is being loaded or unloaded takes its time
            quiet_since = time.monotonic()
        elif quiet > 5:
            return left
        time.sleep(0 if removed else 0.02)  # what a killed process held goes a moment later
    return []


def _flags(name: str, quiet: float) -> int:
    """How to remove a module: by force only what has no exit function, or is one of ours that holds itself.

    Forcing a module whose loader has not yet let go of it crashes the kernel, hence the quiet time.
    """
    permanent = re.search(rf"(?m)^{name} .*\[permanent\]", read("/proc/modules"))
    return O_NONBLOCK | O_TRUNC if quiet > 0.3 and (permanent or name.startswith("pmt_")) else O_NONBLOCK


def _try_unload(name: str, flags: int) -> bool:
    try:
        unload(name, flags)
    except OSError as error:
        return error.errno == errno.ENOENT
    return True


def _empty(directory: str) -> None:
    if os.path.islink(directory) or not os.path.isdir(directory):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(directory)
        os.makedirs(directory)
    for name in os.listdir(directory):
        path = os.path.join(directory, name)
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)
        else:
            os.unlink(path)


def _check(result: int, name: str) -> None:
    if result:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), name)


# --- the guest at boot


class _Boot:
    """What `reset` goes back to."""

    def __init__(self) -> None:
        self.modules = set(modules())
        self.mounts = read("/proc/self/mounts").splitlines()
        self.modprobe = read("/proc/sys/kernel/modprobe")


_boot: _Boot
_kernel_log: _KernelLog


def _prepare() -> None:
    for target, kind in {
        "/proc": "proc",
        "/sys": "sysfs",
        "/dev": "devtmpfs",
        "/run": "tmpfs",
        "/tmp": "tmpfs",
    }.items():
        mount(kind, target, kind)
    for target in ("/dev/shm", "/run/step"):
        os.makedirs(target, exist_ok=True)
    os.chmod("/tmp", 0o1777)
    for top in CONFIG_DIRECTORIES:
        for name in ("modprobe", "depmod"):
            os.makedirs(f"{top}/{name}.d", exist_ok=True)
    os.environ.clear()
    os.chdir("/")


# --- one step


class _Job:
    """A step that runs."""

    def __init__(self, step: dict[str, Any]) -> None:
        self.id = step["id"]
        self.started = time.monotonic()
        self.deadline = self.started + step["timeout"]
        self.timed_out = False
        self.status: int | None = None
        self.stdout, self.stderr = f"/run/step/{self.id}.out", f"/run/step/{self.id}.err"
        self.pid = self._fork(step)

    def _fork(self, step: dict[str, Any]) -> int:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        outputs = [os.open(self.stdout, flags, 0o666)]
        outputs.append(outputs[0] if step.get("merge") else os.open(self.stderr, flags, 0o666))
        pid = os.fork()
        if pid == 0:
            _become(step, *outputs)
        for fd in set(outputs):
            os.close(fd)
        return pid

    def expire(self, now: float) -> bool:
        """Kill the step if its time is over; true when it has not ended even so, and is to be given up."""
        if now < self.deadline:
            return False
        if self.timed_out:
            return True
        self.timed_out = True
        self.deadline = now + KILL_GRACE
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        return False

    def result(self) -> dict[str, Any]:
        end = {"status": self.status, "timed_out": self.timed_out, "seconds": time.monotonic() - self.started}
        outputs = {"stdout": _take(self.stdout), "stderr": _take(self.stderr)}
        return {"id": self.id, **end, **outputs, "log": _kernel_log.lines(), "modules": modules()}


def _become(step: dict[str, Any], stdout: int, stderr: int) -> None:
    """In the new process: take on what the step asks for and run it. Does not return."""
    status = 127
    try:
        os.setsid()
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGPIPE, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        stdin = os.memfd_create("stdin")
        os.write(stdin, _decode(step["stdin"]))
        os.lseek(stdin, 0, os.SEEK_SET)
        for target, fd in enumerate((stdin, stdout, stderr)):
            os.dup2(fd, target)
        os.closerange(3, 256)
        os.chdir(step["cwd"])
        if step["uid"]:
            os.setgroups([])
            os.setgid(step["uid"])
            os.setuid(step["uid"])
        for fd in step["close"]:
            os.close(fd)
        if "python" in step:
            os.environ.update(step["env"])
            status = _run_python(step["python"])
        else:
            os.execve(step["program"] or _find(step["argv"][0], step["env"]["PATH"]), step["argv"], step["env"])
    except BaseException:
        with contextlib.suppress(OSError):
            os.write(2, traceback.format_exc().encode())
    finally:
        os._exit(status)


def _run_python(code: str) -> int:
    sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w")  # noqa: SIM115
    try:
        exec(compile(code, "<step>", "exec", dont_inherit=True), dict(globals()))
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else bool(end.code)
    except BaseException:
        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    return status


def _find(program: str, path: str) -> str:
    return program if "/" in program else shutil.which(program, path=path) or program


def _take(path: str) -> str:
    try:
        with open(path, "rb") as stream:
            data = stream.read()
        os.unlink(path)
    except FileNotFoundError:
        data = b""
    return base64.b64encode(zlib.compress(data, 1)).decode()


def _decode(text: str) -> bytes:
    return zlib.decompress(base64.b64decode(text))


# --- kernel log and the line to the host


class _KernelLog:
    """/dev/kmsg from where it was last read."""

    def __init__(self) -> None:
        self.fd = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK)
        os.lseek(self.fd, 0, os.SEEK_END)

    def lines(self) -> list[str]:
        found: list[str] = []
        while True:
            try:
                record = os.read(self.fd, 8192)
            except BlockingIOError:
                return found
            except BrokenPipeError:  # the kernel overwrote unread lines
                found.append("(kernel log lines lost)")
                continue
            found.append(record.split(b";", 1)[1].split(b"\n", 1)[0].decode(errors="replace"))


class _Host:
    def __init__(self) -> None:
        self.fd = os.open("/dev/ttyS1", os.O_RDWR | os.O_NOCTTY)
        tty.setraw(self.fd)
        attributes = termios.tcgetattr(self.fd)
        attributes[4] = attributes[5] = termios.B115200
        termios.tcsetattr(self.fd, termios.TCSANOW, attributes)
        self._unfinished = b""

    def receive(self) -> list[dict[str, Any]]:
        *lines, self._unfinished = (self._unfinished + os.read(self.fd, 65536)).split(b"\n")
        return [json.loads(line) for line in lines]

    def send(self, message: dict[str, Any]) -> None:
        data = memoryview(json.dumps(message).encode() + b"\n")
        while data:
            data = data[os.write(self.fd, data) :]


# --- the loop


def main() -> None:
    global _boot, _kernel_log
    _prepare()
    _boot, _kernel_log, host = _Boot(), _KernelLog(), _Host()
    wakeup_read, wakeup_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(wakeup_write)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    host.send({"ready": RELEASE, "uptime": float(read("/proc/uptime").split()[0])})
    jobs: dict[int, _Job] = {}
    while True:
        readable = select.select([host.fd, wakeup_read], [], [], _wait_time(jobs))[0]
        if not readable and not jobs:
            _power_off()
        if wakeup_read in readable:
            os.read(wakeup_read, 4096)
        for job in _ended(jobs):
            del jobs[job.pid]
            host.send(job.result())
        if host.fd in readable:
            for message in host.receive():
                if "poweroff" in message:
                    host.send({"bye": True})
                    termios.tcdrain(host.fd)
                    _power_off()
                if "signal" in message:
                    _signal(jobs, message)
                else:
                    job = _Job(message)
                    jobs[job.pid] = job


def _wait_time(jobs: dict[int, _Job]) -> float:
    return max(0, min(job.deadline for job in jobs.values()) - time.monotonic()) if jobs else IDLE_LIMIT


def _ended(jobs: dict[int, _Job]) -> list[_Job]:
    """Jobs that came to an end; orphans are reaped too, since this is the first process."""
    ended = []
    with contextlib.suppress(ChildProcessError):
        while (pair := os.waitpid(-1, os.WNOHANG))[0]:
            if job := jobs.get(pair[0]):
                job.status = os.waitstatus_to_exitcode(pair[1])
                ended.append(job)
    now = time.monotonic()
    return ended + [job for job in jobs.values() if job not in ended and job.expire(now)]


def _signal(jobs: dict[int, _Job], message: dict[str, Any]) -> None:
    for job in jobs.values():
        if job.id == message["id"]:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(job.pid, message["signal"])


def _power_off() -> None:
    _libc.reboot(0x01234567)  # RB_AUTOBOOT; qemu ends instead, having been started with -no-reboot
    time.sleep(60)


if __name__ == "__main__":
    main()
