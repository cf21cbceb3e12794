# SPDX-License-Identifier: LGPL-2.1-or-later
"""L4: the only code that changes anything, the kernel or files; and what listens to the kernel."""
