# SPDX-License-Identifier: LGPL-2.1-or-later
"""Where a module stands: in the kernel, in the tree, or nowhere; and what is known of it."""

from __future__ import annotations

from ..diagnostics import Evidence, Place
from ..errors import Error, FileError, NameSyntaxError
from ..formats.cmdline import MODULE_BLACKLIST, parse_boot_rules
from ..formats.taint import module_taint
from ..frozendict import FrozenDict
from ..names import encode
from ..planning.lookup import MODULES_DEP, lookup, match
from ..planning.shellcommands import LOADS, LOADS_NOTHING, effect_of
from ..records import Record
from ..state.description import describe_file
from ..state.modulefile import ModuleFile
from .rules import knows_softdeps, softdeps_in_effect

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import TypeVar

    from ..formats.modprobeconf import Rule
    from ..formats.procmodules import LoadedModule
    from ..formats.taint import Taint
    from ..planning.lookup import Match
    from ..state.system import System

    Answer = TypeVar("Answer")

LIVE, COMING, GOING, BUILTIN = "live", "coming", "going", "builtin"
AVAILABLE, ABSENT, UNKNOWN = "available", "absent", "unknown"
"""Words of `Status.state`."""


class Status(Record):
    """Where a module stands, and what is known of it; None is "not known".

    `state` is `live`, `coming`, `going` (loaded), `builtin`, `available` (in the tree, not loaded), `absent`, or
    `unknown` (there is no tree to look in, or an index is missing or damaged that may know it, and there is no trace of
    it). `evidence` says what that rests on. `size` is in bytes. `refcount` counts references, not users. `taint` is
    what this module did to the kernel. `version`, `srcversion` and `build_id` are those of the loaded module, else of
    its file; `signer` is that of the file. `stale` tells whether the loaded module is another build than its file.
    `denied` tells whether a rule keeps it from being loaded by its name, `denied_by` is that rule: an install rule, or
    `module_blacklist=` on the kernel command line. `parameters` are those that the kernel shows, None for values that
    cannot be read; they are None where /sys does not show the module. `similar` has names that resemble one that is
    `absent`.
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
    denied_by: Place | None = None
    similar: tuple[str, ...] = ()

    @property
    def is_in_kernel(self) -> bool:
        """Whether the kernel has the module: loaded and ready, or builtin."""
        return self.state in (LIVE, BUILTIN)


def match_loaded(system: System, name: str) -> Match:
    """Return what the tree has of a loaded module, whose file may have another name than the module in it.

    Ubuntu's nvidia_384_uvm.ko is the module nvidia_uvm, for which the tree has an alias. An alias alone proves nothing:
    the file has to say that it is this module.
    """
    found = match(system, name, None, MODULES_DEP)
    if found.path or found.builtin:
        return found
    try:
        others = lookup(system, name)
    except (Error, NameSyntaxError):
        return found
    return next((other for other in others if other.path and _own_name(other.path) == name), found)


def _own_name(path: str) -> str | None:
    """Return the name that a file says its module has."""
    try:
        with ModuleFile(path) as module:
            return next((field.value for field in module.modinfo() if field.key == "name"), None)
    except Error:
        return None


def module_status(
    system: System,
    asked: str,
    found: Match | None,
    name: str,
    loaded: Mapping[str, LoadedModule],
    on_unread: Callable[[FileError], None] | None = None,
) -> Status:
    """Return where the module `name` stands.

    `found` is what `asked` stands for, None for nothing. `loaded` are the modules in the kernel by name. `on_unread`
    hears of what /sys does not let one read, which is not known then; without it, `FileError` is raised.
    """

    def known(read: Callable[[], Answer | None]) -> Answer | None:
        try:
            return read()
        except FileError as error:
            if on_unread is None:
                raise
            on_unread(error)
            return None

    path = found.path if found else None
    module = loaded.get(name)
    state, evidence = _state(system, found, name, module, asked)
    facts = _FileFacts(path)
    live = system.live
    version, srcversion, build_id = facts.version, facts.srcversion, facts.build_id
    stale = None
    if module:
        version = known(lambda: live.attribute(name, "version"))
        srcversion = known(lambda: live.attribute(name, "srcversion"))
        build_id = known(lambda: live.build_id(name))
        stale = _differ(srcversion, facts.srcversion, build_id, facts.build_id)
    in_kernel = state in (LIVE, COMING, GOING, BUILTIN)
    parameters = None
    if live.is_asked and in_kernel:
        parameters = known(lambda: live.known_parameters(name, builtin=state == BUILTIN))
    denied, denied_by = (None, None) if state == BUILTIN else denial(system, name)
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
        denied=denied,
        parameters=None if parameters is None else FrozenDict(parameters),
        denied_by=denied_by,
    )


def state_of(
    system: System, found: Match | None, name: str, loaded: Mapping[str, LoadedModule], asked: str = ""
) -> str:
    """Return where a module stands: a word of `Status.state`.

    `found` is what was found for its name, if anything, and `asked` the text that it was found by.
    """
    module = loaded.get(name)
    if module is None and system.tree.is_builtin(name):
        return BUILTIN
    return _state(system, found, name, module, asked)[0]


def is_denial(rule: Rule | None) -> bool:
    """Tell whether an install rule surely loads nothing: its command is `/bin/false`, `/bin/true` or the like."""
    return rule is not None and effect_of(rule.text, rule.key) == LOADS_NOTHING


def denial(system: System, name: str) -> tuple[bool | None, Place | None]:
    """Tell whether a rule keeps a module from being loaded by its name, and which.

    None where an install rule runs a command of which nobody can say what it does, and where an index is missing or
    damaged that may know a soft dependency, which would switch the rule off.
    """
    for boot_rule in parse_boot_rules(encode(system.live.text("cmdline") or "")):
        if boot_rule.parameter == MODULE_BLACKLIST and boot_rule.effective and boot_rule.name == name:
            return True, Place(boot_rule.file, None, f"{MODULE_BLACKLIST}={name}")
    rule = system.config.first("install", name)
    if rule is None or softdeps_in_effect(system, name):
        return False, None
    if not knows_softdeps(system, name):
        return None, None
    effect = effect_of(rule.text, name)
    return {LOADS: False, LOADS_NOTHING: True}.get(effect), rule.place if effect == LOADS_NOTHING else None


def _state(
    system: System, found: Match | None, name: str, module: LoadedModule | None, asked: str
) -> tuple[str, list[Evidence]]:
    """Return the word for where a module stands, and what shows it."""
    if module:
        return module.state, [Evidence("/proc/modules", f"{name} is {module.state}")]
    since = system.live.attribute(name, "initstate")
    if since:  # loaded after /proc/modules was read
        return since if since in (LIVE, COMING, GOING) else UNKNOWN, [Evidence(f"/sys/module/{name}/initstate", since)]
    if found and found.builtin:
        return BUILTIN, [Evidence(found.origin, f"{name} is part of the kernel image")]
    traces = traces_of(system, name, has_file=bool(found and found.path))
    if traces:  # in the kernel, and not in /proc/modules
        return BUILTIN, traces
    if found and found.path:
        return AVAILABLE, [Evidence(found.origin, found.path)]
    why = system.tree.why_unknown(asked)
    if why is None:
        return ABSENT, [Evidence(system.tree.directory, f"no index there knows {name}")]
    return UNKNOWN, [Evidence(system.tree.directory, why)]


def traces_of(system: System, name: str, *, has_file: bool) -> list[Evidence]:
    """Return what the kernel shows of a module that is part of its image.

    Where no index tells which modules there are, something of that name counts as well, whatever registered it.
    """
    live, tree = system.live, system.tree
    # Empty is also what depmod leaves where the list of builtin modules is missing.
    by_name = not has_file and (tree.lacks_index("dep") or next(tree.entries("builtin"), None) is None)
    found: list[Evidence] = []
    if live.has_directory(name):
        found.append(Evidence(f"/sys/module/{name}", "the directory exists, and the module is not in /proc/modules"))
    if not by_name:
        return found
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
        info = describe_file(module, ("version", "srcversion", "build_id", "signature"))
        self.version = info.version
        self.srcversion = info.srcversion
        self.build_id = info.build_id
        self.signer = info.signature.signer if info.signature else None
