# SPDX-License-Identifier: LGPL-2.1-or-later
include $(sort $(wildcard $(BR2_EXTERNAL_PYMODUTILS_PATH)/package/*/*.mk))
