# SPDX-License-Identifier: LGPL-2.1-or-later
"""pymodutils: Linux kernel modules, loaded, listed and described in Python; see docs/architecture.md for the layers.

Public names are imported when first used, so that the commands pay only for what they need.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ._version import __version__ as __version__
    from .context import Context as Context
    from .context import loaded_modules as loaded_modules
    from .context import module_info as module_info
    from .depmod.errors import CycleError as CycleError
    from .depmod.errors import IndexWriteError as IndexWriteError
    from .depmod.errors import KernelSymbolsError as KernelSymbolsError
    from .depmod.errors import ModuleOperandError as ModuleOperandError
    from .depmod.findings import BrokenModule as BrokenModule
    from .depmod.findings import UnresolvedSymbol as UnresolvedSymbol
    from .diagnosis.allowlist import PolicyChange as PolicyChange
    from .diagnosis.causes.case import Explanation as Explanation
    from .diagnosis.check import BuiltinModule as BuiltinModule
    from .diagnosis.check import Check as Check
    from .diagnosis.check import Door as Door
    from .diagnosis.check import Doors as Doors
    from .diagnosis.closure import ClosureNode as ClosureNode
    from .diagnosis.closure import Firmware as Firmware
    from .diagnosis.closure import MissingModule as MissingModule
    from .diagnosis.closure import Reason as Reason
    from .diagnosis.ensure import EnsureAction as EnsureAction
    from .diagnosis.ensure import EnsureChange as EnsureChange
    from .diagnosis.ensure import EnsureResult as EnsureResult
    from .diagnosis.ensure import ModuleCondition as ModuleCondition
    from .diagnosis.lint.sources import Finding as Finding
    from .diagnosis.moduledifference import Change as Change
    from .diagnosis.oops import Suspect as Suspect
    from .diagnosis.parameters import ConfiguredValue as ConfiguredValue
    from .diagnosis.parameters import ModuleParameters as ModuleParameters
    from .diagnosis.parameters import ParameterState as ParameterState
    from .diagnosis.reload import ReloadStep as ReloadStep
    from .diagnosis.rules import RuleStatus as RuleStatus
    from .diagnosis.signatures import ModuleSignature as ModuleSignature
    from .diagnosis.signatures import VerificationKey as VerificationKey
    from .diagnosis.status import Status as Status
    from .diagnosis.verification import ModuleVerdict as ModuleVerdict
    from .diagnosis.verification import Problem as Problem
    from .diagnosis.who import PruneCandidate as PruneCandidate
    from .diagnosis.who import User as User
    from .diagnostics import Diagnostic as Diagnostic
    from .diagnostics import Evidence as Evidence
    from .diagnostics import Place as Place
    from .effects.indexes import DuplicateModule as DuplicateModule
    from .effects.indexes import DuplicateSymbol as DuplicateSymbol
    from .effects.indexes import IndexJob as IndexJob
    from .effects.indexes import IndexUpdate as IndexUpdate
    from .effects.indexes import update_indexes as update_indexes
    from .effects.kernel import KernelModules as KernelModules
    from .errors import AmbiguousNameError as AmbiguousNameError
    from .errors import CommandError as CommandError
    from .errors import CompressionError as CompressionError
    from .errors import DeniedError as DeniedError
    from .errors import ElfError as ElfError
    from .errors import Error as Error
    from .errors import FileError as FileError
    from .errors import FormatError as FormatError
    from .errors import IndexFormatError as IndexFormatError
    from .errors import InsertError as InsertError
    from .errors import KernelError as KernelError
    from .errors import LiveKernelNotAskedError as LiveKernelNotAskedError
    from .errors import MissingSupportError as MissingSupportError
    from .errors import MissingTreeError as MissingTreeError
    from .errors import NameSyntaxError as NameSyntaxError
    from .errors import NotFoundError as NotFoundError
    from .errors import ParameterError as ParameterError
    from .errors import RemoveError as RemoveError
    from .errors import SignatureError as SignatureError
    from .errors import SystemCallError as SystemCallError
    from .formats.compression import readable_compressions as readable_compressions
    from .formats.dwarf import SourceLine as SourceLine
    from .formats.elf import Section as Section
    from .formats.graphtext import GraphEdge as GraphEdge
    from .formats.graphtext import GraphNode as GraphNode
    from .formats.machinecode import Instruction as Instruction
    from .formats.modinfo import Field as Field
    from .formats.modinfo import Parameter as Parameter
    from .formats.modinfo import parse_parameters as parse_parameters
    from .formats.modprobeconf import Rule as Rule
    from .formats.oops import Trace as Trace
    from .formats.oops import TraceModule as TraceModule
    from .formats.oops import UnloadedModule as UnloadedModule
    from .formats.parameters import join_parameters as join_parameters
    from .formats.procmodules import LoadedModule as LoadedModule
    from .formats.signature import Signature as Signature
    from .formats.softdep import Softdep as Softdep
    from .formats.symbols import Symbol as Symbol
    from .formats.taint import KernelTaint as KernelTaint
    from .formats.taint import Taint as Taint
    from .formats.textindex import DeviceNode as DeviceNode
    from .formats.wantedstate import WantedModule as WantedModule
    from .observer import Observer as Observer
    from .planning.lookup import Match as Match
    from .planning.plan import Missing as Missing
    from .planning.plan import Plan as Plan
    from .planning.plan import PlanRequest as PlanRequest
    from .planning.plan import Step as Step
    from .planning.plan import TargetPlan as TargetPlan
    from .records import Record as Record
    from .roots import Roots as Roots
    from .state.config import Config as Config
    from .state.configdirs import ShadowedFile as ShadowedFile
    from .state.description import ModuleInfo as ModuleInfo
    from .state.kernelfacts import KernelFacts as KernelFacts
    from .state.live import LiveKernel as LiveKernel
    from .state.modulefile import ModuleFile as ModuleFile
    from .state.system import System as System
    from .state.tree import ModuleTree as ModuleTree
    from .state.tree import TreeModule as TreeModule
    from .state.users.use import Process as Process
    from .verbs.autoload import AutoloadedModule as AutoloadedModule
    from .verbs.autoload import Autoloader as Autoloader
    from .verbs.autoload import AutoloadReport as AutoloadReport
    from .verbs.autoload import autoload as autoload
    from .verbs.check import CheckReport as CheckReport
    from .verbs.check import check as check
    from .verbs.closure import ClosureReport as ClosureReport
    from .verbs.closure import Lack as Lack
    from .verbs.closure import closure as closure
    from .verbs.config import ConfigFile as ConfigFile
    from .verbs.config import ConfigReport as ConfigReport
    from .verbs.config import config as config
    from .verbs.decode import Alternative as Alternative
    from .verbs.decode import DecodeReport as DecodeReport
    from .verbs.decode import Frame as Frame
    from .verbs.decode import decode as decode
    from .verbs.devices import Device as Device
    from .verbs.devices import DeviceCandidate as DeviceCandidate
    from .verbs.devices import DevicesReport as DevicesReport
    from .verbs.devices import devices as devices
    from .verbs.diff import DiffReport as DiffReport
    from .verbs.diff import diff as diff
    from .verbs.ensure import EnsureReport as EnsureReport
    from .verbs.ensure import ensure as ensure
    from .verbs.ensure import read_wanted as read_wanted
    from .verbs.ensure import wanted_in as wanted_in
    from .verbs.explain import ExplainedModule as ExplainedModule
    from .verbs.explain import ExplainReport as ExplainReport
    from .verbs.explain import explain as explain
    from .verbs.extend import ExtendReport as ExtendReport
    from .verbs.extend import extend as extend
    from .verbs.graph import GraphReport as GraphReport
    from .verbs.graph import graph as graph
    from .verbs.lint import LintReport as LintReport
    from .verbs.lint import lint as lint
    from .verbs.lint import lint_rules as lint_rules
    from .verbs.params import ParameterChange as ParameterChange
    from .verbs.params import ParametersReport as ParametersReport
    from .verbs.params import configure_parameters as configure_parameters
    from .verbs.params import parameters as parameters
    from .verbs.params import save_parameters as save_parameters
    from .verbs.params import set_parameter as set_parameter
    from .verbs.params import set_parameters as set_parameters
    from .verbs.policy import EditedError as EditedError
    from .verbs.policy import PolicyReport as PolicyReport
    from .verbs.policy import PolicyRule as PolicyRule
    from .verbs.policy import allow as allow
    from .verbs.policy import deny as deny
    from .verbs.policy import policy_audit as policy_audit
    from .verbs.policy import policy_diff as policy_diff
    from .verbs.policy import policy_show as policy_show
    from .verbs.policy import policy_verify as policy_verify
    from .verbs.policy import undeny as undeny
    from .verbs.prune import PruneReport as PruneReport
    from .verbs.prune import prune as prune
    from .verbs.reload import ReloadReport as ReloadReport
    from .verbs.reload import reload as reload
    from .verbs.reload import resume_reload as resume_reload
    from .verbs.report import Report as Report
    from .verbs.status import StatusReport as StatusReport
    from .verbs.status import status as status
    from .verbs.symbols import KernelSymbol as KernelSymbol
    from .verbs.symbols import SymbolsReport as SymbolsReport
    from .verbs.symbols import symbols as symbols
    from .verbs.verify import VerifyReport as VerifyReport
    from .verbs.verify import verify as verify
    from .verbs.watch import WatchEvent as WatchEvent
    from .verbs.watch import watch as watch
    from .verbs.who import Watched as Watched
    from .verbs.who import WhoReport as WhoReport
    from .verbs.who import who as who

# Where each public name lives.
_HOMES = {
    "Alternative": "verbs.decode",
    "AmbiguousNameError": "errors",
    "AutoloadReport": "verbs.autoload",
    "AutoloadedModule": "verbs.autoload",
    "Autoloader": "verbs.autoload",
    "BrokenModule": "depmod.findings",
    "BuiltinModule": "diagnosis.check",
    "Change": "diagnosis.moduledifference",
    "Check": "diagnosis.check",
    "CheckReport": "verbs.check",
    "ClosureNode": "diagnosis.closure",
    "ClosureReport": "verbs.closure",
    "CommandError": "errors",
    "CompressionError": "errors",
    "Config": "state.config",
    "ConfigFile": "verbs.config",
    "ConfigReport": "verbs.config",
    "ConfiguredValue": "diagnosis.parameters",
    "Context": "context",
    "CycleError": "depmod.errors",
    "DecodeReport": "verbs.decode",
    "DeniedError": "errors",
    "Device": "verbs.devices",
    "DeviceCandidate": "verbs.devices",
    "DeviceNode": "formats.textindex",
    "DevicesReport": "verbs.devices",
    "Diagnostic": "diagnostics",
    "DiffReport": "verbs.diff",
    "Door": "diagnosis.check",
    "Doors": "diagnosis.check",
    "DuplicateModule": "effects.indexes",
    "DuplicateSymbol": "effects.indexes",
    "EditedError": "verbs.policy",
    "ElfError": "errors",
    "EnsureAction": "diagnosis.ensure",
    "EnsureChange": "diagnosis.ensure",
    "EnsureReport": "verbs.ensure",
    "EnsureResult": "diagnosis.ensure",
    "Error": "errors",
    "Evidence": "diagnostics",
    "ExplainReport": "verbs.explain",
    "ExplainedModule": "verbs.explain",
    "Explanation": "diagnosis.causes.case",
    "ExtendReport": "verbs.extend",
    "Field": "formats.modinfo",
    "FileError": "errors",
    "Finding": "diagnosis.lint.sources",
    "Firmware": "diagnosis.closure",
    "FormatError": "errors",
    "Frame": "verbs.decode",
    "GraphEdge": "formats.graphtext",
    "GraphNode": "formats.graphtext",
    "GraphReport": "verbs.graph",
    "IndexFormatError": "errors",
    "IndexJob": "effects.indexes",
    "IndexUpdate": "effects.indexes",
    "IndexWriteError": "depmod.errors",
    "InsertError": "errors",
    "Instruction": "formats.machinecode",
    "KernelError": "errors",
    "KernelFacts": "state.kernelfacts",
    "KernelModules": "effects.kernel",
    "KernelSymbol": "verbs.symbols",
    "KernelSymbolsError": "depmod.errors",
    "KernelTaint": "formats.taint",
    "Lack": "verbs.closure",
    "LintReport": "verbs.lint",
    "LiveKernel": "state.live",
    "LiveKernelNotAskedError": "errors",
    "LoadedModule": "formats.procmodules",
    "Match": "planning.lookup",
    "Missing": "planning.plan",
    "MissingModule": "diagnosis.closure",
    "MissingSupportError": "errors",
    "MissingTreeError": "errors",
    "ModuleCondition": "diagnosis.ensure",
    "ModuleFile": "state.modulefile",
    "ModuleInfo": "state.description",
    "ModuleOperandError": "depmod.errors",
    "ModuleParameters": "diagnosis.parameters",
    "ModuleSignature": "diagnosis.signatures",
    "ModuleTree": "state.tree",
    "ModuleVerdict": "diagnosis.verification",
    "NameSyntaxError": "errors",
    "NotFoundError": "errors",
    "Observer": "observer",
    "Parameter": "formats.modinfo",
    "ParameterChange": "verbs.params",
    "ParameterError": "errors",
    "ParameterState": "diagnosis.parameters",
    "ParametersReport": "verbs.params",
    "Place": "diagnostics",
    "Plan": "planning.plan",
    "PlanRequest": "planning.plan",
    "PolicyChange": "diagnosis.allowlist",
    "PolicyReport": "verbs.policy",
    "PolicyRule": "verbs.policy",
    "Problem": "diagnosis.verification",
    "Process": "state.users.use",
    "PruneCandidate": "diagnosis.who",
    "PruneReport": "verbs.prune",
    "Reason": "diagnosis.closure",
    "Record": "records",
    "ReloadReport": "verbs.reload",
    "ReloadStep": "diagnosis.reload",
    "RemoveError": "errors",
    "Report": "verbs.report",
    "Roots": "roots",
    "Rule": "formats.modprobeconf",
    "RuleStatus": "diagnosis.rules",
    "Section": "formats.elf",
    "ShadowedFile": "state.configdirs",
    "Signature": "formats.signature",
    "SignatureError": "errors",
    "Softdep": "formats.softdep",
    "SourceLine": "formats.dwarf",
    "Status": "diagnosis.status",
    "StatusReport": "verbs.status",
    "Step": "planning.plan",
    "Suspect": "diagnosis.oops",
    "Symbol": "formats.symbols",
    "SymbolsReport": "verbs.symbols",
    "System": "state.system",
    "SystemCallError": "errors",
    "Taint": "formats.taint",
    "TargetPlan": "planning.plan",
    "Trace": "formats.oops",
    "TraceModule": "formats.oops",
    "TreeModule": "state.tree",
    "UnloadedModule": "formats.oops",
    "UnresolvedSymbol": "depmod.findings",
    "User": "diagnosis.who",
    "VerificationKey": "diagnosis.signatures",
    "VerifyReport": "verbs.verify",
    "WantedModule": "formats.wantedstate",
    "WatchEvent": "verbs.watch",
    "Watched": "verbs.who",
    "WhoReport": "verbs.who",
    "__version__": "_version",
    "allow": "verbs.policy",
    "autoload": "verbs.autoload",
    "check": "verbs.check",
    "closure": "verbs.closure",
    "config": "verbs.config",
    "configure_parameters": "verbs.params",
    "decode": "verbs.decode",
    "deny": "verbs.policy",
    "devices": "verbs.devices",
    "diff": "verbs.diff",
    "ensure": "verbs.ensure",
    "explain": "verbs.explain",
    "extend": "verbs.extend",
    "graph": "verbs.graph",
    "join_parameters": "formats.parameters",
    "lint": "verbs.lint",
    "lint_rules": "verbs.lint",
    "loaded_modules": "context",
    "module_info": "context",
    "parameters": "verbs.params",
    "parse_parameters": "formats.modinfo",
    "policy_audit": "verbs.policy",
    "policy_diff": "verbs.policy",
    "policy_show": "verbs.policy",
    "policy_verify": "verbs.policy",
    "prune": "verbs.prune",
    "read_wanted": "verbs.ensure",
    "readable_compressions": "formats.compression",
    "reload": "verbs.reload",
    "resume_reload": "verbs.reload",
    "save_parameters": "verbs.params",
    "set_parameter": "verbs.params",
    "set_parameters": "verbs.params",
    "status": "verbs.status",
    "symbols": "verbs.symbols",
    "undeny": "verbs.policy",
    "update_indexes": "effects.indexes",
    "verify": "verbs.verify",
    "wanted_in": "verbs.ensure",
    "watch": "verbs.watch",
    "who": "verbs.who",
}

# The old name of each public name that has a new one, still there with a warning.
_RENAMED = {"Kernel": "KernelModules"}

__all__ = [
    "Alternative",
    "AmbiguousNameError",
    "AutoloadReport",
    "AutoloadedModule",
    "Autoloader",
    "BrokenModule",
    "BuiltinModule",
    "Change",
    "Check",
    "CheckReport",
    "ClosureNode",
    "ClosureReport",
    "CommandError",
    "CompressionError",
    "Config",
    "ConfigFile",
    "ConfigReport",
    "ConfiguredValue",
    "Context",
    "CycleError",
    "DecodeReport",
    "DeniedError",
    "Device",
    "DeviceCandidate",
    "DeviceNode",
    "DevicesReport",
    "Diagnostic",
    "DiffReport",
    "Door",
    "Doors",
    "DuplicateModule",
    "DuplicateSymbol",
    "EditedError",
    "ElfError",
    "EnsureAction",
    "EnsureChange",
    "EnsureReport",
    "EnsureResult",
    "Error",
    "Evidence",
    "ExplainReport",
    "ExplainedModule",
    "Explanation",
    "ExtendReport",
    "Field",
    "FileError",
    "Finding",
    "Firmware",
    "FormatError",
    "Frame",
    "GraphEdge",
    "GraphNode",
    "GraphReport",
    "IndexFormatError",
    "IndexJob",
    "IndexUpdate",
    "IndexWriteError",
    "InsertError",
    "Instruction",
    "KernelError",
    "KernelFacts",
    "KernelModules",
    "KernelSymbol",
    "KernelSymbolsError",
    "KernelTaint",
    "Lack",
    "LintReport",
    "LiveKernel",
    "LiveKernelNotAskedError",
    "LoadedModule",
    "Match",
    "Missing",
    "MissingModule",
    "MissingSupportError",
    "MissingTreeError",
    "ModuleCondition",
    "ModuleFile",
    "ModuleInfo",
    "ModuleOperandError",
    "ModuleParameters",
    "ModuleSignature",
    "ModuleTree",
    "ModuleVerdict",
    "NameSyntaxError",
    "NotFoundError",
    "Observer",
    "Parameter",
    "ParameterChange",
    "ParameterError",
    "ParameterState",
    "ParametersReport",
    "Place",
    "Plan",
    "PlanRequest",
    "PolicyChange",
    "PolicyReport",
    "PolicyRule",
    "Problem",
    "Process",
    "PruneCandidate",
    "PruneReport",
    "Reason",
    "Record",
    "ReloadReport",
    "ReloadStep",
    "RemoveError",
    "Report",
    "Roots",
    "Rule",
    "RuleStatus",
    "Section",
    "ShadowedFile",
    "Signature",
    "SignatureError",
    "Softdep",
    "SourceLine",
    "Status",
    "StatusReport",
    "Step",
    "Suspect",
    "Symbol",
    "SymbolsReport",
    "System",
    "SystemCallError",
    "Taint",
    "TargetPlan",
    "Trace",
    "TraceModule",
    "TreeModule",
    "UnloadedModule",
    "UnresolvedSymbol",
    "User",
    "VerificationKey",
    "VerifyReport",
    "WantedModule",
    "WatchEvent",
    "Watched",
    "WhoReport",
    "__version__",
    "allow",
    "autoload",
    "check",
    "closure",
    "config",
    "configure_parameters",
    "decode",
    "deny",
    "devices",
    "diff",
    "ensure",
    "explain",
    "extend",
    "graph",
    "join_parameters",
    "lint",
    "lint_rules",
    "loaded_modules",
    "module_info",
    "parameters",
    "parse_parameters",
    "policy_audit",
    "policy_diff",
    "policy_show",
    "policy_verify",
    "prune",
    "read_wanted",
    "readable_compressions",
    "reload",
    "resume_reload",
    "save_parameters",
    "set_parameter",
    "set_parameters",
    "status",
    "symbols",
    "undeny",
    "update_indexes",
    "verify",
    "wanted_in",
    "watch",
    "who",
]


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


if not TYPE_CHECKING:  # else a type checker would take any name for a public one

    def __getattr__(name: str) -> object:
        if name in _RENAMED:
            import warnings

            warnings.warn(f"pymodutils.{name} is now {_RENAMED[name]}", DeprecationWarning, stacklevel=2)
            name = _RENAMED[name]
        home = _HOMES.get(name)
        if home is None:
            raise AttributeError(f"module 'pymodutils' has no attribute {name!r}")
        from importlib import import_module

        return getattr(import_module(f"pymodutils.{home}"), name)
