// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-License-Identifier: GPL-2.0
/* A module for dkms to build. */
#include <linux/module.h>

static int answer = 42;
module_param(answer, int, 0444);
MODULE_PARM_DESC(answer, "What to answer");
MODULE_DESCRIPTION("Built by dkms with pymodutils in place of kmod");
MODULE_LICENSE("GPL");

static int __init pmt_dkms_init(void)
{
	return 0;
}
module_init(pmt_dkms_init);

static void __exit pmt_dkms_exit(void)
{
}
module_exit(pmt_dkms_exit);
