"""modinfo: what modules say of themselves (contract 1, "modinfo")."""

from __future__ import annotations

import os
import stat

from ..errors import CompressionError, Error, MissingSupportError, NameSyntaxError, SignatureError
from ..names import bare_name, decode, has_module_extension, module_name, normalize_alias
from ..records import Record
from ..roots import Roots
from ..state.modulefile import ModuleFile
from ..state.tree import ModuleTree
from .common import Finished, absolute, parse_options
from .options import HELP, VERSION, Option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ..formats.signature import Signature
    from ..state.description import ModuleInfo
    from .console import Console

OPTIONS = (
    Option("author", "a", ("author",), "print only the authors"),
    Option("description", "d", ("description",), "print only the description"),
    Option("license", "l", ("license",), "print only the license"),
    Option("parm", "p", ("parameters",), "print only the parameters"),
    Option("filename", "n", ("filename",), "print only the file's path"),
    Option("null", "0", ("null",), "end each item with NUL, not with a newline"),
    Option("modname", "m", ("modname",), "operands are module names, never files or aliases"),
    Option("field", "F", ("field",), "print only the values of this field", "FIELD"),
    Option("set-version", "k", ("set-version",), "look in the modules of kernel VERSION", "VERSION"),
    Option("basedir", "b", ("basedir",), "look in DIR/lib/modules", "DIR"),
    Option("json", "", ("json",), "print JSON (docs/json.md)"),
    VERSION,
    HELP,
)
BYTES_PER_LINE = 20


class Request:
    """What the options ask for: one field or all, how items end."""

    def __init__(self) -> None:
        self.field: str | None = None
        self.null = False
        self.modname = False
        self.json = False
        self.release = ""
        self.base = ""

    def set(self, name: str, value: str) -> None:
        """Take in one option; of several fields the last counts."""
        if name == "null":
            self.null = True
        elif name == "modname":
            self.modname = True
        elif name == "json":
            self.json = True
        elif name == "set-version":
            self.release = value
        elif name == "basedir":
            # An absolute path, so that `filename:` does not depend on the current directory.
            self.base = absolute(value)
        else:
            self.field = value if name == "field" else name


class Target(Record):
    """One module to describe: `path` is None for a builtin one."""

    name: str
    path: str | None


def run(arguments: Sequence[str], console: Console, roots: Roots | None = None) -> int:
    """Describe the module, file or alias that each operand names; 1 if any is missing or broken."""
    request = Request()
    usage = f"{console.name} [options] MODULE|FILE|ALIAS..."
    try:
        operands = parse_options(arguments, console, OPTIONS, usage, request.set)
    except Finished as end:
        return end.status
    if not operands:
        console.error("missing module or filename.")
        return 1
    roots = roots or Roots()
    roots = roots.replace(base=request.base or roots.base, release=request.release or roots.release)
    return _Session(console, request, ModuleTree(roots, console.go_without)).run(operands)


