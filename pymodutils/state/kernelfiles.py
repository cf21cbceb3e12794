# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a kernel is known by on disk: its image, the symbols that it exports, the keys of which it takes signatures."""

from __future__ import annotations

import os

from ..errors import Error, FileError, FormatError
from ..formats.compression import decompress
from ..formats.efisignatures import ATTRIBUTE_BYTES, certificates_in
from ..formats.kernelexports import READERS, KernelExports, kind_of_text, read_kernel_exports
from ..formats.kernelimage import certificate_end, kernel_in, trusted_certificates
from ..formats.source import OwnedFileSource
from ..records import Record
from .files import LIMIT, inside, module_directory, open_file, read_file, read_or_none

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
_ELF = b"\x7fELF"
_PEM = b"-----BEGIN "
_MOST_TEXT_BYTES = 1 << 26

_EFIVARS = "firmware/efi/efivars"
_MOK_VARIABLES = "firmware/efi/mok-variables"
_MOK, _MOK_OWNER = "MokListRT", "605dab50-e046-4300-abb6-3dd810dd8b23"
_DB = "db-d719b2cb-3d3a-4596-a3bc-dad00e67656f"


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
            self._kernel = kernel_in(OwnedFileSource(open_file(self.path, os.O_NONBLOCK), self.path))
        return self._kernel

    def certificates(self) -> list[bytes]:
        """Return the certificates that the kernel trusts from the start."""
        return _located(self.path, lambda: trusted_certificates(self._source()))

    def exports(self) -> KernelExports:
        """Return what the kernel exports; nothing if the kernel in the image is no ELF file."""

        def read() -> KernelExports:
            source = self._source()
            return read_kernel_exports(source) if source.read(0, 4) == _ELF else {}

        return _located(self.path, read)


class KernelSymbols(Record):
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

    def symbols(self) -> KernelSymbols | None:
        """Return what the kernel exports by the first file that tells; None if none does.

        These are Module.symvers, the image, System.map and, of the running kernel, /proc/kallsyms.
        """
        for path in self._existing(_SYMVERS):
            found = self._try(path)
            if found:
                return found
        if self.image and (exports := self._exports_of_image(self.image)):
            return KernelSymbols(self.image.path, exports)
        maps = [*self._existing(_MAPS)]
        listed = f"{self._roots.proc}/kallsyms"
        if self._roots.shows_kernel and os.path.exists(listed):
            maps.append(listed)
        for path in maps:
            found = self._try(path)
            if found:
                return found
        return None

    def _try(self, path: str) -> KernelSymbols | None:
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
        """Return the certificates in the kernel's image, and those of this machine's firmware and owner.

        The latter belong to the machine, whichever of its kernels is meant. Raises `Error` for the image.
        """
        found: Certificates = []
        if self.image:
            found += [(der, self.image.path) for der in self.image.certificates()]
        if self._roots.replace(release="").shows_kernel:
            for path in self._variables():
                try:
                    data = read_or_none(path) or b""
                    skipped = 0 if _MOK_VARIABLES in path else ATTRIBUTE_BYTES
                    found += [(der, path) for der in certificates_in(data[skipped:])]
                except Error as error:
                    error.path = error.path or path
                    self.problems.append(error)
        return found

    def _variables(self) -> Iterator[str]:
        for directory in (_MOK_VARIABLES, _EFIVARS):
            place = f"{self._roots.sys}/{directory}"
            try:
                names = sorted(os.listdir(place))
            except OSError:
                continue
            for name in names:
                is_mok = name.startswith(_MOK) and (directory == _MOK_VARIABLES or name.endswith(_MOK_OWNER))
                if is_mok and not name.startswith(("MokListRTX", "MokListRTT")):
                    yield f"{place}/{name}"
            if directory == _EFIVARS and _DB in names:
                yield f"{place}/{_DB}"


def read_symbols(path: str) -> KernelSymbols | None:
    """Return what a kernel exports by a file: Module.symvers, System.map, kallsyms, or an image; None if it has none.

    Text may be compressed as modules are. Raises `Error`.
    """
    fd = open_file(path, os.O_NONBLOCK)
    source = OwnedFileSource(fd, path)
    head = source.read(0, 64)
    if not _is_text(head):
        try:
            text = decompress(read_file(path), _MOST_TEXT_BYTES)
        except Error:
            text = head
        if not _is_text(text[:64]):
            exports = KernelImage(path).exports()
            return KernelSymbols(path, exports) if exports else None
    else:
        text = read_file(path)
    kind = kind_of_text(text)
    exports = READERS[kind](text) if kind else {}
    return KernelSymbols(path, exports) if exports else None


def _is_text(head: bytes) -> bool:
    return bool(head) and all(9 <= byte < 127 for byte in head)


def read_certificates(path: str, pem: Any) -> Certificates:
    """Return the certificates in a file: PEM, DER (one or several in a row), or a kernel's image.

    `pem` is asn1crypto's module of that name. Raises `Error`, also when there is none.
    """
    source = OwnedFileSource(open_file(path, os.O_NONBLOCK), path)
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
