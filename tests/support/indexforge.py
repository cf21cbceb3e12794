# SPDX-License-Identifier: LGPL-2.1-or-later
"""Write binary indexes in any node order, plainly: one dictionary trie, no path splitting cleverness."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

MAGIC, VERSION = 0xB007F457, 0x00020001
PREFIX, VALUES, CHILDREN = 0x80000000, 0x40000000, 0x20000000


@dataclass
class Node:
    prefix: bytes = b""
    children: dict[int, Node] = field(default_factory=dict)
    values: list[tuple[int, bytes]] = field(default_factory=list)


def build(entries: list[tuple[bytes, int, bytes]], *, bare_root: bool = False) -> Node:
    """The path-compressed trie of (key, priority, value) entries; depmod's own have no prefix at the root."""
    return _node(entries, bare=bare_root)


def _node(entries: list[tuple[bytes, int, bytes]], *, bare: bool = False) -> Node:
    keys = [key for key, _, _ in entries]
    prefix = _common(keys) if keys and not bare else b""
    node = Node(prefix)
    branches: dict[int, list[tuple[bytes, int, bytes]]] = {}
    for key, priority, value in entries:
        rest = key[len(prefix) :]
        if rest:
            branches.setdefault(rest[0], []).append((rest[1:], priority, value))
        else:
            at = next((n for n, (other, _) in enumerate(node.values) if other >= priority), len(node.values))
            node.values.insert(at, (priority, value))
    node.children = {edge: _node(branch) for edge, branch in branches.items()}
    return node


def _common(keys: list[bytes]) -> bytes:
    first, last = min(keys), max(keys)
    length = next((n for n, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last)))
    return first[:length]


def write(root: Node, *, children_first: bool = False) -> bytes:
    """The index file; nodes in pre-order, or each after its children as kmod up to 33 wrote them."""
    body = bytearray(12)
    word = _post(root, body) if children_first else _pre(root, body)
    struct.pack_into(">III", body, 0, MAGIC, VERSION, word)
    return bytes(body)


def _flags(node: Node) -> int:
    return (PREFIX if node.prefix else 0) | (VALUES if node.values else 0) | (CHILDREN if node.children else 0)


def _encode(node: Node, words: dict[int, int]) -> bytes:
    out = node.prefix + b"\0" if node.prefix else b""
    if node.children:
        first, last = min(node.children), max(node.children)
        out += bytes((first, last))
        out += b"".join(struct.pack(">I", words.get(edge, 0)) for edge in range(first, last + 1))
    if node.values:
        out += struct.pack(">I", len(node.values))
        out += b"".join(struct.pack(">I", priority) + value + b"\0" for priority, value in node.values)
    return out


def _post(node: Node, body: bytearray) -> int:
    words = {edge: _post(child, body) for edge, child in sorted(node.children.items())}
    at = len(body)
    body += _encode(node, words)
    return at | _flags(node)


def _pre(node: Node, body: bytearray) -> int:
    at = len(body)
    body += bytes(len(_encode(node, {})))
    words = {edge: _pre(child, body) for edge, child in sorted(node.children.items())}
    body[at : at + len(_encode(node, words))] = _encode(node, words)
    return at | _flags(node)
