# SPDX-License-Identifier: LGPL-2.1-or-later
"""One function for each reader of foreign bytes. It may end with a value or one of our errors; all else is a bug."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial

from asn1crypto import cms

from pymodutils.cli.modprobe import COMMAND_LINE as MODPROBE
from pymodutils.cli.modprobe.values import split_words
from pymodutils.cli.options import Parser
from pymodutils.depmod.cache import _decode_snapshot
from pymodutils.depmod.factcodec import decode_fields, decode_names, facts_from_fields
from pymodutils.depmod.stamps import decode_stamps
from pymodutils.diagnosis.parameters import configured_values
from pymodutils.errors import Error
from pymodutils.formats import elf_fast
from pymodutils.formats.cmdline import parse_boot_rules, parse_kernel_command_line
from pymodutils.formats.compression import MAGIC, decompress
from pymodutils.formats.conflines import words
from pymodutils.formats.cpio import read_members
from pymodutils.formats.debugimage import debug_image
from pymodutils.formats.decompress_fast import decompress_fast
from pymodutils.formats.depmodconf import parse_depmod_conf
from pymodutils.formats.dwarf import DebugInfo
from pymodutils.formats.efisignatures import entries_in
from pymodutils.formats.elf import ElfFile
from pymodutils.formats.elf_linkage import read_general_linkage, read_image_linkage
from pymodutils.formats.fnmatch import fnmatch
from pymodutils.formats.functions import functions
from pymodutils.formats.index import read_index
from pymodutils.formats.kallsyms import initcalls, nearest_symbol
from pymodutils.formats.kernelconfig import parse_kernel_config
from pymodutils.formats.kernelexports import kind_of_text, read_kernel_exports, read_symvers, read_system_map
from pymodutils.formats.kernelimage import kernel_in, trusted_certificates
from pymodutils.formats.kernellog import parse_kmsg, parse_log_text
from pymodutils.formats.lineprogram import LineTable
from pymodutils.formats.machinecode import disassemble
from pymodutils.formats.modinfo import parse_modinfo, parse_parameters
from pymodutils.formats.modprobeconf import parse_modprobe_conf
from pymodutils.formats.modulesload import parse_modules_load
from pymodutils.formats.mountinfo import mount_of, parse_mountinfo
from pymodutils.formats.namespaces import is_for_module
from pymodutils.formats.oops import parse_oops
from pymodutils.formats.optionsfile import options_line
from pymodutils.formats.override import without_modversions, without_vermagic
from pymodutils.formats.parametertable import parameter_slots
from pymodutils.formats.parametervalues import as_written, can_be_passed, has_taken, refusal, same_value
from pymodutils.formats.policy import Denial, is_ours, parse_policy, reason_in, with_denials, without_denials
from pymodutils.formats.procmodules import parse_proc_modules
from pymodutils.formats.routes import interface_for
from pymodutils.formats.rulefile import FOUND_BY_KEY, RuleFile
from pymodutils.formats.signature import MAGIC as SIGNATURE_MAGIC
from pymodutils.formats.signature import read_pkcs7, read_signature
from pymodutils.formats.signeddata import Damaged, MessageReader, read_trailer
from pymodutils.formats.softdep import parse_softdep
from pymodutils.formats.source import BytesSource
from pymodutils.formats.symbols import exports, needs, versions
from pymodutils.formats.symvers import parse_symvers_lines
from pymodutils.formats.textindex import (
    builtin_fields,
    devname_lines,
    parse_builtin_modinfo,
    parse_dep_line,
    parse_devname_line,
)
from pymodutils.formats.tracepipe import parse_overrun, parse_trace
from pymodutils.formats.udevrules import parse_udev_rules
from pymodutils.formats.uevent import parse_uevent
from pymodutils.formats.wantedstate import parse_wanted
from pymodutils.formats.watchlog import parse_watch_log
from pymodutils.names import decode, encode, module_name, normalize_alias

Target = Callable[[bytes], None]
TARGETS: dict[str, Target] = {}

LIMIT = 1 << 20
"""Bytes that a fuzzed file may decompress to."""


def target(function: Target) -> Target:
    """Register a function under its name."""
    TARGETS[function.__name__] = function
    return function


def try_each(*actions: Callable[[], object]) -> None:
    """Run all of them, through their last item if they yield some; our errors are fine."""
    for action in actions:
        try:
            result = action()
            if isinstance(result, Iterable):
                for _ in result:
                    pass
        except Error:
            pass


@target
def elf(data: bytes) -> None:
    """A module file."""
    try_each(lambda: read_image_linkage(data), lambda: read_general_linkage(BytesSource(data)))
    try_each(lambda: elf_fast.read_image(data), lambda: without_modversions(data), lambda: without_vermagic(data))
    try:
        file = ElfFile(BytesSource(data))
    except Error:
        return
    try_each(
        lambda: exports(file), lambda: needs(file), lambda: versions(file), file.build_id, file.symbol_table,
        file.sections, lambda: functions(file), lambda: debug_image(file),
        lambda: file.data_of(b".modinfo"),
    )  # fmt: skip


@target
def modinfo(data: bytes) -> None:
    """The .modinfo section."""
    fields = parse_modinfo(data)
    parse_parameters(fields)
    for field in fields:
        parse_softdep(field.value)
        try_each(partial(normalize_alias, field.value))


@target
def parameter_table(data: bytes) -> None:
    """The table of parameters in an ELF file."""
    try_each(lambda: parameter_slots(ElfFile(BytesSource(data))))


@target
def parameter_values(data: bytes) -> None:
    """A type and two values of a parameter: a value means what it means in either order."""
    kind, _, rest = decode(data).partition("\n")
    one, _, other = rest.partition("\n")
    for text in (one, other):
        refusal(kind, text)
        as_written(kind, text)
        has_taken(kind, text, one)
    if same_value(kind or None, one, other) != same_value(kind or None, other, one):
        raise AssertionError(f"{one!r} and {other!r} are the same in one order only")


@target
def signature(data: bytes) -> None:
    """A file's end, and a PKCS#7 message by itself."""
    try_each(
        lambda: read_signature(BytesSource(data)),
        lambda: read_signature(BytesSource(data + SIGNATURE_MAGIC)),
        lambda: read_pkcs7(data),
    )


