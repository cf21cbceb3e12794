# SPDX-License-Identifier: LGPL-2.1-or-later
"""One system: its modules on disk, its kernel and its configuration together."""

from __future__ import annotations

from ..records import Record
from .live import LIVE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..formats.modprobeconf import Rule
    from .config import Config
    from .live import LiveKernel
    from .tree import ModuleTree


class NoConfig:
    """Stands for the configuration where none counts: it has no rules, and nothing is read for it."""

    def aliases(self, _text: str) -> list[Rule]:
        """Return no rules."""
        return []

    def options(self, _name: str, _alias: str | None = None) -> list[Rule]:
        """Return no rules."""
        return []

    def blacklisted(self, _name: str) -> Rule | None:
        """Return None."""
        return None

    def first(self, _kind: str, _name: str) -> Rule | None:
        """Return None."""
        return None

    def literal(self, _kind: str, _name: str) -> Rule | None:
        """Return None."""
        return None


NO_CONFIG: Config = NoConfig()  # type: ignore[assignment]  # it answers what look-ups ask, and imports nothing


class System(Record):
    """Tree, kernel and configuration together, at one place for what is decided from all three."""

    tree: ModuleTree
    live: LiveKernel
    config: Config

    def is_live(self, name: str) -> bool:
        """Tell whether a module is loaded and ready."""
        return self.live.state(name) == LIVE

    def is_available(self, name: str) -> bool:
        """Tell whether a module needs no loading: it is builtin, or loaded and ready."""
        return self.tree.is_builtin(name) or self.live.state(name) == LIVE

    def dependencies(self, name: str) -> list[str]:
        """Return the names of a module's hard dependencies."""
        entry = self.tree.find(name)
        return entry.dependency_names if entry else []
