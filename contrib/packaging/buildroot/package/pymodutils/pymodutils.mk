# SPDX-License-Identifier: LGPL-2.1-or-later
################################################################################
#
# pymodutils
#
################################################################################

PYMODUTILS_VERSION = 0.1.0
# it has no home yet: `make wheel` writes the archive
PYMODUTILS_SITE = $(BR2_EXTERNAL_PYMODUTILS_PATH)/../../../dist
PYMODUTILS_SITE_METHOD = file
PYMODUTILS_LICENSE = LGPL-2.1+
PYMODUTILS_LICENSE_FILES = LICENSE
PYMODUTILS_DEPENDENCIES = host-python3 python3

# The host's Python has the target's version.
PYMODUTILS_OPTS = \
	PREFIX=/usr \
	PYTHON=/usr/bin/python3 \
	BUILD_PYTHON=$(HOST_DIR)/bin/python3

define PYMODUTILS_INSTALL_TARGET_CMDS
	$(TARGET_MAKE_ENV) $(MAKE) -C $(@D) $(PYMODUTILS_OPTS) \
		DESTDIR=$(TARGET_DIR) install
endef

# Busybox puts its own into /sbin, unless something is there.
ifeq ($(BR2_ROOTFS_MERGED_USR),)
define PYMODUTILS_LINK_SBIN
	mkdir -p $(TARGET_DIR)/sbin
	for name in depmod insmod lsmod modinfo modprobe rmmod; do \
		ln -sf ../usr/bin/kmod $(TARGET_DIR)/sbin/$$name || exit 1; \
	done
endef
PYMODUTILS_POST_INSTALL_TARGET_HOOKS += PYMODUTILS_LINK_SBIN
endif

$(eval $(generic-package))
