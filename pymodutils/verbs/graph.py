# SPDX-License-Identifier: LGPL-2.1-or-later
"""kmod graph: which modules need which, as a picture."""

from __future__ import annotations

import errno
import os

from ..diagnosis.graph import inverted, reachable, reduced
from ..diagnosis.status import ABSENT, AVAILABLE, BUILTIN, UNKNOWN
from ..errors import Error, FileError, LiveKernelNotAskedError, MissingTreeError
from ..formats.graphtext import DEPENDENCY, DEVICE, SOFTDEP, GraphEdge, GraphNode, dot_text, mermaid_text
from ..formats.taint import module_taint
from ..names import module_name, normalize_name
from ..planning.lookup import Match, lookup, match_regular_file, names_file, not_found, softdep_targets
from ..state.look import Look
from ..state.modaliases import device_aliases
from ..state.tree import SOFTDEPS
from .report import Report, as_diagnostic, head, several, unlisted, unread, untold
from .statedneeds import stated_needs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from ..context import Context, Name
    from ..diagnostics import Diagnostic
    from ..formats.procmodules import LoadedModule
    from .statedneeds import StatedNeeds


class GraphReport(Report):
    """Which modules need which.

    `asked` are the operands. `nodes` are modules and devices by name. `edges` leave out each dependency that follows
    from others: what can be reached by them still can.
    """

    asked: tuple[str, ...]
    nodes: tuple[GraphNode, ...]
    edges: tuple[GraphEdge, ...]

    @property
    def title(self) -> str:
        """What the picture shows, in a line."""
        what = ", ".join(self.asked) or "loaded modules"
        return f"{what}, Linux {self.kernel}"

    def as_dict(self) -> dict[str, Any]:
        """Return all fields by name; of edges `source` is `from` and `target` is `to`, as the document has it."""
        edges = [{"from": edge.source, "to": edge.target, "kind": edge.kind} for edge in self.edges]
        return {**super().as_dict(), "edges": edges}

    def to_dot(self) -> str:
        """Return the graph in the language of Graphviz, with a legend."""
        return dot_text(self.title, self.nodes, self.edges)

    def to_mermaid(self) -> str:
        """Return the graph as a flow chart of Mermaid, which many web pages draw."""
        return mermaid_text(self.title, self.nodes, self.edges)

    def to_svg(self) -> str:
        """Return the picture. Blocks while Graphviz draws it. Raises `MissingSupportError` without Graphviz."""
        from ..effects.graphviz import draw_svg

        return draw_svg(self.to_dot())


def graph(
    context: Context,
    names: Name | Iterable[Name] = (),
    *,
    rdeps: bool = False,
    depth: int | None = None,
    soft: bool = False,
    devices: bool = False,
) -> GraphReport:
    """Return which modules need which: all loaded ones, or those that `names` stand for and what they need.

    With `rdeps` it is what needs them. `depth` is the number of arrows up to which one follows from those named. `soft`
    adds soft dependencies by the rule that counts, `devices` the devices whose drivers the modules are; for another
    system or release these are not known, which is an error of the report. Raises `LiveKernelNotAskedError` without
    names for one, `MissingTreeError` for names where there is no module directory.
    """
    return _Work(context).report(several(names), rdeps=rdeps, depth=depth, soft=soft, devices=devices)


