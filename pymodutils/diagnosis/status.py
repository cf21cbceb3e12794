"""Where a module stands: in the kernel, in the tree, or nowhere; and what is known of it."""

from __future__ import annotations

from ..diagnostics import Evidence
from ..errors import Error
from ..formats.modinfo import values_of
from ..formats.taint import module_taint
from ..names import decode
from ..records import Record
from ..state.modulefile import ModuleFile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..formats.modinfo import Field
    from ..formats.modprobeconf import Rule
    from ..formats.procmodules import LoadedModule
    from ..formats.taint import Taint
    from ..planning.lookup import Match
    from ..state.live import LiveKernel
    from ..state.system import System

LIVE, COMING, GOING, BUILTIN = "live", "coming", "going", "builtin"
AVAILABLE, ABSENT, UNKNOWN = "available", "absent", "unknown"
"""Words of `Status.state`."""

DENYING_COMMANDS = ("/bin/false", "/usr/bin/false", "false", "/bin/true", "/usr/bin/true", "true", ":", "/dev/null")
"""First words of install rules that load nothing."""


class Status(Record):
    """Where a module stands, and what is known of it; None is "not known".

    `state` is `live`, `coming`, `going` (loaded), `builtin`, `available` (in the tree, not loaded), `absent`, or
    `unknown` (there is no tree to look in, and no trace of the module). `evidence` says what that rests on. `size` is
    in bytes. `refcount` counts references, not users. `taint` is what this module did to the kernel. `version`,
    `srcversion`, `build_id` and `parameters` are those of the loaded module, else of its file. `stale` tells whether
    the loaded module is another build than its file; `denied` whether an install rule keeps it from being loaded by
    name.
    """

    asked: str
    name: str
    state: str
    evidence: tuple[Evidence, ...]
    path: str | None
    size: int | None
    refcount: int | None
    holders: tuple[str, ...] | None
    permanent: bool | None
    taint: Taint | None
    version: str | None
    srcversion: str | None
    build_id: bytes | None
    signer: str | None
    stale: bool | None
    denied: bool | None
    parameters: Mapping[str, str | None] | None

    @property
    def is_in_kernel(self) -> bool:
        """Whether the kernel has the module: loaded and ready, or builtin."""
        return self.state in (LIVE, BUILTIN)


def module_status(
    system: System, asked: str, found: Match | None, name: str, loaded: Mapping[str, LoadedModule]
) -> Status:
    """Return where the module `name` stands.

    `found` is what `asked` stands for, None for nothing. `loaded` are the modules in the kernel by name.
    """
    path = found.path if found else None
    module = loaded.get(name)
    state, evidence = _state(system, found, name, module)
    facts = _FileFacts(path)
    live = system.live
    version, srcversion, build_id = facts.version, facts.srcversion, facts.build_id
    stale = None
    if module:
        version, srcversion = live.attribute(name, "version"), live.attribute(name, "srcversion")
        build_id = live.build_id(name)
        stale = _differ(srcversion, facts.srcversion, build_id, facts.build_id)
    in_kernel = state in (LIVE, COMING, GOING, BUILTIN)
    rule = system.config.first("install", name)
    return Status(
        asked=asked,
        name=name,
        state=state,
        evidence=tuple(evidence),
        path=path,
        size=module.size if module else None,
        refcount=module.refcount if module else None,
        holders=module.holders if module else None,
        permanent=module.permanent if module else None,
        taint=module_taint(module.taint) if module else None,
        version=version,
        srcversion=srcversion,
        build_id=build_id,
        signer=facts.signer,
        stale=stale,
        denied=is_denial(rule) if not in_kernel or module else None,
        parameters=live.parameters(name) if live.is_asked and in_kernel else None,
    )


def is_denial(rule: Rule | None) -> bool:
    """Tell whether an install rule loads nothing: its command is `/bin/false`, `/bin/true` or the like."""
    words = rule.text.split() if rule else []
    return bool(words) and words[0] in DENYING_COMMANDS


def _state(system: System, found: Match | None, name: str, module: LoadedModule | None) -> tuple[str, list[Evidence]]:
    """Return the word for where a module stands, and what shows it."""
    if module:
        return module.state, [Evidence("/proc/modules", f"{name} is {module.state}")]
    if found and found.builtin:
        return BUILTIN, [Evidence(found.origin, f"{name} is part of the kernel image")]
    traces = _traces(system.live, name)
    if traces:  # in the kernel, and not in /proc/modules
        return BUILTIN, traces
    if found and found.path:
        return AVAILABLE, [Evidence(found.origin, found.path)]
    if system.tree.exists:
        return ABSENT, [Evidence(system.tree.directory, f"no index there knows {name}")]
    return UNKNOWN, [Evidence(system.tree.directory, "there is no module directory")]


def _traces(live: LiveKernel, name: str) -> list[Evidence]:
    """Return what the kernel shows of a module that is part of its image."""
    found: list[Evidence] = []
    if live.has_directory(name):
        found.append(Evidence(f"/sys/module/{name}", "the directory exists, and the module is not in /proc/modules"))
    for source, column in (("filesystems", -1), ("misc", -1)):
        for line in (live.text(source) or "").splitlines():
            words = line.split()
            if words and words[column].replace("-", "_") == name:
                found.append(Evidence(f"/proc/{source}", line.strip()))
    if _is_builtin_algorithm(live.text("crypto") or "", name):
        found.append(Evidence("/proc/crypto", f"{name} is an algorithm of the kernel itself"))
    return found


def _is_builtin_algorithm(text: str, name: str) -> bool:
    """Tell whether /proc/crypto lists an algorithm or driver of this name whose module is the kernel itself."""
    for block in text.split("\n\n"):
        fields = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in block.splitlines())}
        names = (fields.get("name", ""), fields.get("driver", ""))
        if fields.get("module") == "kernel" and name in [text.replace("-", "_") for text in names]:
            return True
    return False


def _differ(live_source: str | None, source: str | None, live_build: bytes | None, build: bytes | None) -> bool | None:
    """Tell whether the loaded module is another build than its file; None when nothing can be compared."""
    if live_build and build:
        return live_build != build
    return live_source != source if live_source and source else None


class _FileFacts:
    """What a module's file says; nothing where there is no file or it cannot be read."""

    def __init__(self, path: str | None) -> None:
        self.version: str | None = None
        self.srcversion: str | None = None
        self.build_id: bytes | None = None
        self.signer: str | None = None
        if path is None:
            return
        try:
            with ModuleFile(path) as module:
                self._take(module)
        except Error:
            pass

    def _take(self, module: ModuleFile) -> None:
        fields = module.modinfo()
        self.version = _first(fields, "version")
        self.srcversion = _first(fields, "srcversion")
        self.build_id = module.elf.build_id()
        signature = module.signature()
        signer = signature.signer if signature else None
        self.signer = decode(signer) if isinstance(signer, bytes) else signer


def _first(fields: list[Field], key: str) -> str | None:
    return next(iter(values_of(fields, key)), None)
