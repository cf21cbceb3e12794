# SPDX-License-Identifier: LGPL-2.1-or-later
"""modules-load.d files and /etc/modules: one module a line, loaded at boot.

Source: modules-load.d(5) of systemd, and /etc/init.d/kmod of Debian.
"""

from __future__ import annotations

from ..names import decode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

COMMENTS = ("#", ";")


def parse_modules_load(data: bytes) -> Iterator[tuple[int, str]]:
    """Yield (line number, text) of each line that names a module; blanks around it do not count."""
    for number, line in enumerate(data.split(b"\n"), 1):
        text = decode(line.partition(b"\0")[0]).strip(" \t\r\f\v")
        if text and not text.startswith(COMMENTS):
            yield number, text
