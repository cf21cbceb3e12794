# SPDX-License-Identifier: LGPL-2.1-or-later
"""The verbs of kmod, one module each; `frame` has what they share (docs/verbs.md)."""
