"""Everything a module says of itself, as one typed value."""

from __future__ import annotations

from ..errors import SignatureError
from ..formats.modinfo import Softdep, names_list, parameters, parse_softdep, values_of
from ..records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..formats.modinfo import Field, Parameter
    from ..formats.signature import Signature
    from .modulefile import ModuleFile


class ModuleInfo(Record):
    """A module's description; None or an empty list where the module says nothing.

    `filename` is None for a builtin module. `softdeps` gathers all softdep strings; `raw` holds every string of
    .modinfo in file order, whatever else was made of it. `build_id` is the GNU build-id.
    """

    name: str
    filename: str | None
    builtin: bool
    compression: str | None
    version: str | None
    srcversion: str | None
    vermagic: str | None
    description: str | None
    authors: list[str]
    license: str | None
    aliases: list[str]
    depends: list[str]
    softdeps: Softdep
    weakdeps: list[str]
    firmware: list[str]
    import_ns: list[str]
    parameters: list[Parameter]
    intree: bool
    staging: bool
    retpoline: bool
    build_id: bytes | None
    signature: Signature | None
    raw: list[Field]


def describe_file(module: ModuleFile) -> ModuleInfo:
    """The description of an open module file. Raises `FormatError`s and `FileError`."""
    fields = module.modinfo()
    try:
        signature = module.signature()
    except SignatureError:
        signature = None  # as the kernel and kmod see it: a trailer that does not fit is no signature
    return _describe(module.name, fields, module.path, module.compression, module.elf.build_id(), signature)


def describe_builtin(name: str, fields: list[Field]) -> ModuleInfo:
    """The description of a module in the kernel image, from its strings in modules.builtin.modinfo."""
    return _describe(name, fields, None, None, None, None)


def _describe(
    name: str,
    fields: list[Field],
    filename: str | None,
    compression: str | None,
    build_id: bytes | None,
    signature: Signature | None,
) -> ModuleInfo:
    def first(key: str) -> str | None:
        return next(iter(values_of(fields, key)), None)

    softdeps = [parse_softdep(text) for text in values_of(fields, "softdep")]
    return ModuleInfo(
        name=name,
        filename=filename,
        builtin=filename is None,
        compression=compression,
        version=first("version"),
        srcversion=first("srcversion"),
        vermagic=first("vermagic"),
        description=first("description"),
        authors=values_of(fields, "author"),
        license=first("license"),
        aliases=values_of(fields, "alias"),
        depends=names_list(first("depends") or ""),
        softdeps=Softdep([m for dep in softdeps for m in dep.pre], [m for dep in softdeps for m in dep.post]),
        weakdeps=[m for text in values_of(fields, "weakdep") for m in names_list(text)],
        firmware=values_of(fields, "firmware"),
        import_ns=values_of(fields, "import_ns"),
        parameters=parameters(fields),
        intree=first("intree") == "Y",
        staging=first("staging") == "Y",
        retpoline=first("retpoline") == "Y",
        build_id=build_id,
        signature=signature,
        raw=fields,
    )
