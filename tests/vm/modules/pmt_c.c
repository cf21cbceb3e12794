// SPDX-License-Identifier: LGPL-2.1-or-later
/* pmt_c uses pmt_b, pmt_b uses pmt_a. */
#include <linux/module.h>

int pmt_b_value(void);

static int __init pmt_c_init(void)
{
	return pmt_b_value() == 0 ? -EINVAL : 0;
}

static void __exit pmt_c_exit(void)
{
}

module_init(pmt_c_init);
module_exit(pmt_c_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("pymodutils test: top of three");
