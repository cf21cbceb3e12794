# SPDX-License-Identifier: LGPL-2.1-or-later
# Run in the booted system: the checks, in order. The second serial port gets, for each, its output, then a line
# `=== NAME ok|FAILED SECONDS`. What Debian's own programs report is believed; nothing here asks our package about itself.
exec >/dev/ttyS1 2>&1 </dev/null
export PATH=/usr/sbin:/usr/bin LC_ALL=C DEBIAN_FRONTEND=noninteractive HOME=/root
release=$(uname -r)
private=/usr/lib/pymodutils/bin/kmod

fails() { # COMMAND...; with `!` before a command, `set -e` would let a success pass
	if "$@"; then return 1; fi
}

check_no_kmod_but_ours() {
	test "$(dpkg-query -W -f '${db:Status-Abbrev}' kmod 2>/dev/null | cut -c2)" != i
	for name in /bin/kmod /bin/lsmod /sbin/depmod /sbin/insmod /sbin/lsmod /sbin/modinfo /sbin/modprobe /sbin/rmmod; do
		test "$(readlink -f $name)" = $private
	done
	test -z "$(dpkg --audit)"
}

check_disk_found_by_our_modprobe() {
	cat /run/initramfs/acceptance
	grep -qx "program: $private" /run/initramfs/acceptance
	grep -Fqx 'disk before: /sys/block/*' /run/initramfs/acceptance
	grep -q '^insmod /lib/modules/.*/virtio_blk.ko' /run/initramfs/acceptance
	grep -qx 'status: 0' /run/initramfs/acceptance
	sed -n '/^disk after/,$p' /run/initramfs/acceptance | grep -w vda
	test "$(findmnt -n -o SOURCE,FSTYPE / | tr -s ' ')" = '/dev/vda ext4'
	grep '^ext4 ' /proc/modules
}

check_multi_user() {
	while [ "$(systemctl is-system-running)" = starting ]; do sleep 1; done
	systemctl is-active multi-user.target
	systemctl is-system-running
}

check_no_unit_failed() {
	systemctl --failed --no-legend --plain
	test -z "$(systemctl --failed --no-legend --plain)"
}

check_kmod_static_nodes() {
	systemctl show kmod-static-nodes.service
	test "$(systemctl show kmod-static-nodes.service -P ConditionResult)" = yes
	test "$(systemctl show kmod-static-nodes.service -P Result)" = success
	systemctl is-active kmod-static-nodes.service
	grep -qx 'c! /dev/cuse 0600 - - - 10:203' /run/tmpfiles.d/static-nodes.conf
	test -c /dev/cuse
	test -d /dev/snd
}

check_modprobe_service() {
	fails grep '^dummy ' /proc/modules
	systemctl start modprobe@dummy.service
	grep '^dummy ' /proc/modules
}

drivers() { # of the network interfaces
	for device in /sys/class/net/*/device/driver; do [ -e "$device" ] && basename "$(readlink "$device")"; done
}

check_network_module() {
	udevadm settle
	grep '^virtio_net ' /proc/modules
	test "$(drivers)" = virtio_net
	modprobe -r virtio_net
	test -z "$(drivers)"
	modprobe -v virtio_net
	udevadm settle
	test "$(drivers)" = virtio_net
}

check_kernel_asks_modprobe() { # by a mount of a file system that it does not know yet
	fails grep '^squashfs ' /proc/modules
	fails mount -t squashfs /dev/null /mnt
	grep '^squashfs ' /proc/modules
}

check_dkms() {
	dkms add -m pmt_dkms -v 1.0
	dkms build -m pmt_dkms -v 1.0
	dkms install -m pmt_dkms -v 1.0
	dkms status | tee /dev/stderr | grep -q '^pmt_dkms/1.0.*: installed'
	modinfo -F filename pmt_dkms | tee /dev/stderr | grep -q "/updates/dkms/pmt_dkms.ko"
	modprobe pmt_dkms answer=43
	test "$(cat /sys/module/pmt_dkms/parameters/answer)" = 43
	rmmod pmt_dkms
	fails grep '^pmt_dkms ' /proc/modules
}

check_kernel_reinstall() {
	# Of this machine's modules alone, or else building it takes many minutes; the one booted from has them all.
	echo MODULES=dep >/etc/initramfs-tools/conf.d/acceptance
	cp "/lib/modules/$release/modules.dep" /tmp
	rm "/lib/modules/$release/modules.dep" "/lib/modules/$release/modules.dep.bin" "/boot/initrd.img-$release"
	dpkg --install /var/cache/apt/archives/linux-image-"${release}"_*.deb
	cmp "/lib/modules/$release/modules.dep" /tmp/modules.dep
	test -s "/lib/modules/$release/modules.dep.bin"
	lsinitramfs "/boot/initrd.img-$release" >/tmp/image
	grep -q "lib/modules/$release/kernel/drivers/block/virtio_blk.ko" /tmp/image
	grep -q "${private#/}" /tmp/image
}

check_removal_restores_kmod() {
	dpkg --no-triggers --install /var/cache/apt/archives/kmod_*.deb
	test "$(readlink -f /sbin/modprobe)" = $private
	dpkg --no-triggers --purge pymodutils
	for name in /bin/lsmod /sbin/depmod /sbin/insmod /sbin/lsmod /sbin/modinfo /sbin/modprobe /sbin/rmmod; do
		test "$(readlink -f $name)" = /usr/bin/kmod
	done
	test -z "$(dpkg --verify kmod; dpkg-divert --list '*mod*')"
	head -c4 /bin/kmod | grep ELF
	modprobe -V
	modprobe -r virtio_net
	modprobe virtio_net
	test ! -e /usr/lib/pymodutils
}

for name in no_kmod_but_ours disk_found_by_our_modprobe multi_user no_unit_failed kmod_static_nodes modprobe_service \
	network_module kernel_asks_modprobe dkms kernel_reinstall removal_restores_kmod; do
	start=$(date +%s)
	(set -ex; check_$name)
	status=$?
	word=FAILED
	[ $status = 0 ] && word=ok
	echo "=== $name $word $(($(date +%s) - start))"
done
echo "=== end"
sync
sleep 1
