# SPDX-License-Identifier: LGPL-2.1-or-later
"""The lint rule about the initial file system, which has a copy of modprobe's configuration."""

from __future__ import annotations

from ...state.config import FROM_TREE
from .sources import WARNING, Finding, Sources

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ...formats.modprobeconf import Rule

    Content = list[tuple[str, str, str]]
    """The rules of a file without their places: kind, key, text."""

INITRAMFS_STALE = "initramfs-stale"
"""Name of the rule here."""


def initramfs_stale(sources: Sources) -> Iterator[Finding]:
    """Find files of modprobe.d of which the initial file system has another copy, or none.

    An image without any such file was made without them on purpose.
    """
    image = sources.image
    if image is None or image.system is None:
        return
    prefix = f"{image.path}:"
    copies = _by_path(image.system.config.rules, prefix, _read(image.system.config.files))
    if not copies:
        return
    own = _by_path(sources.own_rules, sources.root, sources.texts)
    remedy = f"; to renew it: {image.renewal}" if image.renewal else ""
    for path, content in own.items():
        if content == copies.get(path, []):
            continue
        what = "an older copy" if path in copies else "no copy"
        text = f"the initial file system {image.path} has {what} of this file{remedy}"
        yield Finding(_file(sources, path), None, WARNING, INITRAMFS_STALE, text, None)
    for path, content in copies.items():
        if path not in own and content:
            text = f"the initial file system still has this file, which is gone{remedy}"
            yield Finding(f"{prefix}{path}", None, WARNING, INITRAMFS_STALE, text, None)


def _read(files: Iterable[str]) -> list[str]:
    return [file for file in files if file.rpartition("/")[2] not in FROM_TREE]


def _by_path(rules: Iterable[Rule], prefix: str, files: Iterable[str]) -> dict[str, Content]:
    """Return the rules of each file by its path; of /usr/lib and /lib, which are one, the shorter is taken."""
    found: dict[str, Content] = {_path(file, prefix): [] for file in files}
    for rule in rules:
        content = found.get(_path(rule.file, prefix))
        if content is not None:
            content.append((rule.kind, rule.key, rule.text))
    return found


def _path(file: str, prefix: str) -> str:
    path = file.removeprefix(prefix)
    return path.removeprefix("/usr") if path.startswith("/usr/lib/") else path


def _file(sources: Sources, path: str) -> str:
    """Return the file that was read, by what `_path` made of it."""
    return next(file for file in sources.texts if _path(file, sources.root) == path)
