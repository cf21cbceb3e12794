# SPDX-License-Identifier: LGPL-2.1-or-later
"""The programs that call module commands, one test each: the call as they make it, the output read as they read it.

Each call is also made with kmod 30's commands, and must print the same and tell the kernel the same.
"""

from __future__ import annotations

import re

import pytest

from tests.clients.conftest import LOADED, RELEASE, Both, Client

pytestmark = pytest.mark.xdist_group("clients")

TREE = f"/lib/modules/{RELEASE}/kernel"


def kernel_log(both: Both, script: str) -> list[str]:
    """What the pretended kernel was told, after output that must be empty."""
    output, _, log = both(f"{script}\necho '--- kernel'; cat /tmp/kernel.log 2>/dev/null").partition("--- kernel\n")
    assert output == ""
    return log.splitlines()


# --- who builds an initramfs


def test_initramfs_tools_takes_paths_after_the_word_insmod(both: Both) -> None:
    output = both(r"""
        { /sbin/modprobe --all --set-version="$K" --ignore-install --quiet --show-depends btrfs no-such ext4 zswap
          modprobe --all --set-version="$K" --ignore-install --quiet --show-depends btrfs no-such ext4 zswap
        } | while read -r prefix kmod options; do
            [ "$prefix" = insmod ] && echo "$kmod"
        done""")
    paths = output.splitlines()
    assert f"{TREE}/fs/btrfs/btrfs.ko" in paths and f"{TREE}/fs/ext4/ext4.ko" in paths
    assert all(path.startswith(TREE) and path.endswith(".ko") for path in paths)


def test_initramfs_tools_reads_firmware_names(both: Both) -> None:
    output = both(f'for name in $(modinfo -k "$K" -F firmware {TREE}/drivers/net/ethernet/broadcom/tg3.ko); do '
                  "echo /lib/firmware/$name; done; modinfo -k $K -F firmware loop")  # fmt: skip
    assert "/lib/firmware/tigon/tg3.bin\n" in output


def test_initramfs_tools_indexes_the_modules_of_the_image(both: Both) -> None:
    output = both(f"""
        rm -rf /tmp/image; mkdir -p /tmp/image{TREE}
        cp -r --parents {TREE}/fs/btrfs {TREE}/lib {TREE}/crypto /tmp/image
        cp {TREE}/../modules.order {TREE}/../modules.builtin* /tmp/image{TREE}/..
        depmod -a -b /tmp/image $K
        sort /tmp/image{TREE}/../modules.dep
        modprobe -d /tmp/image -S $K -D btrfs | sort""")
    assert f"insmod /tmp/image{TREE}/fs/btrfs/btrfs.ko \n" in output


def test_dracut_asks_whether_a_module_can_be_found(both: Both) -> None:
    output = both("""
        for module in ext4 no-such zswap; do
            modprobe -d "$BASE" -S "$K" --dry-run "$module" >/dev/null 2>&1 && echo "$module: yes" || echo "$module: no"
        done""")
    assert output == "ext4: yes\nno-such: no\nzswap: yes\n"


def test_dracut_goes_on_past_devices_without_a_driver(both: Both) -> None:
    output = both("""
        printf '%s\\n' pci:v00001AF4d00001001sv0sd0bc0sc0i0 pci:v0000FFFFd0000FFFF no:such |
            xargs modinfo -k "$K" -F filename 2>/dev/null""")
    assert output == f"{TREE}/drivers/virtio/virtio_pci.ko\n"


def test_dracut_strips_the_start_of_modprobes_complaint(both: Both) -> None:
    output = both("""modprobe -S "$K" --show-depends no-such 2>&1 | sed -e 's/^modprobe: FATAL: //'""")
    assert output == f"Module no-such not found in directory /lib/modules/{RELEASE}\n"


def test_mkosi_asks_for_thousands_of_modules_at_once(client: Client) -> None:
    """It looks into the help for --modname, which kmod 30 has; then reads NUL-separated pairs."""
    script = """
        modinfo --help | grep -q -- --modname && echo offered
        sed 's,.*/,,; s,\\.ko.*,,' $BASE/lib/modules/$K/modules.order >/tmp/names
        xargs -n 8500 modinfo --set-version "$K" --null --basedir "$BASE" --modname </tmp/names >/tmp/pairs &&
            echo status=0
        tr '\\0' '\\n' </tmp/pairs | grep -E '^(filename|name|depends|softdep|firmware)[:=]'"""
    output = client.both(script)
    assert output.startswith("offered\nstatus=0\n")
    pairs = [line.partition("=")[::2] for line in output.splitlines()]
    assert ("softdep", "pre: crc32c") in pairs and ("firmware", "tigon/tg3.bin") in pairs
    assert ("depends", "zstd_compress,raid6_pq,xor,libcrc32c") in pairs
    assert sum(key == "name" for key, _ in pairs) > 4000