def _unpack(kind: str, data: bytes) -> None:
    try_each(lambda: _both_ways(data), lambda: _both_ways(MAGIC[kind] + data))


def _both_ways(data: bytes) -> None:
    """The shortest way gives what the careful one does, which keeps what is too large from it here."""
    right = decompress(data, LIMIT)
    if decompress_fast(data) != right:
        raise AssertionError("the two ways of decompressing differ")


@target
def gzip(data: bytes) -> None:
    """A .ko.gz file."""
    _unpack("gzip", data)


@target
def xz(data: bytes) -> None:
    """A .ko.xz file."""
    _unpack("xz", data)


@target
def zstd(data: bytes) -> None:
    """A .ko.zst file."""
    _unpack("zstd", data)


def _key(data: bytes) -> tuple[str, bytes]:
    """A text to look up, before the first newline, and what follows it."""
    key, _, rest = data.partition(b"\n")
    return decode(key), rest


@target
def index_lookup(data: bytes) -> None:
    """A text and an index file, looked up exactly: what is found, a dump has too."""
    key, content = _key(data)
    found: list[str] = []

    def look() -> None:
        found.extend(value.text for value in read_index(content).lookup(key))

    try_each(look)
    if found:
        try:
            dumped = [value.text for name, value in read_index(content).dump() if name == key]
        except Error:
            return  # the damage is elsewhere
        if found != dumped:
            raise AssertionError(f"look-up found {found}, the dump {dumped}")


@target
def index_match(data: bytes) -> None:
    """A text and an index file, looked up by patterns."""
    key, content = _key(data)
    try_each(lambda: read_index(content).match(key))


@target
def index_dump(data: bytes) -> None:
    """An index file, all of it."""
    try_each(lambda: read_index(data).dump())


@target
def pattern(data: bytes) -> None:
    """A text and a shell pattern."""
    key, rest = _key(data)
    fnmatch(decode(rest), key)


@target
def namespace(data: bytes) -> None:
    """A module's name and a namespace of symbols."""
    key, rest = _key(data)
    is_for_module(decode(rest), key)


