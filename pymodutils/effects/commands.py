"""Running install and remove commands: /bin/sh -c, as the configuration's author wrote them."""

from __future__ import annotations

import os
from _signal import (  # type: ignore[import-not-found]  # not enum's
    SIG_DFL,
    SIG_IGN,
    SIGCHLD,
    SIGINT,
    default_int_handler,
    getsignal,
    signal,
)
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
    interrupts: list[int] = []
    listening = _collect_interrupts(interrupts)
    try:
        pid = os.posix_spawn(SHELL, ["sh", "-c", command], surroundings, setsigdef=_IGNORED_BY_PYTHON)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    except OSError as error:
        raise CommandError(error.strerror or "cannot start", command=command, status=127, module=module) from None
    finally:
        if listening:
            signal(SIGINT, default_int_handler)
    if interrupts:
        raise KeyboardInterrupt
    if status:
        reason = f"retcode {status}" if status > 0 else f"killed by signal {-status}"
        raise CommandError(reason, command=command, status=status, module=module)


def _collect_interrupts(interrupts: list[int]) -> bool:
    """Take interrupts in instead of being ended by them; whether that can be done.

    The command got them as well, and may clean up before it ends: whoever started it does not leave it alone with that.
    """
    if getsignal(SIGINT) is not default_int_handler:
        return False  # they are ignored, or somebody else's business
    try:
        signal(SIGINT, lambda number, _frame: interrupts.append(number))
    except ValueError:
        return False  # in another thread than the first, which gets no interrupts
    return True