class _Session:
    """One run: finds the modules of each operand and prints them."""

    def __init__(self, console: Console, request: Request, tree: ModuleTree) -> None:
        self.console = console
        self.request = request
        self.tree = tree
        self.end = "\0" if request.null else "\n"
        self.described: list[ModuleInfo] = []
        self.status = 0

    def run(self, operands: list[str]) -> int:
        for operand in operands:
            for target in self.find(operand):
                self.show(target)
        if self.request.json:
            from ..json_text import render

            self.console.write(render({"modules": self.described}))
        return self.status

    def fail(self, message: str) -> None:
        self.console.error(message)
        self.status = 1

    def find(self, operand: str) -> list[Target]:
        """The modules that an operand means; none, with a message, when there are none."""
        if self.request.modname:
            target = self.named(bare_name(operand))
            if target is None:
                self.fail(f"Module name {operand} not found.")
            return [target] if target else []
        if is_module_file(operand):
            return [Target(module_name(operand), absolute(operand))]
        try:
            alias = normalize_alias(operand)
        except NameSyntaxError:
            self.fail(f"Module alias {operand} not found.")
            return []
        targets = [target for target in map(self.named, self.names_of(alias)) if target]
        if not targets:
            self.fail(f"Module {operand} not found.")
        return targets

    def names_of(self, alias: str) -> list[str]:
        """Names of the modules an alias stands for, by the first table that knows it (contract 3, without rules)."""
        tree = self.tree
        if ":" not in alias and tree.find(alias):
            return [alias]
        if alias.startswith("symbol:") and (names := tree.modules_by_symbol(alias)):
            return names
        if names := tree.modules_by_alias(alias):
            return names
        return [alias] if tree.is_builtin(alias) else tree.builtins_by_alias(alias)

    def named(self, name: str) -> Target | None:
        """The module of exactly that name."""
        found = self.tree.find(name)
        if found:
            return Target(name, found.path)
        return Target(name, None) if self.tree.is_builtin(name) else None

    def show(self, target: Target) -> None:
        try:
            if self.request.json:
                self.describe(target)
            elif target.path is None:
                self.show_builtin(target.name)
            else:
                self.show_file(target.path)
        except (CompressionError, MissingSupportError) as error:
            self.console.error(error.reason)
            self.fail(f"could not get modinfo from '{target.name}': {error.strerror}")
        except Error as error:
            self.fail(f"could not get modinfo from '{target.name}': {error.strerror}")

    def describe(self, target: Target) -> None:
        from ..state.description import describe_builtin, describe_file

        if target.path is None:
            self.described.append(describe_builtin(target.name, self.tree.builtin_modinfo(target.name)))
            return
        with ModuleFile(target.path) as module:
            self.described.append(describe_file(module))

    def show_builtin(self, name: str) -> None:
        field = self.request.field
        if field is None:
            self.labelled("name", name)
            self.labelled("filename", "(builtin)")
        elif field == "filename":
            return self.item("(builtin)")
        elif field == "name":
            self.item(name)
        self.fields([(entry.key, entry.value) for entry in self.tree.builtin_modinfo(name)])

    def show_file(self, path: str) -> None:
        if self.request.field == "filename":
            return self.item(path)
        if self.request.field is None:
            self.labelled("filename", path)
        with ModuleFile(path) as module:
            self.fields(list(module_fields(module, self.request.field)))

    def item(self, text: str) -> None:
        self.console.write(text + self.end)

    def labelled(self, key: str, text: str) -> None:
        self.item(f"{key + ':':<16}{text}")

    def fields(self, fields: list[tuple[str, str]]) -> None:
        """Print what was asked for of a module's fields; parameters come last, the last first."""
        wanted = self.request.field
        if wanted is None:
            for key, value in fields:
                if key not in ("parm", "parmtype"):
                    self.item(f"{key}={value}" if self.request.null else f"{key + ':':<16}{value}")
            for text in reversed(self.parameters(fields, "{name}:{type}")):
                self.labelled("parm", text)
        elif wanted == "parm":
            for text in reversed(self.parameters(fields, "{name}: ({type})")):
                self.item(text)
        else:
            for key, value in fields:
                if key == wanted:
                    self.item(value)

    def parameters(self, fields: list[tuple[str, str]], only_type: str) -> list[str]:
        """A text for each parameter in order of first appearance, `parm` and `parmtype` strings joined by name."""
        found: dict[str, dict[str, str]] = {}
        for key, value in fields:
            if key in ("parm", "parmtype"):
                name, colon, text = value.partition(":")
                if colon:
                    found.setdefault(name, {})[key] = text
                else:
                    self.console.error(f"Found invalid \"{key}={value}\": missing ':'")
        texts = []
        for name, known in found.items():
            if "parm" not in known:
                texts.append(only_type.format(name=name, type=known["parmtype"]))
            else:
                kind = f" ({known['parmtype']})" if "parmtype" in known else ""
                texts.append(f"{name}:{known['parm']}{kind}")
        return texts


_SIGNATURE_FIELDS = ("sig_id", "signer", "sig_key", "sig_hashalgo", "signature")


def module_fields(module: ModuleFile, wanted: str | None) -> Iterator[tuple[str, str]]:
    """The (key, value) pairs of a module file; what `wanted` (None: everything) cannot need is not worked out."""
    for entry in module.modinfo():
        yield entry.key, entry.value
    if wanted in (None, "build-id"):
        build_id = module.elf.build_id()
        if build_id:
            yield "build-id", hex_bytes(build_id)
    if wanted is None or wanted in _SIGNATURE_FIELDS:
        try:
            signature = module.signature()
        except SignatureError:
            return  # as the kernel and kmod see it: a trailer that does not fit is no signature
        if signature:
            yield from zip(_SIGNATURE_FIELDS, signature_texts(signature), strict=True)


def signature_texts(signature: Signature) -> tuple[str, str, str, str, str]:
    """The values of the signature fields, in order; empty or `unknown` for what could not be decoded."""
    return (
        signature.id_type,
        decode(signature.signer or b""),
        hex_bytes(signature.key_id or b""),
        signature.hash or "unknown",
        hex_bytes(signature.signature),
    )


def hex_bytes(data: bytes) -> str:
    """Bytes as `AB:CD`, with a line break and two tabs after every 20th."""
    lines = (data[at : at + BYTES_PER_LINE] for at in range(0, len(data), BYTES_PER_LINE))
    return ":\n\t\t".join(line.hex(":").upper() for line in lines)


def is_module_file(operand: str) -> bool:
    """Whether the operand is an existing regular file whose name ends like a module's."""
    if not has_module_extension(operand):
        return False
    try:
        return stat.S_ISREG(os.stat(operand).st_mode)
    except (OSError, ValueError):
        return False
