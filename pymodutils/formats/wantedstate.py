# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is wanted of modules, as `kmod ensure` reads it: TOML, a table for each module.

[module.zram]
state = "loaded"                    # or unloaded, available, denied, any (the default)
at_boot = true                      # loaded at each boot, or not
parameters = { num_devices = 2 }    # now, as far as the module lets itself be changed, and at each load
options_exactly = true              # and no other parameters in modprobe.d
"""

from __future__ import annotations

from _collections_abc import Mapping

from ..errors import FormatError
from ..frozendict import FrozenDict
from ..records import Record
from .parameters import parameter_value
from .policy import is_module_name
from .toml import parse_toml

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

LOADED, UNLOADED, AVAILABLE, DENIED, ANY = STATES = ("loaded", "unloaded", "available", "denied", "any")
"""Words of `WantedModule.state`."""

_KEYS = ("state", "at_boot", "parameters", "options_exactly")


class WantedModule(Record):
    """What is wanted of one module; None leaves things as they are.

    `state` is `loaded`, `unloaded`, `available` (nothing keeps it out), `denied` (the policy does), or `any`. `at_boot`
    tells whether it is loaded at each boot. `parameters` are wanted now and at each load; with `options_exactly` no
    others are to be configured.
    """

    name: str
    state: str = ANY
    at_boot: bool | None = None
    parameters: Mapping[str, str] | None = None
    options_exactly: bool = False


def parse_wanted(text: str, path: str | None = None) -> list[WantedModule]:
    """Return what a TOML text wants, in its order. Raises `FormatError`."""
    tables = parse_toml(text, path)
    try:
        return wanted_modules(tables)
    except FormatError as error:
        error.path = path
        raise
    except ValueError:  # of more digits than Python writes
        raise FormatError("a number is too long", path=path) from None


def wanted_modules(tables: Mapping[str, Any]) -> list[WantedModule]:
    """Return what tables want, as `parse_wanted` finds them in TOML. Raises `FormatError`."""
    unknown = sorted(set(tables) - {"module"})
    if unknown:
        raise FormatError(f"unknown key {unknown[0]}: there are tables [module.NAME]")
    found: dict[str, WantedModule] = {}
    for name, table in _table(tables.get("module", {}), "module").items():
        wanted = _module(name, _table(table, f"module.{name}"))
        if wanted.name in found:
            raise FormatError(f"module {wanted.name} is there twice")
        found[wanted.name] = wanted
    return list(found.values())


def _module(name: str, table: Mapping[str, Any]) -> WantedModule:
    """Return what is wanted of one module. Raises `FormatError`."""
    if not is_module_name(name):
        raise FormatError(f"{name!r} is no name of a module")
    unknown = sorted(set(table) - set(_KEYS))
    if unknown:
        raise FormatError(f"module {name}: unknown key {unknown[0]}")
    state = table.get("state", ANY)
    if state not in STATES:
        raise FormatError(f"module {name}: state is {state!r}, and can be {', '.join(STATES)}")
    at_boot = _flag(name, table, "at_boot")
    if at_boot and state in (UNLOADED, DENIED):
        raise FormatError(f"module {name}: {state} and at_boot contradict each other")
    parameters = None
    if "parameters" in table:
        values = _table(table["parameters"], f"module.{name}.parameters")
        if len({key.replace("-", "_") for key in values}) < len(values):
            raise FormatError(f"module {name}: a parameter is there twice")
        parameters = FrozenDict({key: _value(name, key, value) for key, value in values.items()})
    exactly = _flag(name, table, "options_exactly")
    if exactly and parameters is None:
        parameters = FrozenDict()
    return WantedModule(name.replace("-", "_"), state, at_boot, parameters, bool(exactly))


def _table(value: object, name: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise FormatError(f"{name} is no table")
    return value


def _flag(name: str, table: Mapping[str, Any], key: str) -> bool | None:
    value = table.get(key)
    if value is not None and not isinstance(value, bool):
        raise FormatError(f"module {name}: {key} is neither true nor false")
    return value


def _value(name: str, key: str, value: object) -> str:
    scalar = (str, int, bool)
    parts = value if isinstance(value, (list, tuple)) else [value]
    if not key or not key.isascii() or not key.replace("-", "_").replace("_", "a").replace(".", "a").isalnum():
        raise FormatError(f"module {name}: {key!r} is no name of a parameter")
    if all(isinstance(part, scalar) for part in parts):
        return parameter_value(value)
    raise FormatError(f"module {name}: parameter {key} is no text, number, boolean, or list of these")
