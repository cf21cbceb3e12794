# SPDX-License-Identifier: LGPL-2.1-or-later
"""`make picture`: docs/session.svg, a terminal session with our commands on a real Debian kernel.

    python -m tests.vm.picture FILE

The commands run in the guest on a pseudo-terminal, so that they print what a person sees, colours too.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

from tests.vm.demo import ENVIRONMENT, KERNEL
from tests.vm.harness import Guest, boot

COLUMNS = 104
SESSION = [
    "modprobe -n -v loop max_loop=3",
    "modprobe btrsf",
    "modprobe loop; kmod status loop btrfs",
    "kmod closure --why sctp",
    "kmod deny sctp --reason 'not used here'",
    "modprobe sctp",
]
SETUP = """
mkdir -p /dev/pts
mount -t devpts devpts /dev/pts
echo 'softdep loop pre: dummy' >/etc/modprobe.d/session.conf
"""

ON_A_TERMINAL = f"""
import fcntl, os, pty, struct, sys, termios
child, terminal = pty.fork()
if not child:
    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 24, {COLUMNS}, 0, 0))
    os.execvp("sh", ["sh", "-c", sys.argv[1]])
try:
    while data := os.read(terminal, 65536):
        os.write(1, data)
except OSError: # as the other end is closed
    pass
os.waitpid(child, 0)
"""

# With no font from elsewhere, which rich's own form asks for.
FORM = """<svg viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{ font-family: monospace; font-size: {char_height}px; line-height: {line_height}px; }}
.{unique_id}-matrix text {{ white-space: pre; }}
.{unique_id}-title {{ font-family: sans-serif; font-size: 16px; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal"><rect width="{terminal_width}" height="{terminal_height}" /></clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix" xml:space="preserve">
{matrix}
</g>
</g>
</svg>
"""


def session(guest: Guest) -> str:
    """What stands on the terminal after all commands, with the escape sequences of colours."""
    guest.run(SETUP).check()
    shown = []
    for command in SESSION:
        result = guest.run(["python3", "-c", ON_A_TERMINAL, command], env={**ENVIRONMENT, "TERM": "xterm-256color"})
        shown.append(f"\x1b[1;32m#\x1b[0m \x1b[1m{command}\x1b[0m")
        shown.append(result.stdout.decode(errors="replace").replace("\r\n", "\n").rstrip("\n"))
    return "\n".join(shown)


def drawn(text: str, title: str) -> str:
    """The terminal as SVG."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    console.print(Text.from_ansi(text))
    return console.export_svg(title=title, theme=MONOKAI, code_format=FORM, unique_id="session")


def main(path: str) -> None:
    """Boot, run, draw."""
    with boot(KERNEL) as guest:
        text = session(guest)
        Path(path).write_text(drawn(text, f"Linux {guest.release}"))


if __name__ == "__main__":
    main(sys.argv[1])
