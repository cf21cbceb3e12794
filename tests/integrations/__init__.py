# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the project has for other tools, run by these."""
