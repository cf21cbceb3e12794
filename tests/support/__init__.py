# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the tests stand on: forged modules, indexes, kernels and roots, Debian's packages, comparisons with kmod."""
