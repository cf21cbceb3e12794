# SPDX-License-Identifier: LGPL-2.1-or-later
"""L2: what is: the modules on disk, the live kernel, the merged configuration."""
