SUMMARY = "Linux kernel module commands in Python, in place of kmod"
DESCRIPTION = "lsmod, insmod, rmmod, modinfo, modprobe, depmod and kmod with kmod's options, output and files, JSON \
output, and a Python library."
HOMEPAGE = "https://git.kernel.org/pub/scm/utils/kernel/kmod/kmod.git"
SECTION = "base"
LICENSE = "LGPL-2.1-or-later"
LIC_FILES_CHKSUM = "file://LICENSE;md5=4fbd65380cdd255951079008b364516c"

# It has no home yet: `make wheel` writes the archive; put it into a directory files/ next to this recipe.
SRC_URI = "file://${BP}.tar.gz"

inherit allarch python3native update-alternatives

do_configure[noexec] = "1"
do_compile[noexec] = "1"

# The native Python has the target's version. Names that kmod and busybox have, too, are made by update-alternatives.
do_install() {
    oe_runmake install DESTDIR=${D} PREFIX=${prefix} SYSCONFDIR=${sysconfdir} PYTHON=${bindir}/python3 \
        BUILD_PYTHON=${PYTHON}
    rm -r ${D}${bindir} ${D}${sbindir}
}

PACKAGES =+ "${PN}-initramfs-tools ${PN}-dracut ${PN}-bash-completion ${PN}-zsh-completion ${PN}-fish-completion"
FILES:${PN} += "${prefix}/lib/pymodutils ${prefix}/lib/modprobe.d"
FILES:${PN}-initramfs-tools = "${datadir}/initramfs-tools"
FILES:${PN}-dracut = "${prefix}/lib/dracut"
FILES:${PN}-bash-completion = "${datadir}/bash-completion ${sysconfdir}/bash_completion.d"
FILES:${PN}-zsh-completion = "${datadir}/zsh"
FILES:${PN}-fish-completion = "${datadir}/fish"

# What initramfs/copy-python finds in use, by the packages that the library is split into.
RDEPENDS:${PN} = "python3-compression python3-core python3-ctypes python3-difflib python3-io python3-json python3-shell"
RRECOMMENDS:${PN} = "python3-asn1crypto"

ALTERNATIVE_PRIORITY = "90"
ALTERNATIVE:${PN} = "depmod insmod kmod lsmod modinfo modprobe rmmod"
ALTERNATIVE_LINK_NAME[depmod] = "${base_sbindir}/depmod"
ALTERNATIVE_LINK_NAME[insmod] = "${base_sbindir}/insmod"
ALTERNATIVE_LINK_NAME[kmod] = "${base_bindir}/kmod"
ALTERNATIVE_LINK_NAME[lsmod] = "${base_sbindir}/lsmod"
ALTERNATIVE_LINK_NAME[modinfo] = "${base_sbindir}/modinfo"
ALTERNATIVE_LINK_NAME[modprobe] = "${base_sbindir}/modprobe"
ALTERNATIVE_LINK_NAME[rmmod] = "${base_sbindir}/rmmod"
ALTERNATIVE_TARGET = "${prefix}/lib/pymodutils/bin/kmod"
