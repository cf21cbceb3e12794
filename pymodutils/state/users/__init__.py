# SPDX-License-Identifier: LGPL-2.1-or-later
"""Who uses kernel modules: one small reader for each family of uses, and `read_uses`, which asks them all."""

from __future__ import annotations

from .reader import Question as Question
from .reader import Seen as Seen
from .reader import read_uses as read_uses
from .use import Process as Process
from .use import Use as Use