class _Work:
    """One graph."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.system = context.tolerant_system
        self.loaded: dict[str, LoadedModule] = context.loaded_by_name()
        self.errors: list[Diagnostic] = []
        self.soft: dict[str, list[str]] = {}
        self.builtin: set[str] = set()
        self.files: dict[str, StatedNeeds] = {}
        """What files from elsewhere state, by the name of the module."""

    def report(self, names: list[Name], *, rdeps: bool, depth: int | None, soft: bool, devices: bool) -> GraphReport:
        if names:
            kept, needs = self._of_names(names, rdeps=rdeps, depth=depth, soft=soft)
        else:
            self.context.loaded()  # an error, where no kernel is asked
            kept, needs = set(self.loaded), self._live_needs()
            if soft:
                self._find_soft(kept)
        if names or soft:
            self.errors += unlisted(self.system.tree)
        why = untold(self.system.tree, SOFTDEPS, "which soft dependencies modules have") if soft else None
        self.errors += [as_diagnostic(why)] if why else []
        dependencies = reduced({name: [other for other in needs.get(name, ()) if other in kept] for name in kept})
        edges = [GraphEdge(name, other, DEPENDENCY) for name, others in dependencies.items() for other in others]
        edges += [
            GraphEdge(name, other, SOFTDEP)
            for name, others in self.soft.items() for other in others
            if name in kept and other in kept and name != other
        ]  # fmt: skip
        nodes = [self._node(name) for name in kept]
        if devices:
            found = self._devices(kept)
            nodes += [GraphNode(path, DEVICE, None, None) for path, _module in found]
            edges += [GraphEdge(path, module, DEVICE) for path, module in found]
        return GraphReport(
            **head("graph", self.context, self.errors),
            asked=tuple([os.fspath(name.name if isinstance(name, Match) else name) for name in names]),
            nodes=tuple(sorted(nodes, key=lambda node: node.name)),
            edges=tuple(sorted(dict.fromkeys(edges), key=lambda edge: (edge.source, edge.target, edge.kind))),
        )

    # --- modules by name

    def _of_names(
        self, names: list[Name], *, rdeps: bool, depth: int | None, soft: bool
    ) -> tuple[set[str], dict[str, list[str]]]:
        """Return the modules to show, and what each needs."""
        if not self.context.exists and not self.loaded:
            raise MissingTreeError(os.strerror(errno.ENOENT), path=self.context.tree.directory, errno=errno.ENOENT)
        starts = [found for name in names for found in self._find(name)]
        self.builtin = {match.name for match in starts if match.builtin}
        needs = {module.name: list(module.dependency_names) for module in self.system.tree.modules()}
        for match in starts:
            needs.setdefault(match.name, [module_name(path) for path in match.dependencies])
        for name, stated in self.files.items():
            needs[name] = [*(module_name(path) for path in stated.dependencies), *stated.missing]
        for name, others in self._live_needs().items():
            needs[name] = list(dict.fromkeys((*needs.get(name, ()), *others)))
        if soft:
            self._find_soft(needs)
        first = [match.name for match in starts]
        if rdeps:
            near = inverted(reduced(_among(needs, reachable(first, inverted(needs), inverted(self.soft)))))
            return reachable(first, near, inverted(self.soft), depth=depth), needs
        near = reduced(_among(needs, reachable(first, needs, self.soft)))
        return reachable(first, near, self.soft, depth=depth), needs

    def _find(self, name: Name) -> list[Match]:
        """Return the modules that a name stands for; none, and word of it, when it stands for nothing."""
        try:
            if isinstance(name, Match):
                return [name]
            if not isinstance(name, str) or names_file(name):
                return [self._of_file(match_regular_file(self.system, os.path.abspath(name)))]
            found = [match for match in lookup(self.system, name) if match.path or match.builtin]
            if not found and normalize_name(name) in self.loaded:
                return [Match(normalize_name(name), None, None, (), "/proc/modules")]
            if not found:
                raise not_found(self.system.tree, name)
        except Error as error:
            self.errors.append(as_diagnostic(error, os.fspath(name) if not isinstance(name, Match) else name.name))
            return []
        return found

    def _of_file(self, module: Match) -> Match:
        """Return a module given by its file, and take note of what the file states, unless it is the tree's own."""
        stated = stated_needs(self.system, module)
        if stated is not None:
            self.files[module.name] = stated
        return module

    def _live_needs(self) -> dict[str, list[str]]:
        """Return what each loaded module uses, as the kernel says."""
        return inverted({module.name: module.holders for module in self.loaded.values()})

    def _find_soft(self, names: Iterable[str]) -> None:
        """Find what modules want besides, by the rule that counts for each."""
        for name in names:
            rule = self.system.config.first("softdep", name)
            stated = self.files.get(name)
            wanted = rule.softdeps() if rule else (stated.soft.pre, stated.soft.post) if stated else ()
            if wanted:
                found = [match for kind in wanted for match in softdep_targets(self.system, list(kind))[0]]
                self.soft[name] = list(dict.fromkeys([match.name for match in found if match.path or match.builtin]))

    # --- what a node is

    def _node(self, name: str) -> GraphNode:
        module = self.loaded.get(name)
        if module:
            return GraphNode(name, module.state, module.size, module_taint(module.taint))
        tree = self.system.tree
        if name in self.files or tree.find(name):
            return GraphNode(name, AVAILABLE, None, None)
        if name in self.builtin or tree.is_builtin(name):
            return GraphNode(name, BUILTIN, None, None)
        return GraphNode(name, UNKNOWN if tree.why_unknown(name) else ABSENT, None, None)

    def _devices(self, names: set[str]) -> list[tuple[str, str]]:
        """Return the devices that modules drive, each with the module."""
        try:
            if not self.context.live.is_asked:
                text = "another system or release than the running one: what drives its devices is not known"
                raise LiveKernelNotAskedError(text)
            look = Look(self.context.roots)
            found = device_aliases(look)
        except (FileError, LiveKernelNotAskedError) as error:
            self.errors.append(as_diagnostic(error))
            return []
        self.errors += unread(look)
        return [(device.path, device.module) for device in found if device.module in names]


def _among(needs: dict[str, list[str]], names: set[str]) -> dict[str, list[str]]:
    return {name: [other for other in needs.get(name, ()) if other in names] for name in names}
