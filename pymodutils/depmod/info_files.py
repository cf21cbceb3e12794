# SPDX-License-Identifier: LGPL-2.1-or-later
"""Make the files that come from .modinfo strings alone, which a second process can make while the first resolves."""

from __future__ import annotations

from . import render

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from .facts import ModuleFacts
    from .render import IndexFile, RejectedKey

    InfoTexts = tuple[dict[str, bytes], list[tuple[bytes, bytes]]]
    """The files, and (module, device file) of those without numbers."""


def infos_of(facts: Sequence[ModuleFacts]) -> list[bytes]:
    """Return the .modinfo strings of each module."""
    return [fact.infos for fact in facts]


def make_info_texts(names: Sequence[bytes], infos: Sequence[bytes]) -> InfoTexts:
    """Make the text files, from the modules' names and .modinfo strings."""
    incomplete: list[tuple[bytes, bytes]] = []
    files = {
        "modules.alias": render.alias_text(names, infos),
        "modules.softdep": render.info_text(render.SOFTDEP_TITLE, b"softdep", names, infos),
        "modules.weakdep": render.info_text(render.WEAKDEP_TITLE, b"weakdep", names, infos),
        "modules.devname": render.devname_text(names, infos, incomplete),
    }
    return files, incomplete


def make_alias_index(names: Sequence[bytes], infos: Sequence[bytes]) -> IndexFile:
    """Make modules.alias.bin, the largest of all files."""
    rejected: list[RejectedKey] = []
    return render.alias_index(names, infos, rejected), rejected
