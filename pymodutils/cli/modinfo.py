# SPDX-License-Identifier: LGPL-2.1-or-later
"""modinfo: describe modules by file, name or alias (docs/behaviour/1-commands.md, "modinfo")."""

from __future__ import annotations

import posix
from _stat import S_ISREG

from ..errors import CompressionError, Error, MissingSupportError, NotFoundError, SignatureError
from ..formats.modinfo import Field, parse_parameters
from ..names import EXTENSIONS, has_matched_brackets, has_module_extension, module_name, normalize_name
from ..records import Record
from ..roots import Roots
from ..state.modulefile import ModuleFile
from ..state.tree import ModuleTree, TreeModule
from .options import EXPLAIN, HELP, JSON, VERSION, CommandLine, CommandOptions, Option, absolute, require_short

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ..context import Context
    from ..formats.signature import Signature
    from ..planning.lookup import Match
    from ..state.description import ModuleInfo
    from .console import Console

    Target = TreeModule | Match
    """A module to describe; `path` is None for a builtin one."""

COMMAND_LINE = CommandLine(
    ["[options] MODULE|FILE|ALIAS..."],
    {
        "What to print": (
            Option("field", "a", ("author",), "print only the authors", constant="author"),
            Option("field", "d", ("description",), "print only the description", constant="description"),
            Option("field", "l", ("license",), "print only the license", constant="license"),
            Option("field", "p", ("parameters",), "print only the parameters", constant="parm"),
            Option("field", "n", ("filename",), "print only the file's path", constant="filename"),
            Option("field", "F", ("field",), "print only the values of this field", "FIELD"),
        ),
        "Where to look": (
            Option("modname", "m", ("modname",), "operands are module names, never files or aliases"),
            Option("set_version", "k", ("set-version",), "look in the modules of kernel VERSION", "VERSION"),
            Option("basedir", "b", ("basedir",), "look in DIR/lib/modules", "DIR"),
        ),
        "Output": (
            Option("null", "0", ("null",), "end each item with NUL, not with a newline"),
            EXPLAIN,
            JSON,
            VERSION,
            HELP,
        ),
    },
    page="modinfo(8)",
    examples=["modinfo -F firmware r8152", "modinfo $(cat /sys/bus/pci/devices/*/modalias)"],
)
BYTES_PER_LINE = 20
MANY = 64
"""From so many operands on, describing them is worth more than one process."""


class ModinfoOptions(CommandOptions):
    """The options of modinfo as one command line has them; `field` is None for all fields."""

    field: str | None = None
    modname = False
    set_version = ""
    basedir = ""
    null = False


class FieldValues(Record):
    """The values of one field of a module, as --json prints them with -F."""

    name: str
    filename: str | None
    field: str
    values: list[str]


class ModulesDocument(Record):
    """The document of --json."""

    modules: list[ModuleInfo | FieldValues]


def run(arguments: Sequence[str], console: Console, roots: Roots | None = None) -> int:
    """Describe the module, file or alias that each operand names; 1 if any is missing or broken."""
    options = ModinfoOptions()
    operands = COMMAND_LINE.read(arguments, console, options)
    if not operands:
        console.error("missing module or filename.")
        return 1
    roots = roots or Roots()
    # An absolute path, so that `filename:` does not depend on the current directory.
    base = absolute(options.basedir) if options.basedir else roots.base
    roots = roots.replace(base=base, release=options.set_version or roots.release)
    if options.basedir or options.set_version:
        require_short(roots.replace(base=options.basedir or roots.base).modules, console)
    answer = _Answer(Finder(roots, options, console), options, console)
    if options.json:
        status = max([answer.operand(operand) for operand in operands])
        console.write(ModulesDocument(answer.described).to_json())
        return status
    if len(operands) >= MANY:
        from .batches import answer_all

        return answer_all(operands, answer.operand, console)
    return max([answer.operand(operand) for operand in operands])


