# SPDX-License-Identifier: LGPL-2.1-or-later
"""The initial file system: what modprobe finds in the image that the boot loader gives to the kernel."""

from __future__ import annotations

import errno
import os
import stat

from ..errors import Error, FileError
from ..formats.cpio import read_members
from ..formats.index import Index
from ..formats.rulefile import RuleFile
from ..formats.source import BytesSource
from ..names import decode, has_module_extension
from ..records import Record
from ..roots import CONFIG_PARENTS, Roots
from ..shellwords import word
from .config import FROM_TREE, Config, config_of
from .image import open_observed
from .live import NoLiveKernel
from .system import System
from .tree import WholeTree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..observer import Observer

IMAGES = (
    "boot/initrd.img-{release}",
    "boot/initramfs-{release}.img",
    "boot/initrd-{release}",
    "boot/initramfs-{release}",
    "boot/initrd.img",
    "boot/initramfs-linux.img",
    "lib/modules/{release}/initrd",
    "lib/modules/{release}/initramfs.img",
)
"""Where distributions put the image of a release, or of the only kernel there is."""

_RENEWALS = (
    ("usr/sbin/update-initramfs", "update-initramfs -u -k {release}"),
    ("usr/bin/dracut", "dracut --force --kver {release}"),
    ("usr/sbin/dracut", "dracut --force --kver {release}"),
    ("usr/bin/mkinitcpio", "mkinitcpio -P"),
)
"""Programs that make images, and the commands that make the one of a release again."""

_MOST_LINKS = 8


class Image(Record):
    """An initial file system, and the system that its modprobe sees: None if it has no modules of this kernel.

    `problem` says why it could not be read. `renewal` is the command that makes it again, as far as that is known.
    """

    path: str
    system: System | None
    problem: str | None = None
    renewal: str | None = None


def image_path(roots: Roots) -> str | None:
    """Return the path of the image of the release that is meant; None when there is none in the usual places.

    Raises `FileError` where there is none that can be seen, and not all places can.
    """
    hidden: FileError | None = None
    for place in IMAGES:
        path = f"{roots.base}/{place.format(release=roots.kernel_release)}"
        try:
            if stat.S_ISREG(os.stat(path).st_mode):
                return path
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENOTDIR):
                hidden = hidden or FileError.of(error, path)
    if hidden:
        raise hidden
    return None


def renewal(roots: Roots) -> str | None:
    """Return the command that makes the image of the release again."""
    found = (command for program, command in _RENEWALS if os.path.exists(f"{roots.base}/{program}"))
    command = next(found, None)
    return command and command.format(release=word(roots.kernel_release))


def read_image(roots: Roots, path: str | None = None, observer: Observer | None = None) -> Image | None:
    """Read the image of the release that is meant, or the one at `path`; None when there is none to be found.

    `observer` hears of progress.
    """
    try:
        path = path or image_path(roots)
        if path is None:
            return None
        files = _Files(path, roots.kernel_release, observer)
    except Error as error:
        return Image(path or error.path or "", None, error.reason, renewal(roots))
    system = None
    if files.has_tree:
        tree = ImageTree(files, roots)
        system = System(tree, NoLiveKernel(roots), _config(files))
    return Image(path, system, None, renewal(roots))


class _Files:
    """The files of an image that matter, by paths without a slash in front."""

    def __init__(self, path: str, release: str, observer: Observer | None) -> None:
        self.path = path
        self.release = release
        self.data: dict[str, bytes] = {}
        self.modules: set[str] = set()
        self.links: dict[str, str] = {}
        folder = f"lib/modules/{release}/"
        for member in read_members(open_observed(path, observer), self.wants):
            place = member.path
            # Of several archives the later counts.
            self.data.pop(place, None)
            self.links.pop(place, None)
            if member.is_link:
                self.links[place] = decode(member.data or b"")
            elif member.data is not None:
                self.data[place] = member.data
            elif has_module_extension(place) and place.removeprefix("usr/").startswith(folder):
                self.modules.add(place.removeprefix("usr/"))

    def wants(self, path: str) -> bool:
        """Tell whether modprobe may read a file."""
        folder, _, name = path.removeprefix("usr/").rpartition("/")
        if folder == f"lib/modules/{self.release}":
            return name.startswith("modules.")
        return folder.endswith("/modprobe.d") and name.endswith(".conf")

    @property
    def has_tree(self) -> bool:
        """Whether there are modules of the release."""
        return bool(self.modules) or self.of_tree("modules.dep.bin") is not None

    def of_tree(self, name: str) -> bytes | None:
        """Return a file of the module directory."""
        path = f"lib/modules/{self.release}/{name}"
        return self.data.get(path, self.data.get(f"usr/{path}"))

    def shown(self, path: str) -> str:
        """Return a path in the image as answers show it."""
        return f"{self.path}:/{path}"

    def configuration(self) -> Iterator[tuple[str, str, bytes]]:
        """Yield (base name, path, bytes) of the files of modprobe.d, those of the earlier directories first."""
        places = [*self.data, *self.links]
        for parent in CONFIG_PARENTS:
            folder = f"{parent.lstrip('/')}/modprobe.d/"
            for path in places:
                name = path.removeprefix(folder)
                if path.startswith(folder) and "/" not in name and name.endswith(".conf") and name[0] != ".":
                    data = self._followed(path)
                    if data is not None:
                        yield name, path, data

    def _followed(self, path: str) -> bytes | None:
        """Return the bytes of a file, or of the one that a link leads to; a link to /dev/null is an empty file."""
        for _ in range(_MOST_LINKS):
            target = self.links.get(path)
            if target is None:
                return self.data.get(path)
            if target == "/dev/null":
                return b""
            folder = path.rpartition("/")[0]
            path = os.path.normpath(target if target.startswith("/") else f"{folder}/{target}").lstrip("/")
        return None


def _config(files: _Files) -> Config:
    """Return the configuration in an image, in the order in which modprobe reads it."""
    by_name: dict[str, tuple[str, bytes]] = {}
    for name in FROM_TREE:
        data = files.of_tree(name)
        if data is not None:
            by_name[name] = f"lib/modules/{files.release}/{name}", data
    for name, path, data in files.configuration():
        by_name.setdefault(name, (path, data))
    chosen = [by_name[name] for name in sorted(by_name, key=os.fsencode)]
    parts = [RuleFile.parse(data, files.shown(path)) for path, data in chosen]
    return config_of(parts, files=[files.shown(path) for path, _ in chosen])


class ImageTree(WholeTree):
    """The module directory in an image."""

    def __init__(self, files: _Files, roots: Roots) -> None:
        super().__init__(Roots(release=roots.kernel_release), lambda _error: None)
        self._files = files

    @property
    def exists(self) -> bool:
        """True: an image without one has no tree."""
        return True

    def _open(self, path: str) -> Index | None:
        data = self._files.of_tree(path.rpartition("/")[2])
        return Index(BytesSource(data), self._files.shown(path.lstrip("/"))) if data else None

    def lacks_file(self, name: str) -> bool:
        """Tell whether a file of the module directory is not in the image."""
        return self._files.of_tree(name) is None

    def file_problem(self, path: str) -> int | None:
        """Return None for the file of a module that is in the image, else ENOENT."""
        return None if path.lstrip("/").removeprefix("usr/") in self._files.modules else errno.ENOENT

    def text(self, name: str) -> bytes | None:
        """Return a text file of the module directory in the image."""
        return self._files.of_tree(name)
