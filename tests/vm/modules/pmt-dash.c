// SPDX-License-Identifier: LGPL-2.1-or-later
/* A dash in the file's name, an underscore in the module's. */
#include <linux/module.h>

static int __init pmt_dash_init(void)
{
	return 0;
}

static void __exit pmt_dash_exit(void)
{
}

module_init(pmt_dash_init);
module_exit(pmt_dash_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("pymodutils test: dash in the name");