class _Answer:
    """Describes what operands name, one after the other; `described` is what --json prints in the end."""

    def __init__(self, finder: Finder, options: ModinfoOptions, console: Console) -> None:
        self.described: list[ModuleInfo | FieldValues] = []
        self._finder = finder
        self._options = options
        self._console = console

    def operand(self, operand: str) -> int:
        """Describe the modules that an operand names; 1 if it names none, or one that cannot be read."""
        try:
            targets = self._finder.find(operand)
        except NotFoundError as error:
            self._console.error(f"Module {error.reason} not found.")
            if self._console.helps_a_person():
                from .hints import module_not_found

                module_not_found(operand, self._finder.context, self._console)
            self._explain(error, operand)
            return 1
        return max([self._target(operand, target) for target in targets])

    def _target(self, operand: str, target: Target) -> int:
        try:
            self._describe(target)
        except Error as error:
            if isinstance(error, CompressionError):
                self._console.error(error.reason)
            why = error.reason if isinstance(error, MissingSupportError) else error.strerror
            self._console.error(f"could not get modinfo from '{target.name}': {why}")
            self._explain(error, operand)
            return 1
        return 0

    def _describe(self, target: Target) -> None:
        options, console, tree = self._options, self._console, self._finder.tree
        if not options.json:
            show(target, tree, FieldOutput(options, console, console.write))
        elif options.field is None:
            self.described.append(self._finder.describe(target))
        else:
            values: list[str] = []
            show(target, tree, FieldOutput(options, console, values.append, ""))
            self.described.append(FieldValues(target.name, target.path, options.field, values))

    def _explain(self, error: Error, operand: str) -> None:
        """Explain a failure, if that is wanted, and near names were not shown."""
        if self._console.explains(self._options.explain) and not self._console.has_hinted():
            from .explaining import explain_failure

            if isinstance(error, NotFoundError):
                error = NotFoundError("module not found", asked=operand)
            explain_failure(error, self._finder.context, self._console, asked=operand, action="describe")


# --- which modules


class Finder:
    """Finds modules; a context is brought in only for what is no name in modules.dep, which most operands are."""

    def __init__(self, roots: Roots, options: ModinfoOptions, console: Console) -> None:
        self.tree: ModuleTree = ModuleTree(roots, console.on_index_error)
        self._roots = roots
        self._options = options
        self._console = console
        self._context: Context | None = None

    @property
    def context(self) -> Context:
        """The system that modules are looked up in."""
        if self._context is None:
            from ..context import Context

            self._context = Context(self._roots, on_problem=self._console.on_problem)
        return self._context

    def describe(self, target: Target) -> ModuleInfo:
        """Return what --json tells of a module. Raises `Error`."""
        from ..planning.lookup import Match

        return self.context.info(target if isinstance(target, Match) else target.path)

    def find(self, operand: str) -> Sequence[Target]:
        """Return the modules that an operand means.

        Raises `NotFoundError`; its `reason` is the operand, with its kind as far as that is known.
        """
        if self._options.modname:
            name = operand.partition(".")[0]
            found = self.tree.find(name) or self.context.find(name) or self._builtin_by_alias(normalize_name(name))
            if found is None:
                raise NotFoundError(f"name {operand}")
            return [found]
        if is_module_file(operand):
            return [TreeModule(module_name(operand), absolute(operand), ())]
        if not has_matched_brackets(operand):
            raise NotFoundError(f"alias {operand}")
        if ":" not in operand and (known := self.tree.find(operand)):
            return [known]
        # Other paths than those of module files are looked up as aliases, and none has one.
        is_path = operand.startswith(("/", "./"))
        matches = [] if is_path else self.context.lookup(operand, configured=False)
        matches = [match for match in matches if match.path or match.builtin]
        if not matches:
            raise NotFoundError(operand)
        return matches

    def _builtin_by_alias(self, alias: str) -> Match | None:
        """Return the first builtin module with this alias: kmod looks there for names as well."""
        from ..planning.lookup import Match

        names = self.tree.builtins_by_alias(alias) if has_matched_brackets(alias) else []
        return Match(names[0], alias, None, (), "modules.builtin.alias", builtin=True) if names else None


def is_module_file(operand: str) -> bool:
    """Tell whether the operand is an existing regular file whose name ends like a module's."""
    if not has_module_extension(operand) or operand in EXTENSIONS:
        return False
    try:
        return S_ISREG(posix.stat(operand).st_mode)
    except (OSError, ValueError):
        return False


