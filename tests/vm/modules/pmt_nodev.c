// SPDX-License-Identifier: LGPL-2.1-or-later
/* A driver for a device that no machine has: its init function gives up. */
#include <linux/module.h>
#include <linux/pci.h>

static const struct pci_device_id ids[] = {
	{ PCI_DEVICE(0xfffe, 0x0002) },
	{}
};
MODULE_DEVICE_TABLE(pci, ids);

static int __init pmt_nodev_init(void)
{
	pr_info("pmt_nodev: nothing here\n");
	return -ENODEV;
}

static void __exit pmt_nodev_exit(void)
{
}

module_init(pmt_nodev_init);
module_exit(pmt_nodev_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("pymodutils test: no device");
