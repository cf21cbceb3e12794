// SPDX-License-Identifier: LGPL-2.1-or-later
/* Its init function returns -error. */
#include <linux/module.h>

static int error;
module_param(error, int, 0444);
MODULE_PARM_DESC(error, "errno that loading fails with, 0 for success");

static int __init pmt_fail_init(void)
{
	return -error;
}

static void __exit pmt_fail_exit(void)
{
}

module_init(pmt_fail_init);
module_exit(pmt_fail_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("pymodutils test: failing init");