def test_virtme_ng_finds_paths_by_a_regular_expression(both: Both) -> None:
    output = both('modprobe --show-depends -C /var/empty -d "$BASE" -S "$K" -- virtio_blk')
    found = [re.match(r"insmod (.*[^ ]) *$", line) for line in output.splitlines()]
    assert found and all(found)
    assert found[-1] and found[-1][1] == f"/mnt/base{TREE}/drivers/block/virtio_blk.ko"


# --- who builds kernels and modules


def test_kernel_build_tries_depmod_on_an_empty_tree(both: Both) -> None:
    output = both("""
        rm -rf /tmp/empty; mkdir -p /tmp/empty/lib/modules/$K
        depmod -b /tmp/empty $K && echo status 0
        cd /tmp/empty/lib/modules/$K
        test -e modules.dep -o -e modules.dep.bin && echo written""")
    assert output.endswith("status 0\nwritten\n")


def test_kernel_build_checks_symbols(both: Both) -> None:
    output = both(f"""
        rm -rf /tmp/built; mkdir -p /tmp/built{TREE}
        cp -r --parents {TREE}/fs/btrfs {TREE}/lib {TREE}/crypto /tmp/built
        cp {TREE}/../modules.order {TREE}/../modules.builtin* /tmp/built{TREE}/..
        # All that these modules need, but for three symbols.
        for module in $(find /tmp/built -name '*.ko'); do modprobe --show-modversions $module; done |
            cut -f2 | sort -u | grep -vx -e kfree -e memcpy -e __fentry__ | sed 's,^,0 T __ksymtab_,' >/tmp/System.map
        depmod -ae -F /tmp/System.map -b /tmp/built $K 2>&1 | grep -c 'needs unknown symbol'
        sort /tmp/built{TREE}/../modules.dep""")
    assert int(output.partition("\n")[0]) > 100


def test_dkms_reads_the_fields_of_modinfo(both: Both) -> None:
    output = both(f"""
        modinfo {TREE}/drivers/net/ethernet/intel/igb/igb.ko | while read -r key value; do
            case "$key" in version:|srcversion:|checksum:|depends:) echo "$key$value" ;; esac
        done
        depmod -V | head -n1 | cut -d' ' -f1,2""")
    assert re.match(r"(srcversion|depends):", output)


def test_dkms_loads_for_all_devices(both: Both) -> None:
    log = kernel_log(both, "echo pci:v00001AF4d00001001sv0sd0bc0sc0i0 no:such | xargs modprobe -a -b -q || true")
    assert log[-1] == f"insert /usr{TREE}/drivers/virtio/virtio_pci.ko "
    assert len(log) > 3


# --- who loads


def test_kernel_asks_with_nothing_but_a_name(client: Client) -> None:
    """As call_modprobe() in the kernel does: a bare environment, and standard streams that may be closed."""
    call = "env -i LD_PRELOAD=$LD_PRELOAD HOME=/ TERM=linux PATH=/sbin:/usr/sbin:/bin:/usr/bin"

    def script(program: str) -> str:
        return f"""
            {call} {program} -q -- fs-squashfs; echo $?
            {call} {program} -q -- fs-squashfs <&- >&- 2>&-; echo $?
            {call} {program} -q -- net-pf-99; echo $?
            {call} {program} -q -- zswap; echo $?
            cat /tmp/kernel.log"""

    ours = client.run("ours", script("/sbin/modprobe"))
    assert ours == client.run("kmod", script("/opt/kmod/modprobe"))
    inserted = f"insert /usr{TREE}/fs/squashfs/squashfs.ko \n"
    assert ours == f"0\n0\n1\n0\n{inserted}{inserted}"


def test_systemd_modprobe_service(both: Both) -> None:
    assert kernel_log(both, "modprobe -abq dummy; modprobe -abq no-such") == [
        f"insert /usr{TREE}/drivers/net/dummy.ko "
    ]


