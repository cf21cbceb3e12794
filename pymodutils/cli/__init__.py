# SPDX-License-Identifier: LGPL-2.1-or-later
"""L5: the commands, their wording and their exit codes."""
