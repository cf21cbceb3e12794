# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the variables of UEFI say of keys: the firmware's db and dbx, and the owner's lists, which shim passes on.

Source: Documentation/ABI/testing/sysfs-firmware-efi-vars, drivers/firmware/efi/mokvar-table.c, and the kernel's
security/integrity/platform_certs/load_uefi.c, whose order of places this follows.
"""

from __future__ import annotations

import os

from ..errors import Error, FormatError
from ..formats.efisignatures import ATTRIBUTE_BYTES, SHA256, X509, X509_SHA256, entries_in
from ..records import Record
from .files import read_or_none

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..roots import Roots

DB, MOK = "db", "MokListRT"
DBX, MOKX = "dbx", "MokListXRT"
"""Variables: keys and what is forbidden, of the firmware and of the machine's owner."""

CERTIFICATE, SIGNED_PART, FILE = "certificate", "hash of a certificate", "hash of a file"
"""Kinds of what is forbidden."""

_KINDS = {X509: CERTIFICATE, X509_SHA256: SIGNED_PART, SHA256: FILE}
_FLAGS = {b"\0": False, b"\1": True}
_TABLE = "firmware/efi/mok-variables"
_VARIABLES = "firmware/efi/efivars"
_SECURITY, _SHIM, _GLOBAL = (
    "d719b2cb-3d3a-4596-a3bc-dad00e67656f", "605dab50-e046-4300-abb6-3dd810dd8b23",
    "8be4df61-93ca-11d2-aa0d-00e098032b8c",
)  # fmt: skip


class FirmwareVariables(Record):
    """What the variables say.

    `keys` are certificates (DER), each with its variable and file; `forbidden` certificates and hashes, each with its
    kind, variable and file. A hash with a time behind it, as UEFI wants it, equals none that a kernel computes, and is
    kept as it is. `secure_boot`: the firmware starts only what is signed, None if it does not say.
    `ignores_db`: the owner wants db left out. `trusts_mok`: the owner wants the kernel to trust MOK's keys.
    """

    keys: tuple[tuple[bytes, str, str], ...] = ()
    forbidden: tuple[tuple[bytes, str, str, str], ...] = ()
    secure_boot: bool | None = None
    ignores_db: bool = False
    trusts_mok: bool = False


class EfiVariables:
    """The variables of this machine. `problems` has the errors of those that cannot be read."""

    def __init__(self, roots: Roots) -> None:
        self.problems: list[Error] = []
        self._table = f"{roots.sys}/{_TABLE}"
        self._directory = f"{roots.sys}/{_VARIABLES}"

    def variables(self) -> FirmwareVariables:
        """Read what they say of keys."""
        db, mok = self._entries(DB, [self._variable(DB, _SECURITY)]), self._entries(MOK, self._mok_places())
        dbx = self._entries(DBX, [self._variable(DBX, _SECURITY)])
        mokx = self._entries(MOKX, [self._variable(MOKX, _SHIM)])
        return FirmwareVariables(
            keys=tuple([(content, name, path) for kind, content, name, path in [*db, *mok] if kind == X509]),
            forbidden=tuple(
                [(content, _KINDS[kind], name, path) for kind, content, name, path in [*dbx, *mokx] if kind in _KINDS]
            ),
            secure_boot=self._secure_boot(),
            ignores_db=os.path.exists(self._variable("MokIgnoreDB", _SHIM)),
            trusts_mok=os.path.exists(f"{self._table}/MokListTrustedRT"),
        )

    def _variable(self, name: str, owner: str) -> str:
        return f"{self._directory}/{name}-{owner}"

    def _mok_places(self) -> list[str]:
        return [f"{self._table}/{MOK}", self._variable(MOK, _SHIM)]

    def _secure_boot(self) -> bool | None:
        """Tell what the firmware says, as drivers/firmware/efi/libstub/secureboot.c takes it.

        Where shim was told not to verify, x86 takes Secure Boot for off, and other machines do not.
        """
        try:
            names = (("SecureBoot", _GLOBAL), ("SetupMode", _GLOBAL), ("MokSBStateRT", _SHIM))
            values = [read_or_none(self._variable(*name)) for name in names]
        except Error as error:
            self.problems.append(error)
            return None
        is_on, is_setup, is_lax = [_FLAGS.get(value[ATTRIBUTE_BYTES:]) if value else None for value in values]
        if is_on is False or (is_on and is_setup):
            return False
        return None if is_setup is None or is_lax or (values[2] and is_lax is None) else is_on

    def _entries(self, name: str, paths: Iterable[str]) -> list[tuple[bytes, bytes, str, str]]:
        """Return the entries of the first of the files that is there and can be read: type, content, variable, file."""
        problems: list[Error] = []
        for path in paths:
            try:
                data = read_or_none(path)
                if data is not None:
                    skipped = 0 if path.startswith(self._table) else ATTRIBUTE_BYTES
                    if len(data) < skipped:
                        raise FormatError("an EFI variable is cut off")
                    return [(kind, content, name, path) for kind, content in entries_in(data[skipped:])]
            except Error as error:
                error.path = error.path or path
                problems.append(error)
        self.problems += problems
        return []
