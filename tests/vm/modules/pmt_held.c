// SPDX-License-Identifier: LGPL-2.1-or-later
/* A process that has /dev/pmt_held open holds a reference. With pinned=1 it holds one itself: not to be removed but by force. */
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>

static const struct file_operations operations = { .owner = THIS_MODULE };
static struct miscdevice device = { .minor = MISC_DYNAMIC_MINOR, .name = "pmt_held", .fops = &operations };

static bool pinned;
module_param(pinned, bool, 0444);
MODULE_PARM_DESC(pinned, "hold a reference that nobody ever drops");

static int __init pmt_held_init(void)
{
	if (pinned)
		__module_get(THIS_MODULE);
	return misc_register(&device);
}

static void __exit pmt_held_exit(void)
{
	misc_deregister(&device);
}

module_init(pmt_held_init);
module_exit(pmt_held_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("pymodutils test: held reference");
