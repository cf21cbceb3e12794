# SPDX-License-Identifier: LGPL-2.1-or-later
"""The Ansible collection, run by ansible-core on this machine against an image."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.integrations.fleet import Fleet
from tests.support.common import BIN, REPO, need
from tests.support.forgedsystem import forge_system, needing

pytestmark = pytest.mark.xdist_group("ansible")

COLLECTION = REPO / "integrations/ansible"
MODULES = ("kernel_module", "kernel_module_facts", "kernel_module_policy")
PROGRAMS = Path(sys.executable).parent


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with the collection, and an image with modules."""
    need((PROGRAMS / "ansible-playbook").exists(), "ansible-core (pip install .[test])")
    home = tmp_path_factory.mktemp("ansible")
    (home / "ansible_collections/pymodutils").mkdir(parents=True)
    (home / "ansible_collections/pymodutils/kernel").symlink_to(COLLECTION)
    ko = needing("sctp", "base", strings=["alias=net-pf-2-proto-132", "parm=hash:Size", "parmtype=hash:int"])
    forge_system(
        home / "image",
        {"base": needing("base"), "sctp": ko, "other": needing("other"), "last": needing("last")},
        builtin=["zswap"],
    )
    return home


def run(home: Path, program: str, *words: str, fleet: Fleet | None = None) -> subprocess.CompletedProcess[str]:
    environment = {
        "HOME": str(home), "PATH": os.environ["PATH"], "LANG": "C.UTF-8", "ANSIBLE_COLLECTIONS_PATH": str(home),
        "ANSIBLE_LOCALHOST_WARNING": "false", "ANSIBLE_INVENTORY_UNPARSED_WARNING": "false", "ANSIBLE_NOCOLOR": "true",
        "ANSIBLE_HOME": str(home / ".ansible"), "ANSIBLE_PIPELINING": "true",
        "ANSIBLE_PYTHON_INTERPRETER": "/usr/bin/python3",
    }  # fmt: skip
    command = [str(PROGRAMS / program), *words]
    command = fleet.command(command) if fleet else command
    return subprocess.run(command, capture_output=True, text=True, env=environment, cwd=home, timeout=240)


def play(home: Path, tasks: list[dict[str, Any]], *words: str) -> list[dict[str, Any]]:
    """What each task of a play answers."""
    steps: list[dict[str, Any]] = []
    for number, task in enumerate(tasks):
        steps.append({**task, "register": f"answer_{number}", "ignore_errors": True})
    names = ", ".join(f"answer_{number}" for number in range(len(tasks)))
    content = f"{{{{ [{names}] | to_json }}}}"
    steps.append(
        {
            "ansible.builtin.copy": {"dest": str(home / "answers"), "content": content},
            "check_mode": False,
            "diff": False,
        }
    )
    interpreter = {"ansible_python_interpreter": sys.executable}
    book = [{"hosts": "localhost", "gather_facts": False, "vars": interpreter, "tasks": steps}]
    (home / "play.json").write_text(json.dumps(book))
    done = run(home, "ansible-playbook", "-c", "local", *words, "play.json")
    assert done.returncode == 0, done.stdout + done.stderr
    answers: list[dict[str, Any]] = json.loads((home / "answers").read_text())
    return answers


def task(home: Path, module: str, **options: object) -> dict[str, Any]:
    common: Mapping[str, object] = {"root": str(home / "image"), "executable": str(BIN / "kmod")}
    return {f"pymodutils.kernel.{module}": {**common, **options}}


def test_the_modules_are_documented(home: Path) -> None:
    done = run(home, "ansible-doc", "--json", *(f"pymodutils.kernel.{name}" for name in MODULES))
    assert done.returncode == 0, done.stderr
    documents = json.loads(done.stdout)
    for name in MODULES:
        found = documents[f"pymodutils.kernel.{name}"]
        assert found["examples"] and found["return"] and {"root", "executable"} <= found["doc"]["options"].keys()