def test_systemd_takes_static_nodes_as_tmpfiles_lines(both: Both) -> None:
    for place in ("/proc/self/fd/1", "/dev/stdout", "/tmp/nodes/static.conf"):
        output = both(f"kmod static-nodes --format=tmpfiles --output={place}; cat /tmp/nodes/static.conf 2>/dev/null")
        lines = [line.split() for line in output.splitlines()]
        assert ["c!", "/dev/fuse", "0600", "-", "-", "-", "10:229"] in lines
        assert ["d", "/dev/net", "0755", "-", "-", "-"] in lines
        for kind, path, _mode, *_owner, last in lines:
            assert kind in ("c!", "b!", "d") and path.startswith("/dev/")
            assert last == "-" if kind == "d" else re.fullmatch(r"\d+:\d+", last)


def test_iptables_puts_the_option_after_the_name(both: Both) -> None:
    log = kernel_log(both, "modprobe ip_tables -q; modprobe no_such -q || true")
    assert log[-1] == f"insert /usr{TREE}/net/ipv4/netfilter/ip_tables.ko "


def test_docker_shows_what_it_loads(both: Both) -> None:
    output = both("modprobe -va bridge br_netfilter; cat /tmp/kernel.log")
    shown = re.findall(r"(?m)^insmod (\S+) $", output)
    assert [f"/usr{path}" for path in shown] == re.findall(r"(?m)^insert (\S+) $", output)
    assert f"{TREE}/net/bridge/br_netfilter.ko" in shown


def test_docker_goes_on_past_an_unknown_module(both: Both) -> None:
    output = both("modprobe -va no_such bridge 2>&1; echo status $?")
    assert output.startswith("modprobe: WARNING: Module no_such not found in directory /lib/modules/")
    assert f"insmod {TREE}/net/bridge/bridge.ko \n" in output
    assert output.endswith("status 1\n")


def test_keepalived_lets_modprobe_speak_to_syslog(both: Both) -> None:
    log = kernel_log(both, "modprobe -s -- ip_vs; modprobe -s -- no_such || true")
    assert log[-1] == f"insert /usr{TREE}/net/netfilter/ipvs/ip_vs.ko "


# --- who asks what is loaded or configured


def test_libvirt_looks_for_the_blacklist(both: Both) -> None:
    output = both("""
        mkdir -p /etc/modprobe.d; echo 'blacklist nvme-core' >/etc/modprobe.d/local.conf
        modprobe -c; rm /etc/modprobe.d/local.conf""")
    assert "blacklist nvme_core\n" in output
    assert "blacklist nvme\n" not in output


def columns(output: str) -> list[tuple[str, int, int, list[str]]]:
    """Lines of lsmod as its readers cut them."""
    rows = [line.split() for line in output.splitlines()]
    return [(row[0], int(row[1]), int(row[2]), row[3].split(",") if len(row) > 3 else []) for row in rows]


def test_rkhunter_kdump_tools_and_sos_read_lsmods_columns(both: Both) -> None:
    output = both("lsmod | grep -v 'Size *Used *by'")
    rows = columns(output)
    assert [row[:3] for row in rows] == [(name, size, count) for name, size, count, _ in LOADED]
    assert sorted(rows[0][3]) == ["btrfs", "xfs"]
    assert both("lsmod | awk 'NR > 1 { print $1 }'").split() == [name for name, *_ in LOADED]


@pytest.mark.parametrize("command", ["install usb-storage /bin/true", "install usb-storage /bin/false"])
def test_audits_look_for_an_install_line(both: Both, command: str) -> None:
    """CIS, lynis: the exact text, with the space at its end."""
    output = both(f"""
        mkdir -p /etc/modprobe.d; echo '{command}' >/etc/modprobe.d/local.conf
        modprobe -n -v usb-storage | grep -v ^insmod; rm /etc/modprobe.d/local.conf""")
    assert output == f"install {command.split()[2]} \n"


def test_sensors_detect_tries_a_module(both: Both) -> None:
    output = both("""
        for module in loop xfs zswap no-such; do
            modprobe -n -v --first-time $module 2>/dev/null; echo "$module $?"
        done""")
    assert re.findall(r"(?m)^(\S+) (\d)$", output) == [("loop", "0"), ("xfs", "1"), ("zswap", "1"), ("no-such", "1")]
