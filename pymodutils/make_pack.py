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
    from types import CodeType
    from typing import Any

    from .packed import Entry

RARE = (
    *("depmod", "diagnosis", "verbs", "cli/depmod", "cli/verbs", "packed.py", "make_pack.py", "__main__.py"),
    *(
        "cli/explaining.py",
        "cli/explanations.py",
        "formats/kernellog.py",
        "state/kernellog.py",
        "state/kernelexports.py",
    ),
    *("state/modulereading.py", "state/processfacts.py"),
)
"""What the everyday commands never import."""


def pack_path(package: str) -> str:
    """Return where the pack of the running Python is."""
    return f"{package}/__pycache__/commands.{sys.implementation.cache_tag}.pack"


def make_pack(package: str, *, checked: bool) -> bytes:
    """Return the bytes of a pack for the package in a directory."""
    finder = _code(f"{package}/packed.py", "pymodutils/packed.py")
    names: dict[str, Any] = {"__name__": "pymodutils.packed"}
    exec(finder, names)
    head_size = names["HEAD_SIZE"]
    index: dict[str, Entry] = {}
    codes: list[bytes] = []
    offset = 0
    for file in _everyday_files(package):
        path = f"{package}/{file}"
        code = marshal.dumps(_code(path, f"pymodutils/{file}"))
        name = ".".join(["pymodutils", *file.removesuffix(".py").removesuffix("__init__").strip("/").split("/")])
        found = os.stat(path)
        size, time = (found.st_size, found.st_mtime_ns) if checked else (0, 0)
        index[name.rstrip(".")] = (file, file.endswith("__init__.py"), size, time, offset, len(code))
        codes.append(code)
        offset += len(code)
    head = MAGIC_NUMBER + marshal.dumps((finder, index, checked))
    if len(head) > head_size:
        raise ValueError(f"the head has {len(head)} bytes, more than {head_size}")
    return head.ljust(head_size, b"\0") + b"".join(codes)


def _everyday_files(package: str) -> list[str]:
    found = []
    for directory, _, names in os.walk(package):
        below = os.path.relpath(directory, package)
        found += [os.path.normpath(f"{below}/{name}") for name in names if name.endswith(".py")]
    return sorted(file for file in found if not f"{file}/".startswith(tuple(f"{rare}/" for rare in RARE)))


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


def _code(path: str, shown: str) -> CodeType:
    """Return the code of a source, without what only readers and type checkers need."""
    with open(path, encoding="utf-8") as file:
        tree = ast.fix_missing_locations(_Stripper().visit(ast.parse(file.read())))
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
