# SPDX-License-Identifier: LGPL-2.1-or-later
"""L5: the verbs of kmod as functions: each asks a Context and returns a report, whose JSON is the verb's document."""
