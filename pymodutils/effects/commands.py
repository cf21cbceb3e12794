# SPDX-License-Identifier: LGPL-2.1-or-later
"""Running install and remove commands: /bin/sh -c, as the configuration's author wrote them."""

from __future__ import annotations

import posix
from binascii import crc32

from ..errors import CommandError
from ..names import decode, encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

SHELL = "/bin/sh"
UNDER_WAY = "PYMODUTILS_UNDER_WAY"
"""Environment variable with the commands that led here, so that one that gets nowhere is noticed: started again from
within itself, with the same parameters and nothing loaded or removed since. Each word is `PID:START:MARK`: the process
that waits for the command, when that process started, and what the command is. A word counts only as long as that very
process lives, since a daemon that a command has started keeps the variable for ever."""

MOST_NESTED = 30
"""Commands within commands; more are some that call one another with ever new parameters."""

_IGNORED_BY_PYTHON = (13, 25)  # SIGPIPE, SIGXFSZ: a command gets them as any program does


def run_command(
    kind: str, command: str, module: str, environment: Mapping[str, str], loaded: Iterable[str] = ()
) -> None:
    """Run the `install` or `remove` command of a module and wait for its end; `loaded` names the modules there are.

    Blocks as long as the command runs. Raises `CommandError`; its `status` is the exit code, or minus the signal that
    ended the command.
    """
    mark = f"{kind}:{module}:{crc32(encode(' '.join([command, *sorted(loaded)]))):x}"
    under_way = [word for word in environment.get(UNDER_WAY, "").split() if _is_alive(word)]
    if len(under_way) >= MOST_NESTED or any(word.split(":", 2)[2] == mark for word in under_way):
        raise CommandError(f"{kind} command of {module} calls itself", command=command, status=0, module=module)
    word = f"{posix.getpid()}:{_start_of(posix.getpid()) or ''}:{mark}"
    surroundings = {**environment, "MODPROBE_MODULE": module, UNDER_WAY: " ".join([*under_way, word])}
    try:
        pid = posix.posix_spawn(SHELL, ["sh", "-c", command], surroundings, setsigdef=_IGNORED_BY_PYTHON)
    except OSError as error:
        raise CommandError(error.strerror or "cannot start", command=command, status=127, module=module) from None
    try:
        status = posix.waitstatus_to_exitcode(posix.waitpid(pid, 0)[1])
    except ChildProcessError:
        # The program ignores SIGCHLD, so the system has thrown the status away.
        raise CommandError("ended, nobody knows how", command=command, status=127, module=module) from None
    if status:
        reason = f"retcode {status}" if status > 0 else f"killed by signal {-status}"
        raise CommandError(reason, command=command, status=status, module=module)


def _is_alive(word: str) -> bool:
    """Tell whether the process that a word of UNDER_WAY names is still the one that wrote the word."""
    pid, _, rest = word.partition(":")
    start, colon, _mark = rest.partition(":")
    if not (pid.isascii() and pid.isdigit() and colon):
        return False
    found = _start_of(pid)
    if start and found:
        return found == start
    try:
        posix.kill(int(pid), 0)  # /proc is not mounted, or was not then
    except (ProcessLookupError, ValueError):
        return False
    except (OSError, OverflowError):
        return True
    return True


def _start_of(pid: object) -> str | None:
    """Return when a process started, in the kernel's clock ticks since boot; None when that cannot be known."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            text = decode(file.read())
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()  # the name before it may hold anything
    return fields[19] if len(fields) > 19 else None
