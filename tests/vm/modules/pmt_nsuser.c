// SPDX-License-Identifier: LGPL-2.1-or-later
/* Imports a namespace of symbols. */
#include <linux/module.h>

int pmt_ns_value(void);

static int __init pmt_nsuser_init(void)
{
	return pmt_ns_value() == 0 ? -EINVAL : 0;
}

static void __exit pmt_nsuser_exit(void)
{
}

module_init(pmt_nsuser_init);
module_exit(pmt_nsuser_exit);
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS(PMT);
MODULE_DESCRIPTION("pymodutils test: imports a namespace");
