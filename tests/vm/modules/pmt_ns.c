// SPDX-License-Identifier: LGPL-2.1-or-later
/* Exports a symbol in a namespace, which pmt_nsuser imports. */
#include <linux/module.h>

int pmt_ns_value(void);

int pmt_ns_value(void)
{
	return 3;
}
EXPORT_SYMBOL_NS_GPL(pmt_ns_value, PMT);

static int __init pmt_ns_init(void)
{
	return 0;
}

static void __exit pmt_ns_exit(void)
{
}

module_init(pmt_ns_init);
module_exit(pmt_ns_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("pymodutils test: a namespace");
