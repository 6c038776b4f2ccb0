// SPDX-License-Identifier: GPL-2.0
/*
 * Stand-in for NVIDIA's kernel module: a PCI driver that takes the functions which the real one takes, says in /proc what it has, and
 * refuses what the real one refuses in its words. It drives nothing.
 */
#include <linux/bitops.h>
#include <linux/dma-mapping.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/proc_fs.h>
#include <linux/seq_file.h>
#include <linux/utsname.h>

#ifdef NV_OPEN
#define ID "NVIDIA UNIX Open Kernel Module for %s  " NV_VERSION_STRING "  Release Build  (root@guest)  "
#define FIRMWARE NV_VERSION_STRING
#else
#define ID "NVIDIA UNIX %s Kernel Module  " NV_VERSION_STRING "  Thu Nov  5 17:21:34 UTC 2026"
#define FIRMWARE "N/A"
#endif

/* By subsystem, as the real one; of another one the first of its device counts that is whole or part as this one is. */
static const struct {
	u16 device, subsystem;
	const char *name;
} MODELS[] = {
	{ 0x1eb8, 0x12a2, "Tesla T4" },
	{ 0x1eb8, 0x130e, "GRID T4-4Q" },
	{ 0x2236, 0x1482, "NVIDIA A10" },
	{ 0x2236, 0x14bb, "NVIDIA A10-4Q" },
	{ 0x2236, 0x14b6, "NVIDIA A10-1B" },
	{ 0x2236, 0x14c3, "NVIDIA A10-4A" },
	{ 0x2236, 0x14d0, "NVIDIA A10-4C" },
	{ 0x2330, 0x16c1, "NVIDIA H100 80GB HBM3" },
	{ 0x2330, 0x1884, "NVIDIA H100XM-10C" },
	{ 0x2335, 0x18be, "NVIDIA H200" },
	{ 0x2335, 0x2075, "NVIDIA H200X-4C" },
};

/* What the real table says: display functions that are VGA or 3D controllers, none of the other display classes. */
static const struct pci_device_id TABLE[] = {
	{ PCI_DEVICE(PCI_VENDOR_ID_NVIDIA, PCI_ANY_ID), PCI_CLASS_DISPLAY_VGA << 8, ~0 },
	{ PCI_DEVICE(PCI_VENDOR_ID_NVIDIA, PCI_ANY_ID), PCI_CLASS_DISPLAY_3D << 8, ~0 },
	{}
};
MODULE_DEVICE_TABLE(pci, TABLE);

static struct proc_dir_entry *folder, *folder_of_gpus;
static unsigned int probed;

/* vgpu-util of NVIDIA's looks for the same letters. */
static bool is_vgpu(struct pci_dev *function)
{
	int at = pci_find_capability(function, PCI_CAP_ID_VNDR);
	u8 letters[2];

	return at && !pci_read_config_byte(function, at + 3, &letters[0]) && !pci_read_config_byte(function, at + 4, &letters[1]) &&
	       letters[0] == 'V' && letters[1] == 'F';
}

static const char *model_of(struct pci_dev *function)
{
	const char *like = "NVIDIA Graphics Device";
	int at;

	for (at = ARRAY_SIZE(MODELS) - 1; at >= 0; at--) {
		if (MODELS[at].device != function->device)
			continue;
		if (MODELS[at].subsystem == function->subsystem_device)
			return MODELS[at].name;
		/* only the name of a vGPU ends in a profile */
		if (is_vgpu(function) == !!strchr(MODELS[at].name, '-'))
			like = MODELS[at].name;
	}
	return like;
}

static int show_version(struct seq_file *file, void *unused)
{
	seq_printf(file, "NVRM version: " ID "\nGCC version:  gcc version " __VERSION__ " (GCC) \n", utsname()->machine);
	return 0;
}

static int show_information(struct seq_file *file, void *unused)
{
	struct pci_dev *function = file->private;
	int domain = pci_domain_nr(function->bus), slot = PCI_SLOT(function->devfn), number = PCI_FUNC(function->devfn);

	seq_printf(file, "Model: \t\t %s\n", model_of(function));
	seq_printf(file, "IRQ:   \t\t %u\n", function->irq);
	seq_printf(file, "GPU UUID: \t GPU-8860d441-d818-3912-327d-000%04x%02x%02x%x\n", domain, function->bus->number, slot, number);
	seq_printf(file, "Video BIOS: \t %s\n", is_vgpu(function) ? "??.??.??.??.??" : "96.00.a5.00.1a");
	seq_printf(file, "Bus Type: \t %s\n", pci_is_pcie(function) ? "PCIe" : "PCI");
	seq_printf(file, "DMA Size: \t %u bits\n", (unsigned int)hweight64(function->dma_mask));
	seq_printf(file, "DMA Mask: \t 0x%llx\n", function->dma_mask);
	seq_printf(file, "Bus Location: \t %s\n", pci_name(function));
	seq_printf(file, "Device Minor: \t %lu\n", (unsigned long)pci_get_drvdata(function));
	seq_puts(file, "GPU Firmware: \t " FIRMWARE "\nGPU Excluded:\t No\n");
	return 0;
}

