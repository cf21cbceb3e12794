#!/usr/bin/python
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Keep kernel modules out by the policy, or take that back, by kmod deny, undeny and allow."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: kernel_module_policy
short_description: Keep kernel modules out by the policy
version_added: 0.1.0
description:
  - Denies kernel modules, takes denials back, or allows some modules and denies all others.
  - All is done by C(kmod deny), C(kmod undeny) and C(kmod allow) of pymodutils, which also look whether the rules hold.
options:
  deny:
    description: Names of modules to keep out.
    type: list
    elements: str
    default: []
  undeny:
    description: Names of modules no longer to keep out.
    type: list
    elements: str
    default: []
  allow:
    description: Names of modules that are allowed, with all that they need, while all others are denied.
    type: list
    elements: str
    default: []
  allow_from:
    description: What an allowlist begins with, V(lsmod) or the path of a file on the host.
    type: str
  reason:
    description: Why; it is kept with the rule, and said to those who are refused.
    type: str
  force:
    description: Whether to write over rules that somebody edited.
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
    description: Tells what would be denied, and writes nothing.
    support: full
  diff_mode:
    description: Shows the denied modules before and after.
    support: full
author:
  - pymodutils developers (!UNKNOWN)
"""

EXAMPLES = r"""
- name: Keep rarely used protocols out
  pymodutils.kernel.kernel_module_policy:
    deny: [sctp, dccp, rds, tipc]
    reason: not used here

- name: Allow what is loaded now, and nothing else
  pymodutils.kernel.kernel_module_policy:
    allow_from: lsmod
"""

RETURN = r"""
rules:
  description: All denied modules, and where each rule stands.
  returned: always
  type: list
  elements: dict
open:
  description: Modules that can get in all the same, and how each stands.
  returned: always
  type: dict
warnings_of_kmod:
  description: What kmod says about them.
  returned: always
  type: list
  elements: dict
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.kmod import COMMON, call


def names_of(document):
    """Return the denied modules and their reasons, as text that can be compared line by line."""
    return "".join("{}: {}\n".format(rule["name"], rule["reason"] or "-") for rule in document["rules"])


def main():
    """Read the task, have kmod do it, and tell what came of it."""
    own = {
        "deny": {"type": "list", "elements": "str", "default": []},
        "undeny": {"type": "list", "elements": "str", "default": []},
        "allow": {"type": "list", "elements": "str", "default": []},
        "allow_from": {"type": "str"},
        "reason": {"type": "str"},
        "force": {"type": "bool", "default": False},
    }
    module = AnsibleModule(argument_spec=dict(own, **COMMON), supports_check_mode=True)
    params = module.params
    both = sorted(set(params["deny"]) & set(params["undeny"]))
    if both:
        module.fail_json(msg="both denied and not: {}".format(", ".join(both)))
    common = ["--force"] if params["force"] else []
    common += ["--dry-run"] if module.check_mode else []
    lines = []
    if params["undeny"]:
        lines.append((["undeny", *common], params["undeny"]))
    if params["allow"] or params["allow_from"]:
        source = ["--from={}".format(params["allow_from"])] if params["allow_from"] else []
        lines.append((["allow", *common, *source], params["allow"]))
    if params["deny"]:
        reason = ["--reason={}".format(params["reason"])] if params["reason"] else []
        lines.append((["deny", *common, *reason], params["deny"]))
    before = call(module, ["policy"], ["show"])
    documents = [call(module, words, names) for words, names in lines] or [before]
    if module.check_mode:  # each tells what it alone would do
        names = [{rule["name"] for rule in document["rules"]} for document in documents]
        changed = any(found != {rule["name"] for rule in before["rules"]} for found in names)
    else:
        changed = any(document["written"] for document in documents)
    open_to = {check["name"]: check["verdict"] for document in documents for check in document["verified"]
               if check["verdict"] not in ("blocked", "absent") and document["verb"] != "undeny"}  # fmt: skip
    module.exit_json(
        changed=changed,
        rules=documents[-1]["rules"],
        open=open_to,
        warnings_of_kmod=[warning for document in documents for warning in document["warnings"]],
        diff={"before": names_of(before), "after": names_of(documents[-1])},
    )


if __name__ == "__main__":
    main()
