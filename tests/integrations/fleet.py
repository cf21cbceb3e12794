# SPDX-License-Identifier: LGPL-2.1-or-later
"""Hosts that ssh reaches, each in a network namespace of its own with files of its own, and all gone at the end.

    with Fleet(folder, {"one": folder_of_one, "two": folder_of_two}) as fleet:
        fleet.command(["ansible", ...])        # what runs it where the hosts are reached
        fleet.variables("one")                 # for the inventory: address and port

As root. All hosts have the machine's own files. What differs is `folder`/host, which is the host's own folder there:
root's home directory, with `bin`, which comes first in PATH. One process is the first of a process namespace in which
all others live, so that they end with it, and it ends with the one that made it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.support.common import need

PROGRAMS = ("ip", "mount", "nsenter", "ssh", "ssh-keygen", "unshare", "sshd")
_PATH = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"

_ALL = """
set -eu
umask 022
ip link set lo up
number=1
for host in $HOSTS; do
    HOST=$host unshare --net --mount --propagation private sh -c "$EACH" &
    while [ "$(readlink /proc/$!/ns/net)" = "$(readlink /proc/$$/ns/net)" ]; do sleep 0.02; done
    ip link add "to$number" type veth peer name eth0 netns $!
    ip address add "10.77.$number.1/24" dev "to$number"
    ip link set "to$number" up
    number=$((number + 1))
done
echo ready
exec cat
"""
"""The first process: it makes each host, and a link to it, and ends when the one that made it does."""

_EACH = """
set -eu
while ! ip link set eth0 up 2>/dev/null; do sleep 0.02; done
ip link set lo up
ip address add "$(cat "$FOLDER/$HOST.address")/24" dev eth0
mount --bind "$FOLDER/$HOST" "$FOLDER/host"
mount --bind "$FOLDER/passwd" /etc/passwd
mount -t tmpfs tmpfs /run
mkdir /run/sshd
exec "$SSHD" -D -e -f "$FOLDER/sshd_config" 2>"$FOLDER/$HOST.log"
"""
"""A host: its interface, its folder, its sshd."""


class Fleet:
    """Hosts named as the keys of `folders`; each sees its folder as `folder`/host."""

    def __init__(self, folder: Path, folders: Mapping[str, Path]) -> None:
        need(os.geteuid() == 0, "root")
        for program in PROGRAMS:
            need(shutil.which(program, path=_PATH), f"{program} (tests/install-packages)")
        self.folder, self.place = folder, folder / "host"
        self._addresses = {name: f"10.77.{number}.2" for number, name in enumerate(folders, 1)}
        self.place.mkdir(parents=True)
        for name, own in folders.items():
            (folder / name).symlink_to(own)
            (folder / f"{name}.address").write_text(self._addresses[name])
        for key in ("host_key", "user_key"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / key], check=True)
        (folder / "passwd").write_text(
            f"root:x:0:0::{self.place}:/bin/sh\nsshd:x:1:65534::/run/sshd:/bin/false\nnobody:x:65534:65534::/:/bin/false\n"
        )
        # StrictModes: a temporary folder lies in one that everybody can write to
        (folder / "sshd_config").write_text(
            f"HostKey {folder}/host_key\nAuthorizedKeysFile {folder}/user_key.pub\nAuthenticationMethods publickey\n"
            f"UsePAM no\nUseDNS no\nStrictModes no\nPidFile none\nSetEnv PATH={self.place}/bin:{_PATH}\n"
        )
        key = (folder / "host_key.pub").read_text()
        (folder / "known_hosts").write_text("".join(f"{address} {key}" for address in self._addresses.values()))

    def __enter__(self) -> Fleet:
        environment = {
            "PATH": _PATH, "FOLDER": str(self.folder), "HOSTS": " ".join(self._addresses), "EACH": _EACH,
            "SSHD": shutil.which("sshd", path=_PATH) or "",
        }  # fmt: skip
        namespaces = ["--net", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child"]
        self._unshare = subprocess.Popen(
            ["unshare", *namespaces, "--mount-proc", "sh", "-c", _ALL],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, text=True, start_new_session=True,
        )  # fmt: skip
        try:
            assert self._unshare.stdout and self._unshare.stdout.readline() == "ready\n"
            task = Path(f"/proc/{self._unshare.pid}/task/{self._unshare.pid}")
            (self._first,) = (task / "children").read_text().split()
            deadline = time.monotonic() + 30
            while any(self._is_silent(name) for name in self._addresses):
                assert time.monotonic() < deadline and self._unshare.poll() is None, self.logs()
                time.sleep(0.05)
        except BaseException:
            self.close()
            raise
        return self

    def _is_silent(self, name: str) -> bool:
        log = self.folder / f"{name}.log"
        return not log.exists() or "listening on 0.0.0.0" not in log.read_text()

    def logs(self) -> str:
        """What the servers said."""
        return "".join(path.read_text() for path in sorted(self.folder.glob("*.log")))

    def command(self, words: Sequence[str]) -> list[str]:
        """The words that run a program where the hosts can be reached."""
        return ["nsenter", "-t", self._first, "--net", "--mount", "--pid", "--wd=.", "--", *words]

    def variables(self, name: str) -> str:
        """What the inventory says of a host; one that there is not refuses connections."""
        options = f"-F none -o UserKnownHostsFile={self.folder}/known_hosts -o IdentitiesOnly=yes -o ConnectTimeout=5"
        common = f'{name} ansible_user=root ansible_ssh_common_args="{options}"'
        if name in self._addresses:
            return f"{common} ansible_host={self._addresses[name]}"
        # Pipelined, Ansible may meet the closed pipe of an ssh that ends before it reads what that ssh said.
        return f"{common} ansible_host=10.77.1.2 ansible_port=9 ansible_pipelining=false"

    def close(self) -> None:
        """End every process of all hosts: when the first one has ended, so have all the others."""
        try:
            self._unshare.communicate(timeout=20)  # which closes the input of the first
        except subprocess.TimeoutExpired:
            self._unshare.kill()
            self._unshare.communicate()

    def __exit__(self, *_details: object) -> None:
        self.close()
