// SPDX-License-Identifier: LGPL-2.1-or-later
/* pmt_c uses pmt_b, pmt_b uses pmt_a. */
#include <linux/module.h>

int pmt_a_value(void);
int pmt_a_gpl_value(void);
int pmt_b_value(void);

static int level = 2;
module_param(level, int, 0444);
MODULE_PARM_DESC(level, "any number");

int pmt_b_value(void)
{
	return pmt_a_value() + pmt_a_gpl_value();
}
EXPORT_SYMBOL(pmt_b_value);

static int __init pmt_b_init(void)
{
	return 0;
}

static void __exit pmt_b_exit(void)
{
}

module_init(pmt_b_init);
module_exit(pmt_b_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("pymodutils test: middle of three");