# --- what is printed


def show(target: Target, tree: ModuleTree, output: FieldOutput) -> None:
    """Print the fields asked for; the path comes before any error about the content."""
    if output.print_place(target):
        return
    if target.path is None:
        output.print_fields(tree.builtin_modinfo(target.name))
        return
    with ModuleFile(target.path) as module:
        output.print_fields(list(module_fields(module, output.field)))


class FieldOutput:
    """Puts fields out as the options say: all of them or the values of one, each followed by `end`."""

    def __init__(
        self, options: ModinfoOptions, console: Console, put: Callable[[str], object], end: str | None = None
    ) -> None:
        self.field: str | None = options.field
        self._null = options.null
        self._console = console
        self._put = put
        self._end = ("\0" if options.null else "\n") if end is None else end

    def print_place(self, target: Target) -> bool:
        """Print where the module is, and its name if it is builtin; return whether that is all that was asked for."""
        is_builtin = target.path is None
        place = target.path or "(builtin)"
        if self.field == "filename":
            self._item(place)
            return True
        if is_builtin and self.field == "name":
            self._item(target.name)
        if self.field is None:
            if is_builtin:
                self._labelled("name", target.name)
            self._labelled("filename", place)
        return False

    def print_fields(self, fields: list[Field]) -> None:
        """Print the fields asked for; parameters come last, the last first."""
        if self.field is None:
            for field in fields:
                if field.key not in ("parm", "parmtype"):
                    self._item(f"{field.key}={field.value}" if self._null else f"{field.key + ':':<16}{field.value}")
            for text in reversed(self._parameters(fields, "{name}:{type}")):
                self._labelled("parm", text)
        elif self.field == "parm":
            for text in reversed(self._parameters(fields, "{name}: ({type})")):
                self._item(text)
        else:
            for field in fields:
                if field.key == self.field:
                    self._item(field.value)

    def _item(self, text: str) -> None:
        self._put(text + self._end)

    def _labelled(self, key: str, text: str) -> None:
        self._item(f"{key + ':':<16}{text}")

    def _parameters(self, fields: list[Field], only_type: str) -> list[str]:
        """Return a text for each parameter; `only_type` is the form of one without a description."""

        def report_malformed(field: Field) -> None:
            self._console.error(f"Found invalid \"{field.key}={field.value}\": missing ':'")

        texts = []
        for parameter in parse_parameters(fields, report_malformed):
            if parameter.description is None:
                texts.append(only_type.format(name=parameter.name, type=parameter.type))
            else:
                kind = f" ({parameter.type})" if parameter.type is not None else ""
                texts.append(f"{parameter.name}:{parameter.description}{kind}")
        return texts


# --- the fields of a file

_SIGNATURE_FIELDS = ("sig_id", "signer", "sig_key", "sig_hashalgo", "signature")


def module_fields(module: ModuleFile, wanted: str | None) -> Iterator[Field]:
    """Yield the fields of a module file; what `wanted` (None: everything) cannot need is not worked out."""
    yield from module.modinfo()
    if wanted in (None, "build-id"):
        build_id = module.build_id()
        if build_id:
            yield Field("build-id", hex_bytes(build_id))
    if wanted is None or wanted in _SIGNATURE_FIELDS:
        try:
            signature = module.signature()
        except SignatureError:
            return  # as the kernel and kmod see it: a trailer that does not fit is no signature
        if signature:
            yield from map(Field, _SIGNATURE_FIELDS, signature_texts(signature))


def signature_texts(signature: Signature) -> tuple[str, str, str, str, str]:
    """Return the values of the signature fields, in order; empty or `unknown` for what could not be decoded."""
    return (
        signature.id_type,
        signature.signer or "",
        hex_bytes(signature.key_id or b""),
        signature.hash or "unknown",
        hex_bytes(signature.signature),
    )


def hex_bytes(data: bytes) -> str:
    """Return bytes as `AB:CD`, with a line break and two tabs after every 20th."""
    lines = (data[at : at + BYTES_PER_LINE] for at in range(0, len(data), BYTES_PER_LINE))
    return ":\n\t\t".join(line.hex(":").upper() for line in lines)