static int probe(struct pci_dev *function, const struct pci_device_id *id)
{
	struct proc_dir_entry *own = proc_mkdir(pci_name(function), folder_of_gpus);

	if (!own || !proc_create_single_data("information", 0444, own, show_information, function))
		return -ENOMEM;
	dma_set_mask(&function->dev, DMA_BIT_MASK(47));
	pci_set_drvdata(function, (void *)(unsigned long)probed++);
	return 0;
}

static void forget(struct pci_dev *function)
{
	remove_proc_subtree(pci_name(function), folder_of_gpus);
}

static struct pci_driver driver = { .name = "nvidia", .id_table = TABLE, .probe = probe, .remove = forget };

/* Whoever holds /dev/nvidiactl open, as nvidia-gridd does, keeps the module from being removed. */
static const struct file_operations CONTROL = { .owner = THIS_MODULE, .open = nonseekable_open };
static struct miscdevice control = { .minor = MISC_DYNAMIC_MINOR, .name = "nvidiactl", .fops = &CONTROL, .mode = 0666 };

static unsigned int count_class(unsigned int class)
{
	struct pci_dev *function = NULL;
	unsigned int count = 0;

	while ((function = pci_get_class(class << 8, function))) {
		if (function->vendor != PCI_VENDOR_ID_NVIDIA)
			continue;
		count++;
#if NV_BRANCH >= 550
		if (function->dev.driver)
			pr_warn("NVRM: GPU %s is already bound to %s.\n", pci_name(function), function->dev.driver->name);
#endif
	}
	return count;
}

static void explain_unprobed(unsigned int count)
{
	pr_err("NVRM: The NVIDIA probe routine was not called for %u device(s).\n", count);
#if NV_BRANCH >= 550
	pr_err("NVRM: This can occur when another driver was loaded and \n"
	       "NVRM: obtained ownership of the NVIDIA device(s).\n");
#else
	pr_err("NVRM: This can occur when a driver such as: \n"
	       "NVRM: nouveau, rivafb, nvidiafb or rivatv \n"
	       "NVRM: was loaded and obtained ownership of the NVIDIA device(s).\n");
#endif
	pr_err("NVRM: Try unloading the conflicting kernel module (and/or\n"
	       "NVRM: reconfigure your kernel without the conflicting\n"
	       "NVRM: driver(s)), then try loading the NVIDIA kernel module\n"
	       "NVRM: again.\n");
}

static int __init nvidia_init(void)
{
	unsigned int count = count_class(PCI_CLASS_DISPLAY_VGA) + count_class(PCI_CLASS_DISPLAY_3D);
	int error;

	if (!count) {
		pr_err("NVRM: No NVIDIA GPU found.\n");
		return -ENODEV;
	}
	error = -ENOMEM;
	folder = proc_mkdir("driver/nvidia", NULL);
	if (!folder)
		return error;
	folder_of_gpus = proc_mkdir("gpus", folder);
	if (!folder_of_gpus || !proc_create_single("version", 0444, folder, show_version))
		goto no_folder;
	error = pci_register_driver(&driver);
	if (error)
		goto no_folder;
	if (probed != count)
		explain_unprobed(count - probed);
	if (!probed) {
		pr_err("NVRM: No NVIDIA devices probed.\n");
		error = -ENODEV;
		goto no_driver;
	}
	error = misc_register(&control);
	if (error)
		goto no_driver;
	pr_info("NVRM: loading " ID "\n", utsname()->machine);
	return 0;

no_driver:
	pci_unregister_driver(&driver);
no_folder:
	proc_remove(folder);
	return error;
}

static void __exit nvidia_exit(void)
{
	misc_deregister(&control);
	pci_unregister_driver(&driver);
	proc_remove(folder);
}

module_init(nvidia_init);
module_exit(nvidia_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Stand-in for the NVIDIA kernel module");
MODULE_VERSION(NV_VERSION_STRING);
