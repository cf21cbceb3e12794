# SPDX-License-Identifier: LGPL-2.1-or-later
"""Run every benchmark; the exit status is 1 when a budget is exceeded."""

from __future__ import annotations

import sys

from benchmarks import batches, decode, depmod, modprobe_startup, policy, startup, users, verify

PARTS = (startup, modprobe_startup, batches, policy, users, decode, depmod, verify)

sys.exit(max(part.main() for part in PARTS))
