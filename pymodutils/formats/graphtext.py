# SPDX-License-Identifier: LGPL-2.1-or-later
"""A graph of modules as text: the language DOT of Graphviz, and Mermaid.

Source: graphviz.org, "DOT Language"; mermaid.js.org, "Flowcharts".
"""

from __future__ import annotations

from ..records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from .taint import Taint

DEPENDENCY, SOFTDEP, DEVICE = "dependency", "softdep", "device"
"""Words of `GraphEdge.kind`; `DEVICE` is also the state of a node that is one."""

FILLS = {
    "live": "#cfe8cf", "coming": "#fff2b3", "going": "#ffd9a8", "builtin": "#dcdcdc", "available": "#ffffff",
    "absent": "#f6c6c6", "unknown": "#f6c6c6", DEVICE: "#cfe0f5",
}  # fmt: skip
"""Colour by the state of a node. The text of a node says the state, too."""

TAINTED = "#b00000"
"""Colour of the border of a module that taints the kernel. The letters stand next to its name, too."""

PLAIN = "#555555"
_LINES = {DEPENDENCY: "solid", SOFTDEP: "dashed", DEVICE: "dotted"}
_ARROWS = {DEPENDENCY: "-->", SOFTDEP: "-.->", DEVICE: "==>"}
_WORDS = {
    DEPENDENCY: "depends on", SOFTDEP: "softdep", DEVICE: "device, and the driver's module",
}  # fmt: skip

_ROWS = 12
"""How many nodes that nothing is connected to stand in one column at most."""


class GraphNode(Record):
    """A module of a graph, or a device.

    `state` is one of the words of `Status.state`, or `device`; then `name` is the path in /sys/devices. `size` and
    `taint` are known of loaded modules alone, else None.
    """

    name: str
    state: str
    size: int | None
    taint: Taint | None


class GraphEdge(Record):
    """An arrow of a graph, from what needs something to what it needs.

    `kind` is `dependency`, `softdep`, or `device`: then it leads from a device to the module that drives it.
    """

    source: str
    target: str
    kind: str


def dot_text(title: str, nodes: Sequence[GraphNode], edges: Sequence[GraphEdge]) -> str:
    """Return the graph in DOT, with a legend of what there is in it."""
    return "".join(f"{line}\n" for line in _dot_lines(title, nodes, _drawn(edges)))


def _dot_lines(title: str, nodes: Sequence[GraphNode], edges: Sequence[GraphEdge]) -> Iterator[str]:
    ids = {node.name: f"n{number}" for number, node in enumerate(nodes)}
    connected = {name for edge in edges for name in (edge.source, edge.target)}
    yield "digraph modules {"
    yield f"  label={_quoted(title)}; labelloc=t; fontname=sans; fontsize=18;"
    yield "  rankdir=LR; nodesep=0.12; ranksep=0.6; newrank=true;"
    yield '  node [shape=box, style=filled, fontname=sans, fontsize=11, height=0.28, margin="0.08,0.03"];'
    yield f"  edge [color={_quoted(PLAIN)}, arrowsize=0.6];"
    for node in nodes:
        if node.name in connected:
            yield f"  {ids[node.name]} [{_dot_node(node)}];"
    for edge in edges:
        yield f"  {ids[edge.source]} -> {ids[edge.target]} [style={_LINES[edge.kind]}];"
    alone = [node for node in nodes if node.name not in connected]
    if alone:
        yield from _dot_alone(alone, ids)
    yield from _dot_legend(nodes, edges)
    yield "}"


def _dot_alone(alone: Sequence[GraphNode], ids: dict[str, str]) -> Iterator[str]:
    """Yield the nodes without edges, in rows and columns."""
    yield "  subgraph cluster_alone {"
    yield f'    label="connected to nothing here"; fontsize=12; color={_quoted(PLAIN)}; style=dotted;'
    yield from (f"    {ids[node.name]} [{_dot_node(node)}];" for node in alone)
    rows = max(_ROWS, round(len(alone) ** 0.5 * 2))
    for first, second in zip(alone, alone[rows:], strict=False):
        yield f"    {ids[first.name]} -> {ids[second.name]} [style=invis];"
    yield "  }"


def _dot_node(node: GraphNode) -> str:
    fill = FILLS.get(node.state, "#ffffff")
    border = f", color={_quoted(TAINTED)}, penwidth=2" if _letters(node) else f", color={_quoted(PLAIN)}"
    shape = ", shape=ellipse" if node.state == DEVICE else ""
    return f"label={_quoted(_label(node))}, tooltip={_quoted(_tip(node))}, fillcolor={_quoted(fill)}{border}{shape}"


