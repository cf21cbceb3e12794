# SPDX-License-Identifier: LGPL-2.1-or-later
"""Names that resemble one that is not known, which may be mistyped."""

from __future__ import annotations

import difflib

from ..names import has_module_extension, module_name, normalize_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

MOST = 3
LIKENESS = 0.7
"""From 0 to 1, as `difflib` counts; `btrsf` and `btrfs` have 0.8."""


def similar_names(text: str, known: Iterable[str]) -> list[str]:
    """Return the known names that resemble `text`, best first: other case, an extension too many, typing errors."""
    wanted = module_name(text) if has_module_extension(text) else normalize_name(text)
    by_folded = {name.casefold(): name for name in known}
    folded = wanted.casefold()
    if folded in by_folded:
        return [by_folded[folded]]
    close = difflib.get_close_matches(folded, by_folded, n=MOST, cutoff=LIKENESS)
    return [by_folded[name] for name in close]
