// SPDX-License-Identifier: LGPL-2.1-or-later
/* Uses a GPL-only symbol. ownmodules.py changes its license in the built file, since modpost refuses to build it so. */
#include <linux/module.h>
#include <linux/ktime.h>
#include <linux/hrtimer.h>

static int __init pmt_closed_init(void)
{
	return ktime_get() < 0; /* EXPORT_SYMBOL_GPL */
}

static void __exit pmt_closed_exit(void)
{
}

module_init(pmt_closed_init);
module_exit(pmt_closed_exit);
MODULE_LICENSE("GPL v2");
MODULE_DESCRIPTION("pymodutils test: GPL-only symbol without the license");
