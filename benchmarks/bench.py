# SPDX-License-Identifier: LGPL-2.1-or-later
"""What each part of the benchmarks gets: a scratch directory, the peers, and its rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks import registry
from benchmarks.measuring import NotMeasured, Outcome, Outcomes, Words, commands
from benchmarks.peers import OURS, PEERS, Peers
from benchmarks.table import Result


@dataclass(frozen=True)
class Bench:
    """The part that measures, and what it measures with. `scale` multiplies the rounds of every part."""

    part: str
    scratch: Path
    peers: Peers
    scale: float = 1.0

    def rounds(self, usual: int) -> int:
        """How many rounds to measure."""
        return max(1, round(usual * self.scale))

    def words(
        self, name: str, command: str, words: list[str], others: Mapping[str, Words] | None = None
    ) -> dict[str, Words | NotMeasured]:
        """The command lines of a row, of ours and of its peers; `others` are those that take other words."""
        others = others or {}
        found: dict[str, Words | NotMeasured] = {}
        for peer in (OURS, *(peer for peer in registry.row(self.part, name).peers if peer in PEERS)):
            if peer not in others:
                found[peer] = self.peers.words(peer, command, words)
            elif isinstance(found_peer := self.peers.find(peer), NotMeasured):
                found[peer] = found_peer
            else:
                found[peer] = [*found_peer.words(command), *others[peer]]
        return found

    def compare(
        self,
        name: str,
        command: str,
        words: list[str],
        rounds: int,
        others: Mapping[str, Words] | None = None,
    ) -> Result:
        """Measure the wall time of a row whose peers take the same words, but for `others`."""
        return self.result(name, commands(self.words(name, command, words, others), self.rounds(rounds)))

    def result(self, name: str, outcomes: Outcomes | Outcome, note: str = "") -> Result:
        """The result of a row; a lone outcome is ours."""
        row = registry.row(self.part, name)
        found = outcomes if isinstance(outcomes, dict) else {OURS: outcomes}
        return Result(row, {one: found[one] for one in (OURS, *row.peers) if one in found}, note)
