# SPDX-License-Identifier: LGPL-2.1-or-later
"""The shortest ways to decompress a module, from several threads at the same time."""

from __future__ import annotations

import random
import threading

import zstandard

from pymodutils.formats.decompress_fast import decompress_fast


def test_threads_do_not_disturb_one_another() -> None:
    """Decompressing lets other threads run meanwhile."""
    chance = random.Random(1)
    words = [chance.randbytes(30) for _ in range(1000)]
    images = [b"".join(chance.choices(words, k=40000)) for _ in range(4)]
    frames = [zstandard.compress(image) for image in images]
    wrong: list[object] = []

    def work(number: int) -> None:
        for _ in range(60):
            try:
                if decompress_fast(frames[number]) != images[number]:
                    wrong.append(number)
            except Exception as error:
                wrong.append(error)

    threads = [threading.Thread(target=work, args=[number]) for number in range(len(frames))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
