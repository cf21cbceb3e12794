# SPDX-License-Identifier: LGPL-2.1-or-later
"""Kernel modules in a wanted state: a Salt state over the execution module of the same name.

sctp:
  pymodutils_kernel.wanted:
    - module_state: denied
"""

__virtualname__ = "pymodutils_kernel"


def __virtual__():
    """Load only where the execution module is."""
    return __virtualname__ if "pymodutils_kernel.ensure" in __salt__ else (False, "no pymodutils_kernel.ensure")


def wanted(name, module_state="any", at_boot=None, parameters=None, options_exactly=False):
    """Bring the module `name` into a state; see kmod-ensure(8) for the arguments.

    Its `state` is `module_state` here, since Salt passes an argument of that name of its own.
    """
    wishes = {"state": module_state, "options_exactly": options_exactly}
    wishes.update(
        {key: value for key, value in (("at_boot", at_boot), ("parameters", parameters)) if value is not None}
    )
    result = __salt__["pymodutils_kernel.ensure"](name, test=__opts__["test"], **wishes)
    changes = {one["field"]: {"old": one["before"], "new": one["after"]} for one in result["diff"]}
    answer = {"name": name, "changes": changes, "result": True, "comment": "as wanted"}
    if result["error"]:
        answer.update(result=False, comment=result["error"]["text"])
    elif result["changed"] and __opts__["test"]:
        answer.update(result=None, comment="would be changed")
    elif result["changed"]:
        answer["comment"] = "changed"
    if result["reboot_needed"]:
        answer["comment"] += "; the rest comes with the next boot"
    return answer
