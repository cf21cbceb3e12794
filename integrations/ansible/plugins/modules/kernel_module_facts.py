#!/usr/bin/python
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tell how kernel modules stand, by kmod status, check and params."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: kernel_module_facts
short_description: Tell how kernel modules stand
version_added: 0.1.0
description:
  - Tells whether kernel modules are loaded, by which doors they can get in, and which of their parameters have other
    values than are configured.
  - All is asked of C(kmod status), C(kmod check) and C(kmod params) of pymodutils. Nothing is changed.
options:
  name:
    description: Names or aliases of the modules. Without any, all loaded modules; nothing is then said of doors.
    type: list
    elements: str
    default: []
  gather:
    description: What to ask.
    type: list
    elements: str
    choices: [status, check, params]
    default: [status, check, params]
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
    description: Changes nothing anyway.
    support: full
  diff_mode:
    description: There is nothing to show.
    support: none
author:
  - pymodutils developers (!UNKNOWN)
"""

EXAMPLES = r"""
- name: Can sctp get in?
  pymodutils.kernel.kernel_module_facts:
    name: sctp

- name: Stop if it can
  ansible.builtin.assert:
    that: kernel_modules.sctp.verdict in ["blocked", "absent"]
"""

RETURN = r"""
ansible_facts:
  description: What is known.
  returned: always
  type: dict
  contains:
    kernel_modules:
      description: How each module stands, by name.
      type: dict
      contains:
        state:
          description: V(live), V(builtin), V(available), V(absent) and others, as C(kmod status) says.
          type: str
        denied:
          description: Whether a rule keeps it from being loaded by its name.
          type: bool
        stale:
          description: Whether the loaded module is another build than its file.
          type: bool
        verdict:
          description: V(in), V(can-get-in), V(blocked), V(builtin) or V(absent), as C(kmod check) says.
          type: str
        drift:
          description: Parameters with other values than are configured.
          type: list
          elements: dict
    kernel_taint:
      description: The kernel's taint, as C(kmod status) says.
      type: dict
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.kmod import COMMON, call


def main():
    """Ask, and tell."""
    own = {
        "name": {"type": "list", "elements": "str", "default": []},
        "gather": {
            "type": "list",
            "elements": "str",
            "choices": ["status", "check", "params"],
            "default": ["status", "check", "params"],
        },
    }
    module = AnsibleModule(argument_spec=dict(own, **COMMON), supports_check_mode=True)
    names, gather = module.params["name"], module.params["gather"]
    found = {}
    facts = {"kernel_modules": found}
    if "status" in gather:
        document = call(module, ["status"], names)
        facts["kernel_taint"] = document["kernel_taint"]
        for one in document["modules"]:
            known = found.setdefault(one["name"], {})
            known.update((key, one[key]) for key in ("state", "denied", "stale", "refcount", "holders", "path"))
    if "check" in gather and names:
        for one in call(module, ["check"], names)["checks"]:
            found.setdefault(one["name"], {}).update(verdict=one["verdict"], remedy=one["remedy"])
    if "params" in gather:
        there = [name for name in found if found[name].get("state") not in ("absent", "unknown")]
        there = there if "status" in gather else names
        for one in call(module, ["params"], there)["modules"] if there or not names else []:
            drift = [
                {"name": each["name"], "live": each["live"], "configured": each["configured"]}
                for each in one["params"]
                if each["drift"]
            ]
            found.setdefault(one["name"], {})["drift"] = drift
    module.exit_json(changed=False, ansible_facts=facts)


if __name__ == "__main__":
    main()
