// SPDX-License-Identifier: LGPL-2.1-or-later
/* Fails in the way that is written to /proc/pmt_oops, or given as `how` when it is loaded. No lock is held then. */
#include <linux/bug.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/proc_fs.h>
#include <linux/string.h>
#include <linux/uaccess.h>

static char *how = "";
module_param(how, charp, 0444);

static int __always_inline store(int *place)
{
	WRITE_ONCE(*place, 1); /* here: store */
	return 1;
}

static noinline int fault_null(int *place)
{
	int count = store(place); /* here: null */

	return count + 1;
}

static noinline int fault_inlined(int *place)
{
	int count = 0;
	int number;

	for (number = 0; number < 4; number++)
		count += store(place + number); /* here: inlined */
	return count;
}

static noinline int fault_bug(int value)
{
	BUG_ON(value == 3); /* here: bug */
	return value;
}

static noinline int fault_warn(int value)
{
	WARN_ON(value == 3); /* here: warn */
	return value;
}

static noinline int fault_deep(int depth)
{
	volatile char room[512];

	room[depth % sizeof(room)] = depth;
	return fault_deep(depth + 1) + room[depth % 7]; /* here: deep */
}

static int fail(const char *fault)
{
	if (sysfs_streq(fault, "null"))
		return fault_null(NULL) + 1; /* here: call null */
	if (sysfs_streq(fault, "inlined"))
		return fault_inlined(NULL) + 1; /* here: call inlined */
	if (sysfs_streq(fault, "bug"))
		return fault_bug(3) + 1; /* here: call bug */
	if (sysfs_streq(fault, "warn"))
		return fault_warn(3) + 1; /* here: call warn */
	if (sysfs_streq(fault, "deep"))
		return fault_deep(0) + 1; /* here: call deep */
	return 0;
}

static ssize_t pmt_oops_write(struct file *file, const char __user *text, size_t size, loff_t *position)
{
	char fault[16] = "";

	if (copy_from_user(fault, text, min(size, sizeof(fault) - 1)))
		return -EFAULT;
	return fail(fault) < 0 ? -EINVAL : size; /* here: write */
}

static const struct proc_ops fault_ops = {
	.proc_write = pmt_oops_write,
};

static int __init pmt_oops_init(void)
{
	if (sysfs_streq(how, "init"))
		*(int *)8 = 1; /* here: init */
	return proc_create(KBUILD_MODNAME, 0200, NULL, &fault_ops) ? 0 : -ENOMEM;
}

static void __exit pmt_oops_exit(void)
{
	remove_proc_entry(KBUILD_MODNAME, NULL);
}

module_init(pmt_oops_init);
module_exit(pmt_oops_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("pymodutils test: fails on demand");
