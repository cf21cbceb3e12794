# SPDX-License-Identifier: LGPL-2.1-or-later
"""L6: the commands, their wording and their exit codes."""
