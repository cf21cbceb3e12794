# SPDX-License-Identifier: LGPL-2.1-or-later
"""depmod: make the indexes of a kernel's modules. `options` reads the command line, `reporter` has all wording.

Source: docs/behaviour/1-commands.md, "depmod".
"""

from .command import run
from .options import COMMAND_LINE

__all__ = ["COMMAND_LINE", "run"]
