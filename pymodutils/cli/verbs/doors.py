# SPDX-License-Identifier: LGPL-2.1-or-later
"""Show what `check` says of a module: a line for each way in."""

from __future__ import annotations

from .page import BAD, FAINT, GOOD, STRONG, UNSURE, Cell

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ...diagnosis.check import Check, Door
    from ...state.kernelfacts import KernelFacts
    from .page import Page

DOORS = (
    ("by_name", "by name"),
    ("by_alias", "by alias"),
    ("as_dependency", "as dependency"),
    ("as_softdep", "as softdep"),
    ("udev", "udev"),
    ("modules_load", "modules-load"),
    ("insmod", "insmod"),
    ("initramfs", "initramfs"),
)
"""The fields of `Doors`, and what they are called here."""

VERDICTS: dict[str | None, tuple[str, str]] = {
    "in": ("IN THE KERNEL", BAD),
    "can-get-in": ("NOT LOADED, CAN GET IN", BAD),
    "blocked": ("NOT LOADED, BLOCKED", GOOD),
    "builtin": ("BUILTIN, beyond the rules of modprobe", UNSURE),
    "absent": ("ABSENT, there is no such module", GOOD),
    None: ("CANNOT TELL", UNSURE),
}

MOST_SHOWN = 4
"""Names of a list that are shown; the rest is counted."""


def headline(check: Check) -> list[Cell]:
    """Return a module's name and what is said of it."""
    text, style = VERDICTS[check.verdict]
    name = check.name if check.asked.replace("-", "_") == check.name else f"{check.asked}: {check.name}"
    return [Cell(name, STRONG), Cell(text, style)]


def write_check(page: Page, check: Check) -> None:
    """Put all that is known of a module on a page."""
    page.table([headline(check)])
    if check.builtin:
        initcall, why = check.builtin.initcall, check.builtin.note
        how = f"initcall_blacklist={initcall} on the kernel command line" if initcall else "its initcall is not found"
        how += f": {why}" if why else ""
        page.line(f"  only the kernel's own list of what not to start keeps it out: {how}")
    elif check.state not in ("absent", "unknown"):
        page.table([_row(label, getattr(check.doors, field), check.kernel) for field, label in DOORS], indent=2)
    if check.similar:
        page.line(f"  similar names: {', '.join(check.similar)}")
    if check.remedy and not check.builtin:
        page.line(f"  remedy: {check.remedy}")


def open_doors(check: Check) -> list[str]:
    """Return what the open doors are called, and those of which one cannot tell with a question mark."""
    found = []
    for field, label in DOORS:
        door = getattr(check.doors, field)
        if field != "insmod" and door.open:
            found.append(label)
        elif field != "insmod" and door.open is None and not door.is_closed:
            found.append(f"{label}?")
    return found


def _row(label: str, door: Door, kernel: KernelFacts) -> list[object]:
    if door.open is None:
        state = Cell("-", FAINT) if door.is_closed else Cell("?", UNSURE)
    else:
        state = Cell("OPEN", BAD) if door.open else Cell("closed", GOOD)
    return [label, state, Cell("; ".join(_facts(label, door, kernel)))]


def _facts(label: str, door: Door, kernel: KernelFacts) -> list[str]:
    """Return what is said behind a door: the rule, who asks there, and what comes in all the same."""
    found = []
    if door.by:
        found.append(f"{door.by.text}  {door.by.origin}")
    if label == "insmod" and door.open:
        found.append(_kernel(kernel))
    if label in ("as dependency", "as softdep") and door.via:
        found.append(f"of {_some(door.via) if door.open else _count(door.via)}")
    elif label in ("by alias", "modules-load") and door.via:
        found.append(_some(door.via))
    elif label == "udev" and door.via and door.open:
        found.append(f"asked for by {_some(door.via)}")
    elif label == "initramfs":
        found += door.via
    if door.note and label == "initramfs" and door.open is None and not door.by:
        found = [f"{door.via[0]}: {door.note}"]
    elif door.note:
        found.append(door.note)
    if door.side_loads:
        found.append(f"side loads {' '.join(door.side_loads)}")
    if label == "initramfs" and not door.via:
        found.append("no image")
    return found


def _count(modules: tuple[str, ...]) -> str:
    return f"{len(modules)} module{'' if len(modules) == 1 else 's'}"


def _some(names: tuple[str, ...]) -> str:
    shown = " ".join(names[:MOST_SHOWN])
    return f"{shown} and {len(names) - MOST_SHOWN} more" if len(names) > MOST_SHOWN else shown


def _kernel(kernel: KernelFacts) -> str:
    """Return what the kernel lets in, in the words of its own files."""
    disabled = {None: "-", True: "1", False: "0"}[kernel.modules_disabled]
    enforced = {None: "-", True: "Y", False: "N"}[kernel.sig_enforce]
    listed = ",".join(kernel.module_blacklist or ()) or "not set"
    lockdown = kernel.lockdown or "-"
    return f"modules_disabled={disabled}, sig_enforce={enforced}, lockdown {lockdown}, module_blacklist= {listed}"
