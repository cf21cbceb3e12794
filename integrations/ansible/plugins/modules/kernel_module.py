#!/usr/bin/python
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Bring kernel modules into a wanted state, by kmod ensure."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: kernel_module
short_description: Bring kernel modules into a wanted state
version_added: 0.1.0
description:
  - Loads, unloads or denies kernel modules, sets their parameters, and keeps both for the next boot.
  - All is done by C(kmod ensure) of pymodutils, which writes files of its own and never those of others.
  - With C(root) only the files of that system count, its kernel is not asked.
options:
  name:
    description: Names of the modules, to all of which the other options apply.
    type: list
    elements: str
    required: true
  state:
    description:
      - V(loaded) has them in the kernel, and lifts a denial by the policy.
      - V(unloaded) has them out of it for now.
      - V(available) has nothing keep them out.
      - V(denied) has the policy keep them out, and unloads them.
      - V(any) leaves that as it is.
    type: str
    choices: [loaded, unloaded, available, denied, any]
    default: any
  at_boot:
    description: Whether they are loaded at each boot. Left out, that stays as it is.
    type: bool
  parameters:
    description: Values of parameters that are wanted now, as far as the module takes them, and at each load.
    type: dict
  options_exactly:
    description: Whether no other parameters are to be configured.
    type: bool
    default: false
  force:
    description: Whether to write over files of kmod's own that somebody edited.
    type: bool
    default: false
  root:
    description: The directory of a whole other system, an image for instance.
    type: path
  release:
    description: The kernel release that is meant, by default the running one, or the only one below O(root).
    type: str
  executable:
    description: The command kmod of pymodutils.
    type: path
    default: kmod
attributes:
  check_mode:
    description: Tells what would be changed, and changes nothing.
    support: full
  diff_mode:
    description: Shows how each module stands before and after.
    support: full
author:
  - pymodutils developers (!UNKNOWN)
"""

EXAMPLES = r"""
- name: Two compressed RAM disks, now and at each boot
  pymodutils.kernel.kernel_module:
    name: zram
    state: loaded
    at_boot: true
    parameters:
      num_devices: 2

- name: Protocols that nobody uses here
  pymodutils.kernel.kernel_module:
    name: [sctp, dccp, rds, tipc]
    state: denied

- name: In an image
  pymodutils.kernel.kernel_module:
    name: usb-storage
    state: denied
    root: /srv/image
"""

RETURN = r"""
results:
  description: What C(kmod ensure --json) says of each module.
  returned: always
  type: list
  elements: dict
  contains:
    module:
      description: The name.
      type: str
    changed:
      description: Whether something was changed, or would be.
      type: bool
    before:
      description: How it stood.
      type: dict
    after:
      description: How it stands, or would.
      type: dict
    actions:
      description: What was done, or would be.
      type: list
      elements: dict
    reboot_needed:
      description: Whether the rest comes with the next boot, or the next load of the module.
      type: bool
    error:
      description: What keeps it from being as wanted.
      type: dict
reboot_needed:
  description: Whether that is so for one of them.
  returned: always
  type: bool
written:
  description: Files that were changed.
  returned: always
  type: list
  elements: str
"""

import json

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.kmod import COMMON, call_with_file, toml


def wishes(params):
    """Return what is wanted as `kmod ensure` reads it."""
    lines = []
    for name in dict.fromkeys(params["name"]):
        lines += [f"[module.{toml(name)}]", "state = {}".format(toml(params["state"]))]
        for key in ("at_boot", "parameters"):
            if params[key] is not None:
                lines.append(f"{key} = {toml(params[key])}")
        if params["options_exactly"]:
            lines.append("options_exactly = true")
    return "\n".join(lines) + "\n"


def shown(results, when):
    """Return how the modules stand, as text that can be compared line by line."""
    return "".join(
        "{}: {}\n".format(result["module"], json.dumps(result[when], sort_keys=True, indent=1)) for result in results
    )


def main():
    """Read the task, have kmod do it, and tell what came of it."""
    states = ["loaded", "unloaded", "available", "denied", "any"]
    own = {
        "name": {"type": "list", "elements": "str", "required": True},
        "state": {"type": "str", "choices": states, "default": "any"},
        "at_boot": {"type": "bool"},
        "parameters": {"type": "dict"},
        "options_exactly": {"type": "bool", "default": False},
        "force": {"type": "bool", "default": False},
    }
    module = AnsibleModule(argument_spec=dict(own, **COMMON), supports_check_mode=True)
    words = ["ensure"]
    words += ["--check"] if module.check_mode else []
    words += ["--force"] if module.params["force"] else []
    document = call_with_file(module, words, wishes(module.params))
    results = document["results"]
    answer = {
        "changed": any(result["changed"] for result in results),
        "results": results,
        "reboot_needed": any(result["reboot_needed"] for result in results),
        "written": document["written"],
        "diff": {"before": shown(results, "before"), "after": shown(results, "after")},
    }
    failed = ["{}: {}".format(result["module"], result["error"]["text"]) for result in results if result["error"]]
    if failed:
        module.fail_json(msg="; ".join(failed), **answer)
    module.exit_json(**answer)


if __name__ == "__main__":
    main()
