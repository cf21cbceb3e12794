// SPDX-License-Identifier: LGPL-2.1-or-later
/* It has no exit function: the kernel unloads it only by force. */
#include <linux/module.h>

static int __init pmt_noexit_init(void)
{
	return 0;
}

module_init(pmt_noexit_init);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("pymodutils test: no exit function");