@target
def modprobe_d(data: bytes) -> None:
    """A file of modprobe.d; what -c shows of it is read as the same again, and both readers say the same."""
    rules, problems = parse_modprobe_conf(data, "file")
    part = RuleFile.parse(data, "file")
    if (part.rules, part.problems) != (rules, problems):
        raise AssertionError(f"the readers differ: {part.rules} {rules}")
    for rule in rules[:8]:
        if rule.kind in FOUND_BY_KEY and part.literal(rule.kind, rule.key) != next(
            other for other in rules if (other.kind, other.key) == (rule.kind, rule.key)
        ):
            raise AssertionError(f"not the first of its key: {rule}")
    for rule in rules:
        if any(char in rule.key + rule.text for char in "\0\n"):
            raise AssertionError(f"{rule} spans lines")
        rule.render()


@target
def signed_data(data: bytes) -> None:
    """A file's end as verification reads it, and the message before it."""
    for read in (lambda: read_trailer(data[-40:], len(data)), lambda: MessageReader(cms).read(data)):
        with suppress(Damaged):
            read()


@target
def kernel_image(data: bytes) -> None:
    """A kernel's image, the certificates in it, and what it exports."""
    try_each(lambda: trusted_certificates(kernel_in(BytesSource(data), LIMIT)))
    try_each(lambda: read_kernel_exports(BytesSource(data)))


@target
def kernel_exports(data: bytes) -> None:
    """Module.symvers, System.map, and the configuration that a kernel was built with."""
    parse_kernel_config(data)
    kind_of_text(data)
    read_symvers(data)
    read_system_map(data)


@target
def efi_signatures(data: bytes) -> None:
    """A variable of the firmware with certificates."""
    try_each(lambda: list(entries_in(data)))


@target
def initial_file_system(data: bytes) -> None:
    """An image of cpio archives, plain or compressed."""
    try_each(lambda: read_members(BytesSource(data), lambda path: path.endswith(".conf"), LIMIT))


@target
def policy(data: bytes) -> None:
    """The policy's file; a denial that is added is there, and taken back leaves what there was."""
    try:
        before = parse_policy(data)
    except Error:
        return
    text = decode(data)
    name = "fuzzed"
    if before.denial(name) or not text.endswith("\n"):
        return
    denied = with_denials(text, [Denial(name, "why", "2026-01-01")])
    if "fuzzed" not in text and without_denials(denied, [name]) != text:
        raise AssertionError(f"{text!r} became {without_denials(denied, [name])!r}")
    try_each(lambda: parse_policy(encode(denied)))


@target
def wanted_state(data: bytes) -> None:
    """What `kmod ensure` reads; parameters that can be passed are the same in a line of modprobe.d."""
    with suppress(Error, UnicodeDecodeError):
        for wanted in parse_wanted(data.decode()):
            values = {key: value for key, value in (wanted.parameters or {}).items() if can_be_passed(value)}
            rules, _ = parse_modprobe_conf(encode(options_line(wanted.name, values)), "file")
            found = {key: one.value for key, one in configured_values(rules).items()}
            if found != {key.replace("-", "_"): value for key, value in values.items()}:
                raise AssertionError(f"{values} became {found}")


@target
def compiled_policy(data: bytes) -> None:
    """What a policy is compiled into."""
    is_ours(data)
    for line in (0, 1, 3, 1 << 20):
        reason_in(data, line)


@target
def kernel_symbols(data: bytes) -> None:
    """System.map, /proc/kallsyms."""
    for function in initcalls(data, "a"):
        if not function:
            raise AssertionError("an empty name")
    nearest_symbol(data, 0xFFFFFFFF81000000)
    parse_symvers_lines(data)


@target
def oops(data: bytes) -> None:
    """A log with oopses, and the code in them."""
    traces, frames = parse_oops(decode(data))
    for frame in frames:
        if frame.trace >= len(traces):
            raise AssertionError("a frame of no trace")
    for trace in traces:
        disassemble(trace.code or "", trace.machine)


@target
def debugging_data(data: bytes) -> None:
    """A module's debugging data, read at some addresses."""
    try:
        image = debug_image(ElfFile(BytesSource(data)))
        lines = DebugInfo(image.data) if image else None
    except Error:
        return
    try_each(*[partial(lines.lines, 4096 + 3 * step) for step in range(20)] if lines else ())


@target
def line_table(data: bytes) -> None:
    """A line table of DWARF, whose reader may raise what Python does; and the names in it."""
    sections = {".debug_line": data, ".debug_str": data, ".debug_line_str": data}
    for order in ("little", "big"):
        with suppress(LookupError, ValueError):
            table = LineTable(sections, 0, order)
            for number in range(4):
                table.file(number)


