# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a kernel is known by on disk: its image, the symbols that it exports, the keys of which it takes signatures."""

from __future__ import annotations

import os

from ..errors import Error, FileError, FormatError
from ..formats.compression import decompress
from ..formats.kernelconfig import parse_kernel_config
from ..formats.kernelexports import READERS, KernelExports, kind_of_text, read_kernel_exports
from ..formats.kernelimage import certificate_end, kernel_in, trusted_certificates
from ..records import Record
from .files import LIMIT, inside, module_directory, open_image, read_file, read_or_none

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any, TypeVar

    from ..formats.source import Source
    from ..roots import Roots

    _Answer = TypeVar("_Answer")
    Certificates = list[tuple[bytes, str]]
    """DER, and where it is from."""

_IMAGES = (
    "{base}/boot/vmlinuz-{release}", "{modules}/vmlinuz", "{base}/boot/vmlinux-{release}",
    "{base}/boot/Image-{release}", "{base}/boot/zImage-{release}", "{base}/boot/Image.gz-{release}",
    "{base}/boot/kernel-{release}", "{modules}/vmlinux", "{modules}/Image",
    "{base}/usr/lib/debug/boot/vmlinux-{release}", "{modules}/build/vmlinux",
)  # fmt: skip
_SYMVERS = (
    "{modules}/build/Module.symvers", "{modules}/Module.symvers", "{modules}/symvers", "{modules}/symvers.xz",
    "{modules}/symvers.gz", "{modules}/symvers.zst", "{base}/boot/symvers-{release}.xz",
    "{base}/boot/symvers-{release}.gz", "{base}/usr/src/linux-headers-{release}/Module.symvers",
)  # fmt: skip
_MAPS = (
    "{modules}/System.map", "{base}/boot/System.map-{release}", "{base}/usr/lib/debug/boot/System.map-{release}",
)  # fmt: skip
_CONFIGS = (
    "{base}/boot/config-{release}", "{modules}/config", "{modules}/build/.config",
    "{base}/usr/src/linux-headers-{release}/.config",
)  # fmt: skip
_ELF = b"\x7fELF"
_PEM = b"-----BEGIN "
_MOST_TEXT_BYTES = 1 << 26
_PIECE = 1 << 22


def _located(path: str, read: Callable[[], _Answer]) -> _Answer:
    """Return what `read` returns; an error that it raises gets the path."""
    try:
        return read()
    except Error as error:
        error.path = error.path or path
        raise


