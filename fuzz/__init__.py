# SPDX-License-Identifier: LGPL-2.1-or-later
"""Coverage-guided fuzzing of every reader: `make fuzz`. The tests replay the corpus and mutate it at random."""
