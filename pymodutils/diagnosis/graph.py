# SPDX-License-Identifier: LGPL-2.1-or-later
"""Who needs whom among modules, without the arrows that follow from others."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    Needs = Mapping[str, Iterable[str]]
    """What each module needs, by name."""


def reachable(starts: Iterable[str], *arrows: Needs, depth: int | None = None) -> set[str]:
    """Return what the starts lead to, themselves included, by at most `depth` arrows one after the other."""
    found: set[str] = set()
    front = list(dict.fromkeys(starts))
    while front:
        found.update(front)
        if depth == 0:
            break
        depth = None if depth is None else depth - 1
        front = list({other for name in front for kind in arrows for other in kind.get(name, ()) if other not in found})
    return found


def inverted(needs: Needs) -> dict[str, list[str]]:
    """Return who needs each module."""
    users: dict[str, list[str]] = {}
    for name, others in needs.items():
        for other in others:
            users.setdefault(other, []).append(name)
    return users


def reduced(needs: Needs) -> dict[str, list[str]]:
    """Return the needs without those that follow from the others: the transitive reduction.

    Whatever could be reached still can. Where modules need one another in a circle, which a damaged index can say, all
    arrows of the circle stay.
    """
    reach = _Reach(needs)
    result = {}
    for name, others in needs.items():
        wanted = [other for other in dict.fromkeys(others) if other != name]
        result[name] = [other for other in wanted if not _follows(reach, name, other, wanted)]
    return result


def _follows(reach: _Reach, name: str, other: str, wanted: Iterable[str]) -> bool:
    """Tell whether `name` leads to `other` by way of another one that it needs."""
    return any(
        between != other
        and reach.leads(between, other)
        and not reach.leads(other, between)
        and not reach.leads(between, name)
        for between in wanted
    )


class _Reach:
    """What leads to what. Sets are integers with a bit for each module."""

    def __init__(self, needs: Needs) -> None:
        names = dict.fromkeys([*needs, *[other for others in needs.values() for other in others]])
        self._bits = {name: 1 << number for number, name in enumerate(names)}
        self._sets = dict.fromkeys(names, 0)
        direct = {name: dict.fromkeys(others) for name, others in needs.items()}
        changed = True
        while changed:  # in the order of modules.dep one more round than the longest chain is long
            changed = False
            for name, others in direct.items():
                known = old = self._sets[name]
                for other in others:
                    known |= self._bits[other] | self._sets[other]
                if known != old:
                    self._sets[name] = known
                    changed = True

    def leads(self, name: str, other: str) -> bool:
        """Tell whether there is a way of one arrow at least."""
        return bool(self._sets[name] & self._bits[other])
