"""Running install and remove commands: /bin/sh -c, as the configuration's author wrote them."""

from __future__ import annotations

import os
from _signal import SIG_DFL, SIG_IGN, SIGCHLD, getsignal, signal  # type: ignore[import-not-found]  # not enum's
from binascii import crc32

from ..errors import CommandError
from ..names import encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

SHELL = "/bin/sh"
UNDER_WAY = "PYMODUTILS_UNDER_WAY"
"""Environment variable with the commands that led here and what was loaded when each began, so that one that gets
nowhere is noticed: begun anew from within itself, with the same parameters and nothing loaded or removed since."""

MOST_NESTED = 30
"""Commands within commands; more are some that call one another with ever new parameters."""

_IGNORED_BY_PYTHON = (13, 25)  # SIGPIPE, SIGXFSZ: a command shall have them as everybody does


def run_command(
    kind: str, command: str, module: str, environment: Mapping[str, str], loaded: Iterable[str] = ()
) -> None:
    """Run the `install` or `remove` command of `module` and wait for its end; `loaded` names the modules there are.

    Raises `CommandError`; its `status` is the exit code, or minus the signal that ended the command.
    """
    mark = f"{kind}:{module}:{crc32(encode(' '.join([command, *sorted(loaded)]))):x}"
    under_way = environment.get(UNDER_WAY, "").split()
    if mark in under_way or len(under_way) >= MOST_NESTED:
        raise CommandError(f"{kind} command of {module} calls itself", command=command, status=0, module=module)
    surroundings = {**environment, "MODPROBE_MODULE": module, UNDER_WAY: " ".join([*under_way, mark])}
    if getsignal(SIGCHLD) == SIG_IGN:
        signal(SIGCHLD, SIG_DFL)  # else there would be nothing to wait for: a process passes that on to its children
    try:
        pid = os.posix_spawn(SHELL, ["sh", "-c", command], surroundings, setsigdef=_IGNORED_BY_PYTHON)
        status = _wait(pid)
    except OSError as error:
        raise CommandError(error.strerror or "cannot start", command=command, status=127, module=module) from None
    if status:
        reason = f"retcode {status}" if status > 0 else f"killed by signal {-status}"
        raise CommandError(reason, command=command, status=status, module=module)


def _wait(pid: int) -> int:
    """The exit code of a process, or minus the signal that ended it. Raises OSError.

    An interrupt that the command got as well does not part us from it before it has ended.
    """
    try:
        status = os.waitpid(pid, 0)[1]
    except KeyboardInterrupt:
        _see_out(pid)
        raise
    return os.waitstatus_to_exitcode(status)


def _see_out(pid: int) -> None:
    try:
        os.waitpid(pid, 0)
    except ChildProcessError:
        return  # it had ended just before
