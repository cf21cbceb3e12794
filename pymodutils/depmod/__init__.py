# SPDX-License-Identifier: LGPL-2.1-or-later
"""L3: depmod as stages: scan, extract, resolve, order, render."""
