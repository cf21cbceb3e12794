# SPDX-License-Identifier: LGPL-2.1-or-later
"""L3: what a system's state means: state in, values out."""