@target
def kernel_log(data: bytes) -> None:
    """A record of /dev/kmsg, and the text of syslog(2)."""
    for record in (*parse_kmsg(data), *parse_log_text(data)):
        if not record.text or "\n" in record.text or (record.seconds is not None and record.seconds < 0):
            raise AssertionError(f"{record} is no line")


@target
def modules_load_d(data: bytes) -> None:
    """A file of modules-load.d."""
    for number, text in parse_modules_load(data):
        if not words(text) or number < 1:
            raise AssertionError(f"line {number} has no module")


@target
def udev_rules(data: bytes) -> None:
    """A file of udev rules; what is shown of a rule is read as the same again."""
    rules, _problems = parse_udev_rules(data, "file")
    for rule in rules:
        shown = ", ".join(token.render() for token in rule.tokens)
        ambiguous = any('"' in token.value or token.key.endswith(("+", "-", "!", ":")) for token in rule.tokens)
        if not ambiguous:
            again, _problems = parse_udev_rules(encode(shown), "file")
            if [other.tokens for other in again] != [rule.tokens]:
                raise AssertionError(f"{shown!r} is read as something else")


@target
def depmod_d(data: bytes) -> None:
    """A file of depmod.d."""
    parse_depmod_conf(data, "file")


@target
def kernel_command_line(data: bytes) -> None:
    """/proc/cmdline."""
    rules, _problems = parse_kernel_command_line(data)
    for rule in rules:
        rule.render()
    for boot_rule in parse_boot_rules(data):
        if not boot_rule.name or "," in boot_rule.name:
            raise AssertionError(f"{boot_rule} is no name")


@target
def proc_modules(data: bytes) -> None:
    """/proc/modules."""
    try_each(lambda: parse_proc_modules(data))


@target
def mountinfo(data: bytes) -> None:
    """/proc/PID/mountinfo."""
    mounts = parse_mountinfo(data)
    for mount in mounts:
        mount_of(mounts, mount.point)
        mount.option("lowerdir")


@target
def routes(data: bytes) -> None:
    """/proc/net/route and /proc/net/ipv6_route, and an address on the first line."""
    address, _, rest = data.partition(b"\n")
    interface_for(decode(address), rest, rest)


@target
def modules_dep(data: bytes) -> None:
    """Lines of modules.dep and modules.devname."""
    for line in decode(data).split("\n"):
        parsed = parse_dep_line(line)
        for path in [parsed[0], *parsed[1]] if parsed else []:
            module_name(path)
    for _number, line in devname_lines(data):
        parse_devname_line(line)


@target
def builtin_modinfo(data: bytes) -> None:
    """modules.builtin.modinfo: both readers say the same."""
    by_module = parse_builtin_modinfo(data)
    for name in list(by_module)[:8]:
        if "\0" not in name and builtin_fields(data, name) != by_module[name] and encode(name):
            raise AssertionError(f"the readers differ about {name!r}")


@target
def trace_pipe(data: bytes) -> None:
    """Events of tracefs: no more bytes are unclear than there are."""
    if not 0 <= parse_trace(data).unclear <= len(data):
        raise AssertionError("bytes counted twice")
    parse_overrun(data)


@target
def uevent(data: bytes) -> None:
    """A message of the kernel about a device."""
    parse_uevent(data)


@target
def watch_log(data: bytes) -> None:
    """What `kmod watch --json` printed, cut off anywhere, or a list of names."""
    for _ in parse_watch_log(decode(data).split("\n")):
        pass


@target
def modprobe_options(data: bytes) -> None:
    """The variable MODPROBE_OPTIONS."""
    parser = Parser(split_words(decode(data)), MODPROBE.options)
    try_each(lambda: parser)


@target
def options(data: bytes) -> None:
    """Words of a command line."""
    words = [decode(word) for word in data.split(b"\0")]
    try_each(lambda: Parser(words, MODPROBE.options), lambda: Parser(words, MODPROBE.options, permute=False))


@target
def depmod_cache(data: bytes) -> None:
    """The parts of depmod's cache file, behind their check sums."""
    try_each(lambda: facts_from_fields(decode_fields(data)), lambda: decode_stamps(data), lambda: decode_names(data))
    with suppress(Error, ValueError):  # what the cache's reader takes for damage
        _decode_snapshot(data)
