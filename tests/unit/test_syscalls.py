# SPDX-License-Identifier: LGPL-2.1-or-later
"""Calls of the C library by the core of ctypes, and by ctypes where that core is another one."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from pymodutils import syscalls
from tests.support.common import REPO

CALLS = """
import sys
sys.path.append({repo!r})
{before}
from pymodutils import syscalls
from pymodutils.syscalls import _Long, libc_function
assert ("ctypes" in sys.modules) == {falls_back}, "the wrong way"
assert libc_function("strlen")(b"four") == 4
assert libc_function("labs")(_Long(-2**40 if sys.maxsize > 2**32 else -2**30)) in (2**40, 2**30)
assert libc_function("no_function_of_that_name") is None
import errno
for number in (errno.EBADF, errno.ENOENT):
    found = libc_function("close")(_Long(-1)) if number == errno.EBADF else libc_function("unlink")(b"/nothing/there")
    assert (found & 0xffffffff, syscalls.get_errno()) == (0xffffffff, number)
print(libc_function("getpid")())
"""
BEFORE = {
    "": False,
    "import ctypes, _ctypes; del _ctypes.dlsym": True,
    "import ctypes, _ctypes; _ctypes.CFuncPtr = None": True,
}


@pytest.mark.parametrize(("before", "falls_back"), BEFORE.items())
def test_functions_of_the_c_library(before: str, falls_back: bool) -> None:
    code = CALLS.format(repo=str(REPO), before=before, falls_back=falls_back)
    run = subprocess.Popen(["/usr/bin/python3", "-ISB", "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    out, err = run.communicate(timeout=60)
    assert (run.returncode, err) == (0, b"")
    assert int(out) == run.pid


class Calls:
    """What stands for the C library: it has some functions, which take down their arguments and fail."""

    def __init__(self, *names: str) -> None:
        self.names = names
        self.made: list[tuple[Any, ...]] = []

    def function(self, name: str) -> Any:
        def call(*arguments: Any) -> int:
            values = [getattr(argument, "value", argument) for argument in arguments]
            self.made.append((name, *values))
            return -1

        return call if name in self.names else None


@pytest.mark.parametrize("has_symbols", [True, False])
def test_what_the_kernel_is_asked(monkeypatch: pytest.MonkeyPatch, has_symbols: bool) -> None:
    calls = Calls("init_module", "delete_module", "finit_module") if has_symbols else Calls("syscall")
    monkeypatch.setattr(syscalls, "libc_function", calls.function)
    monkeypatch.setattr(syscalls, "_found", {})
    monkeypatch.setattr(syscalls, "get_errno", lambda: errno.EBUSY)
    asked: list[Callable[[], None]] = [
        lambda: syscalls.init_module(b"image", b"a=1"),
        lambda: syscalls.delete_module(b"loop", os.O_NONBLOCK),
        lambda: syscalls.finit_module(7, b"a=1", syscalls.COMPRESSED_FILE),
    ]
    for ask in asked:
        with pytest.raises(OSError, match=os.strerror(errno.EBUSY)) as caught:
            ask()
        assert caught.value.errno == errno.EBUSY
    arguments = [(b"image", 5, b"a=1"), (b"loop", os.O_NONBLOCK), (7, b"a=1", 4)]
    if has_symbols:
        names = ["init_module", "delete_module", "finit_module"]
        assert calls.made == [(name, *rest) for name, rest in zip(names, arguments, strict=True)]
    else:
        numbers = syscalls.numbers(os.uname().machine, 64)
        assert numbers is not None
        assert calls.made == [("syscall", number, *rest) for number, rest in zip(numbers, arguments, strict=True)]


def test_a_machine_whose_numbers_are_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(syscalls, "libc_function", Calls("syscall").function)
    monkeypatch.setattr(syscalls, "_found", {})
    monkeypatch.setattr(syscalls, "numbers", lambda _machine, _bits: None)
    with pytest.raises(OSError) as caught:
        syscalls.delete_module(b"loop", 0)
    assert caught.value.errno == errno.ENOSYS
