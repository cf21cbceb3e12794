// SPDX-License-Identifier: LGPL-2.1-or-later
/* Its init and exit functions take their time, not to be interrupted. */
#include <linux/delay.h>
#include <linux/module.h>

static unsigned int init_ms = 500;
module_param(init_ms, uint, 0644);
MODULE_PARM_DESC(init_ms, "duration of loading in milliseconds");

static unsigned int exit_ms;
module_param(exit_ms, uint, 0644);
MODULE_PARM_DESC(exit_ms, "duration of unloading in milliseconds");

static int __init pmt_slow_init(void)
{
	msleep(init_ms);
	return 0;
}

static void __exit pmt_slow_exit(void)
{
	msleep(exit_ms);
}

module_init(pmt_slow_init);
module_exit(pmt_slow_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("pymodutils test: slow init");
