// SPDX-License-Identifier: GPL-2.0
// A kernel module of the driver's name that really builds and does nothing: DKMS has something to compile.
#include <linux/module.h>

static int __init nvidia_init(void)
{
	return 0;
}

static void __exit nvidia_exit(void)
{
}

module_init(nvidia_init);
module_exit(nvidia_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Stand-in for the NVIDIA kernel module");
MODULE_VERSION(NV_VERSION_STRING);
