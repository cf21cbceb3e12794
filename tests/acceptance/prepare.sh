# SPDX-License-Identifier: LGPL-2.1-or-later
# Run in the new system, by a chroot: put our package in place of kmod and have Debian build its initramfs.
# The host has put our package and this folder's other files into /opt/acceptance.
here=/opt/acceptance
release=$(ls /lib/modules)

# Without triggers, so that the initramfs is built once, below, when no program of kmod's is left.
dpkg --no-triggers --install $here/*.deb
dpkg --no-triggers --purge kmod
test -z "$(find /bin/ /sbin/ -name '*mod*.distrib*')"

# Before udev starts in the initramfs, so that it is our modprobe that finds the disk.
install -m 755 $here/init-top /etc/initramfs-tools/scripts/init-top/acceptance
rm /lib/modules/*/modules.dep /lib/modules/*/modules.*.bin
depmod -a "$release"
dpkg --triggers-only --pending
test -z "$(dpkg --audit)"

mkdir -p /usr/src/pmt_dkms-1.0
cp $here/module/* /usr/src/pmt_dkms-1.0
install -m 644 $here/acceptance.service /etc/systemd/system
ln -s /etc/systemd/system/acceptance.service /etc/systemd/system/multi-user.target.wants/
echo '/dev/vda / ext4 defaults 0 0' >/etc/fstab
echo acceptance >/etc/hostname
: >/etc/machine-id

# Kept of the packages' files: those that the checks install.
find /var/cache/apt/archives -name '*.deb' ! -name 'kmod_*' ! -name 'linux-image-[0-9]*' -delete
rm -rf /var/lib/apt/lists/*
