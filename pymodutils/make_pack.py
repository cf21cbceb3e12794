# SPDX-License-Identifier: LGPL-2.1-or-later
"""Make the pack, one file with the byte code of the everyday commands, which saves an eighth of their time.

    python3 -IS pymodutils/make_pack.py [--unchecked]

It is for the Python that runs this. Packages that replace all files together may leave out that bin/kmod checks whether
a source has changed since (`--unchecked`). The code has no docstrings and nothing else that only readers need.
"""

from __future__ import annotations
import __future__

import ast
import marshal
import os
import sys
from importlib.util import MAGIC_NUMBER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import CodeType
    from typing import Any

    from .packed import Entry

EVERYDAY = (
    *("cli.main", "cli.lsmod", "cli.rmmod", "cli.insmod", "cli.modinfo", "cli.modprobe", "cli.depmod", "cli.kmod"),
    *("cli.static_nodes", "effects.indexes"),
)
"""Modules that are in the pack, with all that they import at any time, but for what is in `RARE`."""

RARE = (
    *("diagnosis", "verbs", "cli.verbs", "cli.explaining", "cli.explanations", "formats.kernellog", "state.kernellog"),
    *("state.kernelexports", "state.modulereading", "state.processfacts"),
)
"""What the everyday commands import to explain a failure, or for verbs."""


def pack_path(package: str) -> str:
    """Return where the pack of the running Python is."""
    return f"{package}/__pycache__/commands.{sys.implementation.cache_tag}.pack"


def make_pack(package: str, *, checked: bool) -> bytes:
    """Return the bytes of a pack for the package in a directory."""
    finder = _compiled(_stripped(f"{package}/packed.py"), "pymodutils/packed.py")
    names: dict[str, Any] = {"__name__": "pymodutils.packed"}
    exec(finder, names)
    head_size = names["HEAD_SIZE"]
    sources = _everyday_sources(package)
    index: dict[str, Entry] = {}
    codes: list[bytes] = []
    offset = 0
    for source in sorted(sources.values(), key=lambda source: source.name):
        path = f"{package}/{source.file}"
        code = marshal.dumps(source.code())
        found = os.stat(path)
        size, time = (found.st_size, found.st_mtime_ns) if checked else (0, 0)
        # The very name that the index has: marshal writes a text once, and then where it is.
        first = tuple([sources[other].name for other in source.first if other in sources])
        index[source.name] = (source.file, source.is_package, size, time, offset, len(code), first)
        codes.append(code)
        offset += len(code)
    _check_for_circles(index)
    head = MAGIC_NUMBER + marshal.dumps((finder, index, checked))
    if len(head) > head_size:
        raise ValueError(f"the head has {len(head)} bytes, more than {head_size}")
    return head.ljust(head_size, b"\0") + b"".join(codes)


class _Source:
    """A module: its name, its file below the package, what it imports, what of that first, and its code."""

    def __init__(self, package: str, name: str) -> None:
        self.name = name
        below = "/".join(name.split(".")[1:])
        self.is_package = os.path.isdir(f"{package}/{below}")
        self.file: str = f"{below}/__init__.py".lstrip("/") if self.is_package else f"{below}.py"
        self._tree = _stripped(f"{package}/{self.file}")
        self.all: list[str] = self._imported(package, ast.walk(self._tree))
        # The packages that it is in have begun to run by then, and what is in it cannot before it has begun.
        self.first: list[str] = [
            other
            for other in self._imported(package, self._tree.body)
            if not f"{name}.".startswith(f"{other}.") and not other.startswith(f"{name}.")
        ]

    def code(self) -> CodeType:
        """Return the code, without what only readers and type checkers need."""
        return _compiled(self._tree, f"pymodutils/{self.file}")

    def _imported(self, package: str, nodes: Iterable[ast.AST]) -> list[str]:
        """Return the modules of the package that some statements import, each after the packages that it is in."""
        found: dict[str, None] = {}
        for node in nodes:
            if not isinstance(node, ast.ImportFrom) or not node.level:
                continue
            parts = self.name.split(".")
            base = parts[: len(parts) - node.level + self.is_package]
            base += node.module.split(".") if node.module else []
            for names in (base, *([*base, alias.name] for alias in node.names)):
                if _is_module(package, names):
                    found.update(dict.fromkeys(".".join(names[:count]) for count in range(2, len(names) + 1)))
        return list(found)


def _is_module(package: str, names: list[str]) -> bool:
    path = "/".join([package, *names[1:]])
    return os.path.exists(f"{path}.py") or os.path.exists(f"{path}/__init__.py")


def _everyday_sources(package: str) -> dict[str, _Source]:
    """Return all modules that are in the pack, by name."""
    found: dict[str, _Source] = {}
    pending = [f"pymodutils.{name}" for name in EVERYDAY]
    rare = tuple(f"pymodutils.{name}." for name in RARE)
    while pending:
        name = pending.pop()
        if name not in found and not f"{name}.".startswith(rare):
            found[name] = _Source(package, name)
            pending += [*found[name].all, name.rpartition(".")[0] or name]
    return found


def _check_for_circles(index: dict[str, Entry]) -> None:
    """Raise `ValueError` when a module would have to run before itself."""
    done: set[str] = set()

    def visit(name: str, around: tuple[str, ...]) -> None:
        if name in around:
            raise ValueError(f"{' -> '.join(around)} -> {name}: a circle of imports")
        if name not in done:
            for other in index[name][6]:
                visit(other, (*around, name))
            done.add(name)

    for name in index:
        visit(name, ())


class _Stripper(ast.NodeTransformer):
    """Leaves out annotations of functions, imports for type checkers, and `from __future__`, which reads a file."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        """Leave out what a function's types are."""
        node.returns = None
        arguments = node.args
        every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
        for argument in filter(None, every):
            argument.annotation = None
        return self.generic_visit(node)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST | None:
        """Leave out `from __future__ import annotations`; the compiler is told by a flag."""
        return None if node.module == "__future__" else node

    def visit_If(self, node: ast.If) -> ast.AST | list[ast.stmt]:
        """Leave out what is for type checkers."""
        self.generic_visit(node)
        for_type_checkers = isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        return (node.orelse or [ast.Pass()]) if for_type_checkers else node


def _stripped(path: str) -> ast.Module:
    """Return the syntax tree of a source, without what only readers and type checkers need."""
    with open(path, encoding="utf-8") as file:
        tree: ast.Module = ast.fix_missing_locations(_Stripper().visit(ast.parse(file.read())))
    return tree


def _compiled(tree: ast.Module, shown: str) -> CodeType:
    flags = __future__.annotations.compiler_flag
    code: CodeType = compile(tree, shown, "exec", flags=flags, dont_inherit=True, optimize=2)
    return code


def main(arguments: list[str]) -> int:
    """Write the pack of the package that this file is in; return the status."""
    package = os.path.dirname(os.path.abspath(__file__))
    path = pack_path(package)
    data = make_pack(package, checked="--unchecked" not in arguments)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(f"{path}.new", "wb") as file:
        file.write(data)
    os.replace(f"{path}.new", path)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