def test_a_wanted_state_of_an_image(home: Path) -> None:
    """Check mode, the change with its diff, and nothing the second time, in three plays of several tasks."""
    tasks = [
        task(home, "kernel_module", name=["sctp"], at_boot=True, state="loaded", parameters={"hash": 5}),
        task(home, "kernel_module", name=["other"], state="denied"),
        task(home, "kernel_module_policy", deny=["last"], reason="a 'reason'"),
        task(home, "kernel_module", name=["nosuch"], state="available"),
        task(home, "kernel_module", name=["zswap"], state="denied"),
        task(home, "kernel_module", name=["sctp"], parameters={"hash": "x"}),
        task(home, "kernel_module_facts", name=["sctp", "other", "last", "zswap", "nosuch"]),
    ]
    etc = home / "image/etc"
    checked = play(home, tasks, "--check", "--diff")
    assert not etc.exists()
    first = play(home, tasks, "--diff")
    again = play(home, tasks)
    assert [answer["changed"] for answer in checked] == [True, True, True, False, False, False, False]
    assert [answer["changed"] for answer in first] == [answer["changed"] for answer in checked]
    assert [answer["changed"] for answer in again] == [False] * 7
    assert [answer.get("failed", False) for answer in first] == [False] * 3 + [True] * 3 + [False]
    assert [answer["msg"].partition(":")[0] for answer in first[3:6]] == ["nosuch", "zswap", "sctp"]
    assert '"at_boot": false' in first[0]["diff"]["before"] and '"at_boot": true' in first[0]["diff"]["after"]
    assert (etc / "modules-load.d/pymodutils.conf").read_text().splitlines()[-1] == "sctp"
    assert (etc / "modprobe.d/zz-pymodutils-sctp.conf").read_text().splitlines()[-1] == "options sctp hash=5"
    assert "a 'reason'" in (etc / "pymodutils/policy.toml").read_text()
    known = again[6]["ansible_facts"]["kernel_modules"]
    assert {name: one["verdict"] for name, one in known.items()} == {
        "sctp": "can-get-in", "other": "blocked", "last": "blocked", "zswap": "builtin", "nosuch": "absent",
    }  # fmt: skip


def test_a_command_that_is_not_ours_is_said(home: Path) -> None:
    other = home / "other-kmod"
    other.write_text("#!/bin/sh\necho 'Invalid operation: status' >&2; exit 1\n")
    other.chmod(0o755)
    answers = play(home, [task(home, "kernel_module_facts", name=["sctp"], executable=str(other))])
    assert answers[0]["failed"] and "Invalid operation" in answers[0]["msg"]


def test_the_report_about_many_hosts(home: Path) -> None:
    (home / "hosts").write_text(
        f"[all]\none root={home}/image\ntwo root={home}/image\nth<b>ree kmod=/nowhere/kmod\n[all:vars]\n"
        f"ansible_connection=local\nansible_python_interpreter={sys.executable}\nkmod={BIN}/kmod\n"
    )
    extra = json.dumps({"modules": ["sctp", "other"], "output": str(home / "fleet")})
    done = run(home, "ansible-playbook", "-i", "hosts", "-e", extra, f"{COLLECTION}/playbooks/fleet-report.yml")
    assert done.returncode == 0, done.stdout + done.stderr
    rows = json.loads((home / "fleet/fleet.json").read_text())
    assert {(row["host"], row["module"], row["answered"]) for row in rows} == {
        ("one", "sctp", True), ("one", "other", True), ("two", "sctp", True), ("two", "other", True),
        ("th<b>ree", "-", False),
    }  # fmt: skip
    text = (home / "fleet/fleet.txt").read_text().splitlines()
    assert text[0].split() == ["HOST", "MODULE", "STATE", "VERDICT", "DRIFT"] and len(text) == 9
    assert text[-2] == "3 hosts, 1 without an answer"
    page = (home / "fleet/fleet.html").read_text()
    assert '<dd id="hosts">3</dd>' in page and '<dd id="silent">1</dd>' in page
    assert (
        '<td class="alarm">th&lt;b&gt;ree</td><td>/nowhere/kmod: No such file or directory</td>' in page
        and "<b>" not in page
    )
    assert '<tr><td>other</td><td class="number out">0</td>' in page
    nobody = json.dumps({**json.loads(extra), "hosts_to_ask": "!all"})
    done = run(home, "ansible-playbook", "-i", "hosts", "-e", nobody, f"{COLLECTION}/playbooks/fleet-report.yml")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "<p>No host was asked.</p>" in (home / "fleet/fleet.html").read_text()


