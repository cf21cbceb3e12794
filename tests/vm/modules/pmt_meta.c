// SPDX-License-Identifier: LGPL-2.1-or-later
/* Whatever .modinfo can hold. */
#include <linux/module.h>
#include <linux/pci.h>

static const struct pci_device_id ids[] = {
	{ PCI_DEVICE(0xfffe, 0x0001) },
	{ PCI_DEVICE_CLASS(0xfefe00, 0xffff00) },
	{}
};
MODULE_DEVICE_TABLE(pci, ids);

static int __init pmt_meta_init(void)
{
	return 0;
}

static void __exit pmt_meta_exit(void)
{
}

module_init(pmt_meta_init);
module_exit(pmt_meta_exit);
MODULE_LICENSE("Dual MIT/GPL");
MODULE_AUTHOR("First Author <first@localhost>");
MODULE_AUTHOR("Zweite Verfasserin <zweite@localhost>");
MODULE_DESCRIPTION("pymodutils test: metadata\nwith a second line");
MODULE_VERSION("1.2-test");
MODULE_ALIAS("pmt-alias");
MODULE_ALIAS("pmt-pattern-*-[0-9]?");
MODULE_ALIAS_CHARDEV(240, 7);
MODULE_SOFTDEP("pre: pmt_a post: pmt-dash");
MODULE_INFO(weakdep, "pmt_noexit");
MODULE_FIRMWARE("pmt/first.bin");
MODULE_FIRMWARE("pmt/second file.bin");
MODULE_INFO(empty, "");
MODULE_INFO(equals, "a=b=c");
MODULE_INFO(a_key_longer_than_fifteen, "its value");
MODULE_INFO(exactly_15_char, "value");
