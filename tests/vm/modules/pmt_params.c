// SPDX-License-Identifier: LGPL-2.1-or-later
/* Every type of parameter, each readable in /sys/module/pmt_params/parameters. */
#include <linux/module.h>

static bool flag;
static bool inverted = true;
static int number = 1;
static unsigned int unsigned_number = 2;
static unsigned char byte_number = 3;
static short short_number = -4;
static unsigned short ushort_number = 5;
static long long_number = -6;
static unsigned long ulong_number = 7;
static unsigned long long ullong_number = 8;
static unsigned int hex_number = 0x9;
static char *text = "default";
static char fixed_text[16] = "fixed";
static int list[4] = { 1, 2 };
static unsigned int list_count = 2;
static char *names[3];
static int called;
static int quiet_number;

module_param(flag, bool, 0644);
MODULE_PARM_DESC(flag, "a bool");
module_param(inverted, invbool, 0444);
MODULE_PARM_DESC(inverted, "a bool that is stored the other way round");
module_param(number, int, 0644);
MODULE_PARM_DESC(number, "an int");
module_param_named(unsigned, unsigned_number, uint, 0444);
MODULE_PARM_DESC(unsigned, "an unsigned int under another name");
module_param(byte_number, byte, 0444);
MODULE_PARM_DESC(byte_number, "a byte");
module_param(short_number, short, 0444);
MODULE_PARM_DESC(short_number, "a short");
module_param(ushort_number, ushort, 0444);
MODULE_PARM_DESC(ushort_number, "an unsigned short");
module_param(long_number, long, 0444);
MODULE_PARM_DESC(long_number, "a long");
module_param(ulong_number, ulong, 0444);
MODULE_PARM_DESC(ulong_number, "an unsigned long");
module_param(ullong_number, ullong, 0444);
MODULE_PARM_DESC(ullong_number, "an unsigned long long");
module_param(hex_number, hexint, 0444);
MODULE_PARM_DESC(hex_number, "an int shown in hex");
module_param(text, charp, 0444);
MODULE_PARM_DESC(text, "a text: colons, (brackets) and \"quotes\" in its description");
module_param_string(fixed, fixed_text, sizeof(fixed_text), 0444);
MODULE_PARM_DESC(fixed, "a text of at most 15 characters");
module_param_array(list, int, &list_count, 0444);
MODULE_PARM_DESC(list, "up to four ints");
module_param_array(names, charp, NULL, 0444);
MODULE_PARM_DESC(names, "up to three texts");
module_param(quiet_number, int, 0444); /* without a description */
MODULE_PARM_DESC(described_only, "a description without a parameter");

static int set_called(const char *value, const struct kernel_param *parameter)
{
	int result = param_set_int(value, parameter);

	if (!result && called < 0)
		result = -ERANGE;
	return result;
}

static const struct kernel_param_ops called_ops = { .set = set_called, .get = param_get_int };
module_param_cb(called, &called_ops, &called, 0644);
MODULE_PARM_DESC(called, "checked by a function: not below zero");

static int __init pmt_params_init(void)
{
	return 0;
}

static void __exit pmt_params_exit(void)
{
}

module_init(pmt_params_init);
module_exit(pmt_params_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("pymodutils test: parameters");
