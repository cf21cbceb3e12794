// SPDX-License-Identifier: LGPL-2.1-or-later
/* pmt_c uses pmt_b, pmt_b uses pmt_a. */
#include <linux/module.h>

int pmt_a_value(void);
int pmt_a_gpl_value(void);

int pmt_a_value(void)
{
	return 1;
}
EXPORT_SYMBOL(pmt_a_value);

int pmt_a_gpl_value(void)
{
	return 2;
}
EXPORT_SYMBOL_GPL(pmt_a_gpl_value);

static int __init pmt_a_init(void)
{
	return 0;
}

static void __exit pmt_a_exit(void)
{
}

module_init(pmt_a_init);
module_exit(pmt_a_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("pymodutils test: bottom of three");
MODULE_ALIAS("pmt-bottom");