# --- by ssh


@pytest.fixture(scope="module")
def fleet(home: Path) -> Iterator[Fleet]:
    """Two hosts with images that differ, and one that has no kmod of ours; a fourth of the inventory does not exist."""
    sctp = needing("sctp", strings=["parmtype=hash:int"])
    folders = {name: home / f"host-{name}" for name in ("one", "two", "bare")}
    for folder in folders.values():
        (folder / "bin").mkdir(parents=True)
    forge_system(folders["one"] / "image", {"sctp": sctp, "other": needing("other"), "last": needing("last")})
    forge_system(folders["two"] / "image", {"other": needing("other"), "last": needing("last")}, builtin=["zswap"])
    for name in ("one", "two"):
        (folders[name] / "bin/kmod").symlink_to(BIN / "kmod")
    (folders["bare"] / "bin/kmod").write_text("#!/bin/sh\necho 'Invalid operation: status' >&2; exit 1\n")
    (folders["bare"] / "bin/kmod").chmod(0o755)
    with Fleet(home / "fleet-of-hosts", folders) as fleet:
        lines = [fleet.variables(name) for name in (*folders, "away")]
        (home / "inventory").write_text(
            "\n".join(lines) + f"\n[all:vars]\nansible_ssh_private_key_file={fleet.folder}/user_key\n"
            f"ansible_python_interpreter=/usr/bin/python3\nroot={fleet.place}/image\n"
        )
        yield fleet


