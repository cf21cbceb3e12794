# SPDX-License-Identifier: LGPL-2.1-or-later
"""Which keys of the firmware and of the machine's owner a kernel takes for modules, and what it forbids.

That depends on how the kernel was built and booted. What is not known is None here, and never guessed.

Source: security/integrity/platform_certs/ (load_uefi.c, keyring_handler.c, machine_keyring.c), certs/system_keyring.c,
certs/blacklist.c, kernel/module/signing.c of Linux 6.1 and 6.12, and as Debian changes them.
"""

from __future__ import annotations

from ..records import Record
from ..state.firmware import CERTIFICATE, DB, FILE, MOK, MOKX, FirmwareVariables

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_READ_NEWLY_SINCE = (6, 1)
"""The version of which the rules are known in all: it reads MOK's variables after dbx, under Secure Boot alone."""
_REVOKES_ALL_SINCE = (6, 12)
"""The version of which it is known that a revoked certificate counts for all keys."""


class KernelBuild(Record):
    """How a kernel was built, so far as it decides about keys; of each None is "not known".

    `reads_firmware`: it reads these variables at all. `has_platform_keyring`: db's keys are somewhere;
    `is_debians`: it is one of those that look for keys of modules there, and take all MOK keys. `has_machine_keyring`:
    MOK's keys count for modules; `wants_authorities`: only those of certificate authorities do. `has_blacklist`: hashes
    of dbx and MokListXRT count, `has_revocation_list`: their certificates; `checks_files`: hashes of modules' files.
    `sees_secure_boot`: it knows whether Secure Boot is on where it decides to read MOK's variables.
    """

    version: tuple[int, int]
    reads_firmware: bool | None = None
    has_platform_keyring: bool | None = None
    has_machine_keyring: bool | None = None
    wants_authorities: bool | None = None
    has_blacklist: bool | None = None
    has_revocation_list: bool | None = None
    sees_secure_boot: bool | None = None
    is_debians: bool | None = None
    checks_files: bool | None = None


def describe_build(
    version: Sequence[int], options: Mapping[bytes, bytes] | None, *, is_debians: bool | None, checks_files: bool | None
) -> KernelBuild:
    """Return how a kernel was built, by its configuration (None if that is not known) and by words in its image."""

    def has(*names: bytes) -> bool | None:
        return None if options is None else all(options.get(name) == b"y" for name in names)

    return KernelBuild(
        version=(version[0], version[1]),
        reads_firmware=has(b"LOAD_UEFI_KEYS"),
        has_platform_keyring=has(b"INTEGRITY_PLATFORM_KEYRING"),
        has_machine_keyring=has(b"INTEGRITY_MACHINE_KEYRING", b"SECONDARY_TRUSTED_KEYRING"),
        wants_authorities=has(b"INTEGRITY_CA_MACHINE_KEYRING"),
        has_blacklist=has(b"SYSTEM_BLACKLIST_KEYRING"),
        has_revocation_list=has(b"SYSTEM_REVOCATION_LIST"),
        sees_secure_boot=has(b"IMA_SECURE_AND_OR_TRUSTED_BOOT"),
        is_debians=is_debians,
        checks_files=checks_files,
    )


class FirmwareKey(Record):
    """A certificate of the firmware. `counts` says whether the kernel takes it for modules, `reason` why if not.

    `is_late`: the kernel reads it after what is forbidden.
    """

    der: bytes
    source: str
    counts: bool | None
    reason: str
    is_late: bool


class Forbidden(Record):
    """What dbx or MokListXRT has; `counts` says whether the kernel heeds it."""

    content: bytes
    kind: str
    source: str
    counts: bool | None


class FirmwareRules(Record):
    """What the firmware's variables mean for the signatures of modules."""

    keys: tuple[FirmwareKey, ...] = ()
    forbidden: tuple[Forbidden, ...] = ()


def firmware_rules(variables: FirmwareVariables, build: KernelBuild) -> FirmwareRules:
    """Return what the variables mean for a kernel that was built so."""
    return FirmwareRules(
        tuple([_key(der, kind, source, variables, build) for der, kind, source in variables.keys]),
        tuple(
            [
                Forbidden(content, kind, source, _is_heeded(kind, variable, variables, build))
                for content, kind, variable, source in variables.forbidden
            ]
        ),
    )


def _key(der: bytes, kind: str, source: str, variables: FirmwareVariables, build: KernelBuild) -> FirmwareKey:
    counts, reason = _db_counts(variables, build) if kind == DB else _mok_counts(variables, build)
    return FirmwareKey(der, source, counts, f"its key is in {kind}, {reason}" if reason else "", kind == MOK)


def _db_counts(variables: FirmwareVariables, build: KernelBuild) -> tuple[bool | None, str]:
    if build.reads_firmware is False or build.has_platform_keyring is False:
        return False, "which this kernel does not read"
    if variables.ignores_db:
        return False, "which this kernel leaves out, since there is MokIgnoreDB"
    if build.is_debians and build.has_platform_keyring and build.version >= _READ_NEWLY_SINCE:
        return True, ""
    return None, "and whether this kernel takes such keys for modules is not known"


def _mok_counts(variables: FirmwareVariables, build: KernelBuild) -> tuple[bool | None, str]:
    if build.reads_firmware is False or build.has_machine_keyring is build.has_platform_keyring is False:
        return False, "which this kernel does not read"
    if build.version < _READ_NEWLY_SINCE or not build.reads_firmware or not build.sees_secure_boot:
        return None, "and whether this kernel takes such keys for modules is not known"
    if variables.secure_boot is False:
        return False, "which the kernel reads under Secure Boot alone"
    if variables.secure_boot is None:
        return None, "which the kernel reads under Secure Boot alone, and whether that is on is not known"
    if build.is_debians and (build.has_machine_keyring or build.has_platform_keyring):
        return True, ""
    if build.has_machine_keyring and variables.trusts_mok and not build.wants_authorities:
        return True, ""
    return None, "and whether this kernel takes such keys for modules is not known"


def _is_heeded(kind: str, variable: str, variables: FirmwareVariables, build: KernelBuild) -> bool | None:
    """Tell whether the kernel heeds what is forbidden; of hashes of certificates, for keys that it reads later."""
    since = _REVOKES_ALL_SINCE if kind == CERTIFICATE else _READ_NEWLY_SINCE
    conditions = [build.reads_firmware, build.has_revocation_list if kind == CERTIFICATE else build.has_blacklist]
    if kind == FILE:
        conditions.append(build.checks_files)
    if variable == MOKX and build.version >= _READ_NEWLY_SINCE and build.sees_secure_boot:
        conditions.append(variables.secure_boot)
    elif variable == MOKX:
        conditions.append(None)
    if False in conditions:
        return False
    return None if None in conditions or build.version < since else True


def by_digest(forbidden: Iterable[Forbidden], kind: str) -> dict[bytes, Forbidden]:
    """Return what is forbidden of one kind and may count, by its digest; of two, one that counts for sure."""
    found = [item for item in forbidden if item.kind == kind and item.counts is not False]
    return {item.content: item for item in sorted(found, key=lambda item: item.counts is True)}