def _dot_legend(nodes: Sequence[GraphNode], edges: Sequence[GraphEdge]) -> Iterator[str]:
    yield "  subgraph cluster_legend {"
    yield f'    label="legend"; fontsize=12; color={_quoted(PLAIN)}; style=solid;'
    entries = []
    for number, state in enumerate(_states(nodes)):
        shape = ", shape=ellipse" if state == DEVICE else ""
        fill = _quoted(FILLS.get(state, "#ffffff"))
        entries.append(f"s{number}")
        yield f"    s{number} [label={_quoted(state)}, fillcolor={fill}, color={_quoted(PLAIN)}{shape}];"
    for number, (letter, meaning) in enumerate(_taints(nodes)):
        label = _quoted(f"({letter}) {meaning}")
        entries.append(f"t{number}")
        yield f'    t{number} [label={label}, fillcolor="#ffffff", color={_quoted(TAINTED)}, penwidth=2];'
    for number, kind in enumerate(_kinds(edges)):
        entries += [f"a{number}", f"b{number}"]
        yield f'    a{number} [label="", width=0.2, height=0.1, fillcolor="#ffffff", color={_quoted(PLAIN)}];'
        yield f"    b{number} [label={_quoted(_WORDS[kind])}, shape=plaintext, style=solid];"
        yield f"    a{number} -> b{number} [style={_LINES[kind]}];"
    yield "  }"


def mermaid_text(title: str, nodes: Sequence[GraphNode], edges: Sequence[GraphEdge]) -> str:
    """Return the graph as a flow chart of Mermaid."""
    return "".join(f"{line}\n" for line in _mermaid_lines(title, nodes, _drawn(edges)))


def _mermaid_lines(title: str, nodes: Sequence[GraphNode], edges: Sequence[GraphEdge]) -> Iterator[str]:
    """Yield the lines of a flow chart, a legend at its end."""
    ids = {node.name: f"n{number}" for number, node in enumerate(nodes)}
    yield "---"
    yield f"title: {_quoted(title)}"
    yield "---"
    yield "flowchart LR"
    for node in nodes:
        opening, closing = ("([", "])") if node.state == DEVICE else ("[", "]")
        yield f"  {ids[node.name]}{opening}{_mermaid_quoted(_label(node))}{closing}"
    for edge in edges:
        yield f"  {ids[edge.source]} {_ARROWS[edge.kind]} {ids[edge.target]}"
    for state in _states(nodes):
        yield f"  classDef {state} fill:{FILLS.get(state, '#ffffff')},stroke:{PLAIN},color:#000000"
        yield f"  class {_joined(ids, [node for node in nodes if node.state == state])} {state}"
    if _taints(nodes):
        yield f"  classDef tainted stroke:{TAINTED},stroke-width:2px"
        yield f"  class {_joined(ids, [node for node in nodes if _letters(node)])} tainted"
    yield "  subgraph legend"
    for state in _states(nodes):
        yield f"    legend_{state}[{_mermaid_quoted(state)}]:::{state}"
    for number, (letter, meaning) in enumerate(_taints(nodes)):
        yield f"    taint{number}[{_mermaid_quoted(f'({letter}) {meaning}')}]:::tainted"
    for number, kind in enumerate(_kinds(edges)):
        yield f"    from{number}[ ] {_ARROWS[kind]} to{number}[{_mermaid_quoted(_WORDS[kind])}]"
    yield "  end"


def _joined(ids: dict[str, str], nodes: Iterable[GraphNode]) -> str:
    return ",".join(ids[node.name] for node in nodes)


# --- what a node shows


def _label(node: GraphNode) -> str:
    """Return the text of a node: its name, the letters of its taint, and where it stands unless it is just live."""
    if node.state == DEVICE:
        return node.name.rpartition("/")[2]
    text = f"{node.name} ({_letters(node)})" if _letters(node) else node.name
    return text if node.state == "live" else f"{text} [{node.state}]"


def _tip(node: GraphNode) -> str:
    size = f", {node.size} bytes" if node.size is not None else ""
    return f"{node.name}: {node.state}{size}"


def _letters(node: GraphNode) -> str:
    return node.taint.flags if node.taint else ""


def _drawn(edges: Sequence[GraphEdge]) -> list[GraphEdge]:
    """Return the arrows to draw: not that of a soft dependency on what is needed anyway."""
    needed = {(edge.source, edge.target) for edge in edges if edge.kind == DEPENDENCY}
    return [edge for edge in edges if edge.kind != SOFTDEP or (edge.source, edge.target) not in needed]


def _states(nodes: Iterable[GraphNode]) -> list[str]:
    found = {node.state for node in nodes}
    return [state for state in FILLS if state in found]


def _taints(nodes: Iterable[GraphNode]) -> list[tuple[str, str]]:
    found: dict[str, str] = {}
    for node in nodes:
        if node.taint:
            found.update(zip(node.taint.flags, node.taint.names, strict=False))
    return list(found.items())


def _kinds(edges: Iterable[GraphEdge]) -> list[str]:
    found = {edge.kind for edge in edges}
    return [kind for kind in _LINES if kind in found]


def _plain(text: str) -> str:
    """Return a text without control characters and what is no character."""
    return "".join(char if char.isprintable() else f"<{ord(char):02x}>" for char in text)


def _quoted(text: str) -> str:
    """Return a string of DOT, which is one of YAML as well."""
    return '"' + _plain(text).replace("\\", "\\\\").replace('"', '\\"') + '"'


def _mermaid_quoted(text: str) -> str:
    return '"' + "".join(char if char not in '"#;`&<>' else f"#{ord(char)};" for char in _plain(text)) + '"'