def play_on_hosts(home: Path, fleet: Fleet, tasks: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """What each task answers on each host."""
    steps = [{**task, "register": f"answer_{number}", "ignore_errors": True, "ignore_unreachable": True, "diff": True}
             for number, task in enumerate(tasks)]  # fmt: skip
    names = ", ".join(f"hostvars[item].answer_{number}" for number in range(len(steps)))
    report: dict[str, Any] = {
        "ansible.builtin.copy": {"dest": f"{home}/{{{{ item }}}}.answers", "content": f"{{{{ [{names}] | to_json }}}}"},
        "loop": "{{ groups['all'] }}",
    }
    books = [
        {"hosts": "all", "gather_facts": False, "tasks": steps},
        {"hosts": "localhost", "gather_facts": False, "tasks": [report]},
    ]
    (home / "hosts.json").write_text(json.dumps(books))
    done = run(home, "ansible-playbook", "-i", "inventory", "hosts.json", fleet=fleet)
    assert done.returncode == 0, done.stdout + done.stderr
    return {path.stem: json.loads(path.read_text()) for path in home.glob("*.answers")}


def test_hosts_by_ssh(home: Path, fleet: Fleet) -> None:
    """Each host is asked by ssh, all at once, and answers for itself: in check mode, with its diff, and again."""
    wish = {"name": ["sctp"], "at_boot": True, "parameters": {"hash": "{{ 5 }}"}, "root": "{{ root }}"}
    ensure = {"pymodutils.kernel.kernel_module": wish}
    deny = {"pymodutils.kernel.kernel_module_policy": {"deny": ["last"], "root": "{{ root }}"}}
    names = ["sctp", "other", "last", "zswap"]
    facts = {"pymodutils.kernel.kernel_module_facts": {"name": names, "root": "{{ root }}"}}
    checked = [{**ensure, "check_mode": True}, {**deny, "check_mode": True}]
    nothing = {"ansible.builtin.command": "ls {{ root }}/etc"}
    answers = play_on_hosts(home, fleet, [*checked, nothing, ensure, deny, ensure, deny, facts])
    assert answers.keys() == {"one", "two", "bare", "away"}
    assert all("No such file" in answers[name][2]["msg"] + answers[name][2]["stderr"] for name in ("one", "two"))
    changed = {name: [answers[name][number]["changed"] for number in (0, 1, 3, 4, 5, 6, 7)] for name in ("one", "two")}
    assert changed["one"] == [True, True, True, True, False, False, False]
    assert changed["two"] == [False, True, False, True, False, False, False]
    for number in (0, 3, 5):
        assert "sctp: there is no such module" in answers["two"][number]["msg"]
    for number in (0, 3):
        diff = answers["one"][number]["diff"]
        assert '"at_boot": false' in diff["before"] and '"at_boot": true' in diff["after"]
        assert '"hash": "5"' in diff["after"] and '"hash"' not in diff["before"]
    etc = {name: home / f"host-{name}/image/etc" for name in ("one", "two")}
    assert (etc["one"] / "modprobe.d/zz-pymodutils-sctp.conf").read_text().endswith("\noptions sctp hash=5\n")
    assert not (etc["two"] / "modprobe.d/zz-pymodutils-sctp.conf").exists()
    verdicts = {
        name: {key: one["verdict"] for key, one in answers[name][7]["ansible_facts"]["kernel_modules"].items()}
        for name in ("one", "two")
    }
    assert verdicts == {
        "one": {"sctp": "can-get-in", "other": "can-get-in", "last": "blocked", "zswap": "absent"},
        "two": {"sctp": "absent", "other": "can-get-in", "last": "blocked", "zswap": "builtin"},
    }
    assert all("Invalid operation" in answers["bare"][number]["msg"] for number in (0, 1, 3, 4, 5, 6, 7))
    for answer in answers["away"]:
        assert answer["unreachable"] and "Connection refused" in answer["msg"]


def test_the_report_by_ssh(home: Path, fleet: Fleet) -> None:
    """A host that cannot be reached, and one without a kmod of ours, are told apart; the report comes all the same."""
    (home / "more").write_text((home / "inventory").read_text() + "\n[not_asked]\nanother ansible_connection=local\n")
    variables = {"modules": ["sctp", "other", "zswap"], "output": str(home / "by-ssh"), "hosts_to_ask": "!not_asked"}
    extra = json.dumps(variables)
    book = f"{COLLECTION}/playbooks/fleet-report.yml"
    done = run(home, "ansible-playbook", "-i", "more", "-e", extra, book, fleet=fleet)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = json.loads((home / "by-ssh/fleet.json").read_text())
    found = {(row["host"], row["module"]): row["verdict"] for row in rows if row["answered"]}
    assert found["one", "sctp"] == "can-get-in" and found["two", "sctp"] == "absent"
    assert found["one", "zswap"] == "absent" and found["two", "zswap"] == "builtin"
    reasons = {row["host"]: row["error"] for row in rows if not row["answered"]}
    assert reasons.keys() == {"bare", "away"}
    assert "Invalid operation: status" in reasons["bare"] and "Connection refused" in reasons["away"]
    text = (home / "by-ssh/fleet.txt").read_text()
    assert "4 hosts, 2 without an answer" in text


def test_nothing_of_the_hosts_is_left(home: Path) -> None:
    folder = home / "gone"
    with pytest.raises(KeyError), Fleet(folder, {"one": home}) as fleet:
        inside = fleet.command(["sleep", "1000"])
        sleeping = subprocess.Popen(inside)
        raise KeyError
    assert sleeping.wait(10) != 0
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            assert str(folder).encode() not in path.read_bytes()
    assert list((folder / "host").iterdir()) == []
