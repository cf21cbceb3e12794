// SPDX-License-Identifier: LGPL-2.1-or-later
/* Whoever has /dev/pmt_held open holds a reference. */
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>

static const struct file_operations operations = { .owner = THIS_MODULE };
static struct miscdevice device = { .minor = MISC_DYNAMIC_MINOR, .name = "pmt_held", .fops = &operations };

module_misc_device(device);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("pymodutils test: held reference");
