// SPDX-License-Identifier: LGPL-2.1-or-later
/* Leaves a thread behind that comes back to code which was unloaded meanwhile. */
#include <linux/delay.h>
#include <linux/err.h>
#include <linux/kthread.h>
#include <linux/module.h>

static int sleep(void *unused)
{
	msleep(2000);
	return 0;
}

static int __init pmt_gone_init(void)
{
	return PTR_ERR_OR_ZERO(kthread_run(sleep, NULL, "pmt_gone"));
}

static void __exit pmt_gone_exit(void)
{
}

module_init(pmt_gone_init);
module_exit(pmt_gone_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("pymodutils test: is unloaded while its code is in use");
