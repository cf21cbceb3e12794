# SPDX-License-Identifier: LGPL-2.1-or-later
"""The policy's file: what it says, and how it changes as text."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pymodutils.errors import FormatError
from pymodutils.formats.modprobeconf import parse_modprobe_conf
from pymodutils.formats.policy import (
    Allowlist,
    Denial,
    Policy,
    compile_rules,
    is_module_name,
    is_ours,
    parse_policy,
    quoted,
    reason_in,
    with_allowlist,
    with_denials,
    without_denials,
)

TEXT = """\
# our policy

[allow]
modules = ["ext4"]

# the network
[deny.sctp]
reason = "not used"  # really
date = 2026-05-17

[deny."usb-storage"]
"""


def test_what_a_policy_says() -> None:
    assert parse_policy(TEXT.encode()) == Policy(
        (Denial("sctp", "not used", "2026-05-17"), Denial("usb_storage")), Allowlist(("ext4",))
    )
    assert parse_policy(b"") == Policy()


@pytest.mark.parametrize(
    "text",
    ["[deny", "x = 1", "[denied.a]", "deny = 1", "[deny]\na = 1", "[deny.'a b']", "[deny.a-b]\n[deny.a_b]", "\xff",
     "[deny.a]\nreason = 1", "allow = []", "[allow]\nmodules = 1", "[allow]\nmodules = ['*']", "[" * 9999,
     "[allow]", "[allow]\nnames = ['a']", "[allow]\nmodules = ['a']\nmodule = ['b']", "[deny.a]\nraeson = 'x'"],
)  # fmt: skip
def test_what_is_no_policy(text: str) -> None:
    with pytest.raises(FormatError) as error:
        parse_policy(text.encode("latin-1"), "/p")
    assert error.value.path == "/p"


def test_tables_of_others_stay_as_they_are() -> None:
    text = with_denials(TEXT, [Denial("dccp", "why", "2026-05-18")])
    assert text == TEXT.replace("# the network", '[deny.dccp]\nreason = "why"\ndate = 2026-05-18\n\n# the network')
    assert without_denials(text, ["dccp"]) == TEXT
    assert (
        without_denials(TEXT, ["sctp"])
        == TEXT[: TEXT.index("# the network")] + "# the network\n" + TEXT[TEXT.index('[deny."usb') :]
    )
    assert without_denials(TEXT, ["usb_storage"]) == TEXT[: TEXT.index('\n[deny."usb')]
    assert parse_policy(with_allowlist(TEXT, None).encode()).allow is None


NAMES = st.sampled_from(["a", "b", "c-d", "snd_x", "usb-storage"])
REASONS = st.none() | st.text(max_size=20)


@given(st.lists(st.tuples(NAMES, REASONS), max_size=6), NAMES, REASONS)
def test_taking_a_denial_back_gives_the_bytes_that_there_were(
    before: list[tuple[str, str | None]], name: str, reason: str | None
) -> None:
    text = ""
    for other, why in before:
        text = with_denials(text, [Denial(other.replace("-", "_"), why, "2026-05-17")])
    name = name.replace("-", "_")
    text = without_denials(text, [name])
    denied = with_denials(text, [Denial(name, reason, "2026-05-17")])
    assert without_denials(denied, [name]) == text
    assert with_denials(denied, [Denial(name, reason, "2026-05-17")]) == denied
    assert parse_policy(denied.encode()).denial(name) is not None
    allowing = with_allowlist(denied, Allowlist(("b", "a"), "lsmod", "2026-05-17"))
    assert parse_policy(allowing.encode()).allow == Allowlist(("a", "b"), "lsmod", "2026-05-17")
    assert with_allowlist(allowing, None) == denied


@given(st.text())
def test_any_text_can_be_quoted(text: str) -> None:
    assert tomllib.loads(f"x = {quoted(text)}")["x"] == text.replace("\r\n", "\r\n")


# --- the compiled file


@given(st.lists(st.tuples(NAMES, REASONS), max_size=4), st.sets(st.sampled_from(["x", "y", "a"])))
def test_three_rules_for_each_module_and_the_reason_of_each(
    denied: list[tuple[str, str | None]], not_allowed: set[str]
) -> None:
    denials = {name.replace("-", "_"): Denial(name.replace("-", "_"), why, "2026-05-17") for name, why in denied}
    data = compile_rules(denials.values(), not_allowed, "2026-05-18")
    assert is_ours(data)
    rules, problems = parse_modprobe_conf(data, "f")
    assert not problems
    names = {*denials, *not_allowed}
    assert sorted((rule.kind, rule.key, rule.text) for rule in rules) == sorted(
        rule for name in names for rule in (("softdep", name, "pre:"), ("install", name, "/bin/false"),
                                            ("blacklist", name, ""))
    )  # fmt: skip
    assert all(rule.softdeps() == ([], []) for rule in rules if rule.kind == "softdep")
    for rule in rules:
        if rule.kind == "install":
            reason = reason_in(data, rule.line or 0)
            own = denials.get(rule.key)
            assert reason and reason.endswith("(2026-05-17)" if own else "(2026-05-18)")
            assert own or "not on the allowlist" in reason


def test_an_edited_file_is_noticed() -> None:
    data = compile_rules([Denial("sctp")])
    assert is_ours(data)
    for changed in (data + b"\n", data.replace(b"sctp", b"dccp"), data[1:], b"", b"blacklist x\n"):
        assert not is_ours(changed)


def test_a_reason_cannot_break_a_line() -> None:
    data = compile_rules([Denial("sctp", "one\ninstall x /bin/sh\\", None)])
    rules, _ = parse_modprobe_conf(data, "f")
    assert {rule.key for rule in rules} == {"sctp"} and len(rules) == 3


@pytest.mark.parametrize(("name", "good"), [("sctp", True), ("usb-storage", True), ("8021q", True), ("", False),
                                            ("a*", False), ("a b", False), ("ä", False), ("a/b", False),
                                            ("a.ko", False), ("_", True), ("a\n", False),
                                            ("a" * 55, True), ("a" * 56, False)])  # fmt: skip
def test_names(name: str, good: bool) -> None:
    assert is_module_name(name) is good
