// SPDX-License-Identifier: LGPL-2.1-or-later
/* Needs symbols that nothing exports. */
#include <linux/module.h>

extern int pmt_nowhere(void);
extern int pmt_nowhere_else(void);

static int __init pmt_missing_init(void)
{
	return pmt_nowhere() + pmt_nowhere_else();
}

static void __exit pmt_missing_exit(void)
{
}

module_init(pmt_missing_init);
module_exit(pmt_missing_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("pymodutils test: missing symbols");
