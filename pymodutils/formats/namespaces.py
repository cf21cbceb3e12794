# SPDX-License-Identifier: LGPL-2.1-or-later
"""Namespaces of exported symbols: which modules one is for, where it names modules (EXPORT_SYMBOL_FOR_MODULES).

Source: kernel/module/main.c, verify_module_namespace and setup_modinfo; Linux 6.16.
"""

from __future__ import annotations

FOR_MODULES = "module:"
"""How a namespace begins that is a list of modules. The kernel refuses a module that imports one."""


def is_for_module(namespace: str, module: str) -> bool:
    """Tell whether a namespace is a list of modules that has this one, in which dashes and underscores are the same.

    A `*` at the end of a name stands for any rest; elsewhere it is an ordinary character.
    """
    if not namespace.startswith(FOR_MODULES):
        return False
    name = module.replace("-", "_")
    allowed = namespace.removeprefix(FOR_MODULES).replace("-", "_").split(",")
    return any(name.startswith(word[:-1]) if word.endswith("*") else name == word for word in allowed)
