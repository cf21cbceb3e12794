# SPDX-License-Identifier: LGPL-2.1-or-later
"""unsigned, unknown-key, bad-signature: the kernel demands a signature, or does not believe the one there is."""

from __future__ import annotations

from errno import EBADMSG, EKEYREJECTED, ENOKEY, ENOPKG, EPERM

from ...diagnostics import Evidence
from ...shellwords import command, word
from .case import FITS, SHOWN, Case, Cause, logged
from .sentences import BAD_SIGNATURE, KEY_NOT_FOUND, REJECTED, said, told

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from .sentences import Said

SIG_ENFORCE = "/sys/module/module/parameters/sig_enforce"


def _rejections(case: Case, what: str) -> list[Said]:
    return [sentence for sentence in said(case, REJECTED) if sentence.part("what") == what]


def _enforced(case: Case) -> tuple[Evidence, ...]:
    return (Evidence(SIG_ENFORCE, "Y"),) if case.kernel.sig_enforce else ()


def _is_unsigned(case: Case) -> bool:
    file = case.file
    return file is not None and file.is_readable and file.signature is None and file.bad_signature is None


def unsigned(case: Case) -> Iterator[Cause]:
    """The module is not signed, and the kernel takes only signed ones."""
    text = "the module is not signed, and this kernel takes only signed ones"
    for sentence in _rejections(case, "unsigned module"):
        yield Cause("unsigned", text, (logged(sentence.text), *_enforced(case)), _sign(case), sentence.strength)
    if not _is_unsigned(case) or case.file is None or told(case, KEY_NOT_FOUND):
        return
    # Kernels before 5.4 answer ENOKEY.
    if (case.answers(EKEYREJECTED) and case.kernel.sig_enforce) or (case.is_refusal and case.errno == ENOKEY):
        yield Cause("unsigned", text, (Evidence(case.file.path, "no signature"), *_enforced(case)), _sign(case))


def unknown_key(case: Case) -> Iterator[Cause]:
    """The key that signed the module is none of those that the kernel trusts."""
    for sentence in _rejections(case, "module with unavailable key"):
        text = f"{_signed(case)} by a key that this kernel does not know"
        yield Cause("unknown-key", text, (logged(sentence.text), *_signature(case)), _enrol(case), sentence.strength)
    for sentence in said(case, KEY_NOT_FOUND) if case.is_refusal else ():
        text = f"the module is signed by the key '{sentence.part('key')}', which this kernel does not know"
        yield Cause("unknown-key", text, (logged(sentence.text), *_signature(case)), _enrol(case), sentence.strength)
    signature = case.file.signature if case.file else None
    if signature is None or not case.is_refusal or case.errno not in (EKEYREJECTED, ENOKEY):
        return
    if case.errno == ENOKEY or case.kernel.sig_enforce:
        text = f"{_signed(case)}, perhaps by a key that this kernel does not know"
        strength = SHOWN if case.errno == ENOKEY else FITS
        yield Cause("unknown-key", text, (*_signature(case), *_enforced(case)), _enrol(case), strength)


def bad_signature(case: Case) -> Iterator[Cause]:
    """The signature does not fit the file, or is of a kind that this kernel cannot check."""
    for sentence in _rejections(case, "module with unsupported crypto"):
        text = f"{_signed(case)} in a way that this kernel cannot check"
        yield Cause("bad-signature", text, (logged(sentence.text), *_signature(case)), _again(case), sentence.strength)
    for sentence in said(case, BAD_SIGNATURE) if case.is_refusal else ():
        text = "the signature at the end of the file is not one that the kernel can read"
        yield Cause("bad-signature", text, (logged(sentence.text),), _again(case), sentence.strength)
    file = case.file
    if file is None or not file.is_readable:
        return
    if file.bad_signature and case.answers(EBADMSG, ENOPKG, EKEYREJECTED):
        evidence = (Evidence(file.path, file.bad_signature),)
        yield Cause("bad-signature", "the signature at the end of the file is damaged", evidence, _again(case))
    elif file.signature and case.is_refusal and case.errno in (EKEYREJECTED, EBADMSG, ENOPKG):
        # Without sig_enforce an unknown key is no reason to refuse a module: then the signature itself is wrong.
        strength = SHOWN if case.errno != EKEYREJECTED or case.kernel.sig_enforce is False else FITS
        text = "the signature does not fit the file, which was changed after it was signed (stripped, perhaps)"
        yield Cause("bad-signature", text, (*_signature(case), *_enforced(case)), _again(case), strength)


def _signed(case: Case) -> str:
    signer = case.file.signature.signer if case.file and case.file.signature else None
    return f"the module is signed as {signer}" if signer else "the module is signed"


def _signature(case: Case) -> tuple[Evidence, ...]:
    file = case.file
    if file is None or file.signature is None:
        return ()
    key = f", key {file.signature.key_id.hex(':')}" if file.signature.key_id else ""
    return (Evidence(file.path, f"signer {file.signature.signer or 'not named'}{key}"),)


def _sign(case: Case) -> tuple[str, ...]:
    script = f"/lib/modules/{case.release}/build/scripts/sign-file"
    return (f"{word(script)} sha256 KEY.priv KEY.x509 {word(case.path or case.module)}", *_enrol(case))


def _enrol(case: Case) -> tuple[str, ...]:
    if not case.has("mokutil"):
        return ()
    return tuple(command("mokutil --import", key) for key in case.keys or ("KEY.der",))


def _again(case: Case) -> tuple[str, ...]:
    return reinstall(case)


def reinstall(case: Case) -> tuple[str, ...]:
    """Return commands that install a module's file again, as far as it is known where it came from."""
    owners = dict(case.owners)
    if "dkms" in owners:
        return (f"{command('dkms install --force', owners['dkms'])} -k {word(case.release)}",)
    if "package" in owners and case.has("apt"):
        return (command("apt install --reinstall", owners["package"]),)
    return ()


def answers_to_signature(number: int | None) -> bool:
    """Tell whether an errno may be about a signature."""
    return number in (EKEYREJECTED, ENOKEY, EBADMSG, ENOPKG, EPERM)
