// SPDX-License-Identifier: LGPL-2.1-or-later
/* Its init and exit functions take their time, or wait until 0 is written to a parameter; nothing interrupts them. */
#include <linux/delay.h>
#include <linux/module.h>

static unsigned int init_ms;
module_param(init_ms, uint, 0644);
MODULE_PARM_DESC(init_ms, "duration of loading in milliseconds");

static unsigned int exit_ms;
module_param(exit_ms, uint, 0644);
MODULE_PARM_DESC(exit_ms, "duration of unloading in milliseconds");

static bool hold_init;
module_param(hold_init, bool, 0644);
MODULE_PARM_DESC(hold_init, "stay in loading until this is 0 again, at most a minute");

static bool hold_exit;
module_param(hold_exit, bool, 0644);
MODULE_PARM_DESC(hold_exit, "stay in unloading until this is 0 again, at most a minute");

static void wait(unsigned int ms, const bool *held)
{
	int round;

	msleep(ms);
	for (round = 0; round < 3000 && READ_ONCE(*held); round++)
		msleep(20);
}

static int __init pmt_slow_init(void)
{
	wait(init_ms, &hold_init);
	return 0;
}

static void __exit pmt_slow_exit(void)
{
	wait(exit_ms, &hold_exit);
}

module_init(pmt_slow_init);
module_exit(pmt_slow_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("pymodutils test: slow init");