class KernelImage:
    """The image of a kernel, unpacked at the first question. Questions raise `Error`."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._kernel: Source | None = None

    def _source(self) -> Source:
        if self._kernel is None:
            self._kernel = kernel_in(open_image(self.path))
        return self._kernel

    def certificates(self) -> list[bytes]:
        """Return the certificates that the kernel trusts from the start."""
        return _located(self.path, lambda: trusted_certificates(self._source()))

    def has(self, word: bytes) -> bool:
        """Tell whether the kernel has this text in it."""
        return _located(self.path, lambda: _occurs(self._source(), word))

    def exports(self) -> KernelExports:
        """Return what the kernel exports; nothing if the kernel in the image is no ELF file."""

        def read() -> KernelExports:
            source = self._source()
            return read_kernel_exports(source) if source.read(0, 4) == _ELF else {}

        return _located(self.path, read)


class ExportsFile(Record):
    """What a kernel exports, and the file that tells."""

    path: str
    exports: KernelExports


class KernelFiles:
    """The files of one kernel. `problems` has the errors of those that cannot be read and are not needed after all."""

    def __init__(self, roots: Roots) -> None:
        self.problems: list[Error] = []
        self._roots = roots
        self._modules = module_directory(roots)
        self._image: KernelImage | None = None
        self._looked = False

    def _existing(self, patterns: Iterable[str]) -> Iterator[str]:
        roots = self._roots
        for pattern in patterns:
            path = pattern.format(base=roots.base, release=roots.kernel_release, modules=self._modules)
            path = inside(roots.config_root, path)
            if os.path.isfile(path):
                yield path

    @property
    def image(self) -> KernelImage | None:
        """The kernel's image; None if it is not where distributions put it."""
        if not self._looked:
            path = next(self._existing(_IMAGES), None)
            self._image = KernelImage(path) if path else None
            self._looked = True
        return self._image

    def symbols(self) -> ExportsFile | None:
        """Return what the kernel exports by the first file that tells; None if none does.

        These are Module.symvers, the image, System.map and, of the running kernel, /proc/kallsyms.
        """
        for path in self._existing(_SYMVERS):
            found = self._try(path)
            if found:
                return found
        if self.image and (exports := self._exports_of_image(self.image)):
            return ExportsFile(self.image.path, exports)
        maps = [*self._existing(_MAPS)]
        listed = f"{self._roots.proc}/kallsyms"
        if self._roots.shows_kernel and os.path.exists(listed):
            maps.append(listed)
        for path in maps:
            found = self._try(path)
            if found:
                return found
        return None

    def _try(self, path: str) -> ExportsFile | None:
        try:
            return read_symbols(path)
        except Error as error:
            self.problems.append(error)
            return None

    def _exports_of_image(self, image: KernelImage) -> KernelExports:
        try:
            return image.exports()
        except Error as error:
            self.problems.append(error)
            return {}

    def certificates(self) -> Certificates:
        """Return the certificates in the kernel's image. Raises `Error`."""
        return [(der, self.image.path) for der in self.image.certificates()] if self.image else []

    def config(self) -> dict[bytes, bytes] | None:
        """Return the options that the kernel was built with; None if that is not known."""
        paths = [*self._existing(_CONFIGS)]
        if self._roots.shows_kernel:
            paths.append(f"{self._roots.proc}/config.gz")
        for path in paths:
            try:
                data = read_or_none(path)
                if data is not None:
                    text = decompress(data, _MOST_TEXT_BYTES) if path.endswith(".gz") else data
                    return parse_kernel_config(text)
            except Error as error:
                error.path = error.path or path
                self.problems.append(error)
        return None

    def has_words(self, *words: bytes) -> list[bool | None]:
        """Tell of each of these words whether the kernel's image has it; None if there is no image to read."""
        try:
            return [self.image.has(word) for word in words] if self.image else [None] * len(words)
        except Error as error:
            self.problems.append(error)
            return [None] * len(words)


def read_symbols(path: str) -> ExportsFile | None:
    """Return what a kernel exports by a file: Module.symvers, System.map, kallsyms, or an image; None if it has none.

    Text may be compressed as modules are. Raises `Error`.
    """
    head = open_image(path).read(0, 64)
    if not _is_text(head):
        try:
            text = decompress(read_file(path), _MOST_TEXT_BYTES)
        except Error:
            text = head
        if not _is_text(text[:64]):
            exports = KernelImage(path).exports()
            return ExportsFile(path, exports) if exports else None
    else:
        text = read_file(path)
    kind = kind_of_text(text)
    exports = READERS[kind](text) if kind else {}
    return ExportsFile(path, exports) if exports else None


def _occurs(source: Source, word: bytes) -> bool:
    return any(word in source.read(at, _PIECE + len(word)) for at in range(0, source.size, _PIECE))


def _is_text(head: bytes) -> bool:
    return bool(head) and all(9 <= byte < 127 for byte in head)


def read_certificates(path: str, pem: Any) -> Certificates:
    """Return the certificates in a file: PEM, DER (one or several in a row), or a kernel's image.

    `pem` is asn1crypto's module of that name. Raises `Error`, also when there is none.
    """
    source = open_image(path)
    head = source.read(0, 16)
    if head[:1] == b"\x30":
        found = _in_a_row(read_file(path))
    elif source.size <= LIMIT and (data := read_file(path)).find(_PEM) >= 0:
        try:
            parts = list(pem.unarmor(data, multiple=True))
        except ValueError as error:
            raise FormatError(f"damaged PEM: {error}", path=path) from None
        found = [der for kind, _, der in parts if kind == "CERTIFICATE"]
    else:
        found = KernelImage(path).certificates()
    if not found:
        raise FileError("no certificate in it", path=path)
    return [(der, path) for der in found]


def _in_a_row(data: bytes) -> list[bytes]:
    found, at = [], 0
    while end := certificate_end(data, at):
        found.append(data[at:end])
        at = end
    return found
