// SPDX-License-Identifier: GPL-2.0
/*
 * GPUs that the kernel believes in: NVIDIA display functions, each on a PCI bus of its own, with a configuration space that answers as
 * hardware answers and a memory BAR with nothing behind it. All the rest is the kernel's own: sysfs, aliases, udev, drivers' probes.
 *
 *   silicon.gpus=0002:06:00.0/10de:2236/0302/vgpu,0000:07:00.0/10de:2335/0300/plain/10de:18be
 *
 * address / vendor:device / class / with or without the vendor capability of a vGPU [/ subsystem's vendor:device]
 */
#include <linux/device.h>
#include <linux/ioport.h>
#include <linux/module.h>
#include <linux/notifier.h>
#include <linux/pci.h>
#include <linux/pm_runtime.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/workqueue.h>

#define MOST 8
#define CONFIG_SIZE 256
#define VENDOR_CAPABILITY 0x40
#define EXPRESS_CAPABILITY 0x60

static char *gpus[MOST];
static unsigned int count;
module_param_array(gpus, charp, &count, 0444);
MODULE_PARM_DESC(gpus, "0002:06:00.0/10de:2236/0302/vgpu, one more after each comma; vgpu or plain; /10de:14bb behind it names the subsystem");

static bool bind_nouveau = true;
module_param(bind_nouveau, bool, 0444);
MODULE_PARM_DESC(bind_nouveau, "finish nouveau's probe, which fails for want of registers, as silicon would have made it end");

struct gpu {
	struct pci_sysdata sysdata; /* x86 looks for the domain here */
	u8 bus, devfn;
	u8 config[CONFIG_SIZE], writable[CONFIG_SIZE];
	struct resource buses, window;
	struct pci_host_bridge *bridge;
	struct work_struct work;
	struct pci_dev *function; /* that nouveau was refused on */
	struct device_driver *nouveau; /* and whose module is held for as long as it is bound */
};

static struct gpu *plugged[MOST];

static int read_config(struct pci_bus *bus, unsigned int devfn, int where, int size, u32 *value)
{
	struct gpu *gpu = bus->sysdata;
	__le32 bytes = 0;

	if (devfn != gpu->devfn || where + size > CONFIG_SIZE)
		return PCIBIOS_DEVICE_NOT_FOUND;
	memcpy(&bytes, gpu->config + where, size);
	*value = le32_to_cpu(bytes);
	return PCIBIOS_SUCCESSFUL;
}

static int write_config(struct pci_bus *bus, unsigned int devfn, int where, int size, u32 value)
{
	struct gpu *gpu = bus->sysdata;
	int at;

	if (devfn != gpu->devfn || where + size > CONFIG_SIZE)
		return PCIBIOS_DEVICE_NOT_FOUND;
	for (at = where; at < where + size; at++, value >>= 8)
		gpu->config[at] = (gpu->config[at] & ~gpu->writable[at]) | (value & gpu->writable[at]);
	return PCIBIOS_SUCCESSFUL;
}

static struct pci_ops silicon_ops = { .read = read_config, .write = write_config };

static void set(u8 *bytes, int where, u16 value)
{
	bytes[where] = value;
	bytes[where + 1] = value >> 8;
}

/* What is written to a bit that is not writable is lost, which is also how a BAR tells its size. */
static void lay_out(struct gpu *gpu, const unsigned int id[2], unsigned int class, bool vgpu, const unsigned int subsystem[2])
{
	u8 *config = gpu->config, *writable = gpu->writable;

	set(config, PCI_VENDOR_ID, id[0]);
	set(config, PCI_DEVICE_ID, id[1]);
	set(config, PCI_STATUS, PCI_STATUS_CAP_LIST);
	config[PCI_REVISION_ID] = 0xa1;
	set(config, PCI_CLASS_DEVICE, class);
	config[PCI_BASE_ADDRESS_0] = PCI_BASE_ADDRESS_MEM_TYPE_64;
	set(config, PCI_SUBSYSTEM_VENDOR_ID, subsystem[0]);
	set(config, PCI_SUBSYSTEM_ID, subsystem[1]);
	config[PCI_CAPABILITY_LIST] = vgpu ? VENDOR_CAPABILITY : EXPRESS_CAPABILITY;
	if (vgpu)
		memcpy(config + VENDOR_CAPABILITY, ((u8[]){ PCI_CAP_ID_VNDR, EXPRESS_CAPABILITY, 0x14, 'V', 'F' }), 5);
	config[EXPRESS_CAPABILITY] = PCI_CAP_ID_EXP;
	set(config, EXPRESS_CAPABILITY + PCI_EXP_FLAGS, 2);

	set(writable, PCI_COMMAND, PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_PARITY |
					   PCI_COMMAND_SERR | PCI_COMMAND_INTX_DISABLE);
	set(writable, PCI_CACHE_LINE_SIZE, 0xffff);
	writable[PCI_BASE_ADDRESS_0 + 3] = 0xff; /* 16 MB */
	memset(writable + PCI_BASE_ADDRESS_1, 0xff, 4);
	writable[PCI_INTERRUPT_LINE] = 0xff;
	set(writable, EXPRESS_CAPABILITY + PCI_EXP_DEVCTL, 0x7fff);
}

static int describe(struct gpu *gpu, const char *text)
{
	unsigned int domain, bus, device, function, class, id[2], subsystem[2];
	char kind[6] = "";
	int end = 0;
	int read = sscanf(text, "%x:%x:%x.%x/%x:%x/%x/%5[vgpulain]%n/%x:%x%n", &domain, &bus, &device, &function, &id[0], &id[1], &class,
			  kind, &end, &subsystem[0], &subsystem[1], &end);
	bool vgpu = !strcmp(kind, "vgpu");

	if ((read != 8 && read != 10) || text[end] || (!vgpu && strcmp(kind, "plain")))
		return -EINVAL;
	/* the kernel looks for further functions only behind a function 0 */
	if (domain > 0xffff || bus > 0xff || device > 0x1f || function || (class != PCI_CLASS_DISPLAY_VGA && class != PCI_CLASS_DISPLAY_3D))
		return -EINVAL;
	gpu->sysdata.domain = domain;
	gpu->sysdata.node = NUMA_NO_NODE;
	gpu->bus = bus;
	gpu->devfn = PCI_DEVFN(device, 0);
	lay_out(gpu, id, class, vgpu, read == 10 ? subsystem : id);
	return 0;
}

/* nouveau's own callbacks expect the state that its probe did not leave, so the PCI core is shown a driver without any. */
static struct pci_driver without_callbacks = { .name = "nouveau" };

/* What pci_device_probe() and really_probe() leave behind when a probe succeeds; pci_device_remove() undoes it. */
static void finish_probe(struct work_struct *work)
{
	struct gpu *gpu = container_of(work, struct gpu, work);
	struct pci_dev *function = gpu->function;
	struct device *dev = &function->dev;
	bool bound = false;

	device_lock(dev);
	if (!dev->driver && device_is_registered(dev)) {
		pci_dev_get(function);
		pm_runtime_get_sync(dev);
		function->driver = &without_callbacks;
		dev->driver = gpu->nouveau;
		bound = !device_bind_driver(dev);
		if (!bound) {
			dev->driver = NULL;
			function->driver = NULL;
			pm_runtime_put_sync(dev);
			pci_dev_put(function);
		}
	}
	if (!bound) {
		module_put(gpu->nouveau->owner);
		gpu->nouveau = NULL;
	}
	device_unlock(dev);
	pci_dev_put(function);
}

static int watch(struct notifier_block *self, unsigned long event, void *data)
{
	struct pci_dev *function = to_pci_dev(data);
	struct device_driver *driver = function->dev.driver;
	struct gpu *gpu = function->bus->sysdata;

	if (function->bus->ops != &silicon_ops)
		return NOTIFY_DONE;
	if (event == BUS_NOTIFY_DRIVER_NOT_BOUND && bind_nouveau && driver && !gpu->nouveau && !strcmp(driver->name, "nouveau") &&
	    try_module_get(driver->owner)) {
		gpu->nouveau = driver;
		gpu->function = pci_dev_get(function);
		/* the prober holds the device's lock and has still to tidy up */
		queue_work(system_highpri_wq, &gpu->work);
	}
	if (event == BUS_NOTIFY_UNBOUND_DRIVER && gpu->nouveau) {
		module_put(gpu->nouveau->owner);
		gpu->nouveau = NULL;
	}
	return NOTIFY_DONE;
}

static struct notifier_block watcher = { .notifier_call = watch };

static void unplug(struct gpu *gpu)
{
	struct pci_bus *bus = gpu->bridge->bus;

	if (bus) {
		pci_lock_rescan_remove();
		pci_stop_root_bus(bus);
		/* it finds the function gone, or it was faster, and the function's end has released nouveau */
		flush_work(&gpu->work);
		pci_remove_root_bus(bus);
		pci_unlock_rescan_remove();
	}
	pci_free_host_bridge(gpu->bridge);
	release_resource(&gpu->window);
	kfree(gpu);
}

static int plug_in(const char *text, struct gpu **plugged_in)
{
	struct gpu *gpu = kzalloc(sizeof(*gpu), GFP_KERNEL);
	int error;

	if (!gpu)
		return -ENOMEM;
	error = describe(gpu, text);
	if (error) {
		pr_err("silicon: %s is no GPU as in 0002:06:00.0/10de:2236/0302/vgpu\n", text);
		goto undescribed;
	}
	INIT_WORK(&gpu->work, finish_probe);
	gpu->buses = (struct resource){ .start = gpu->bus, .end = gpu->bus, .flags = IORESOURCE_BUS };
	gpu->window.name = "Silicon";
	gpu->window.flags = IORESOURCE_MEM;
	/* below 4 GB all that is free belongs to the machine's own host bridge */
	error = allocate_resource(&iomem_resource, &gpu->window, SZ_16M, SZ_4G, -1, SZ_16M, NULL, NULL);
	if (error)
		goto undescribed;
	error = -ENOMEM;
	gpu->bridge = pci_alloc_host_bridge(0);
	if (!gpu->bridge)
		goto no_bridge;
	pci_add_resource(&gpu->bridge->windows, &gpu->buses);
	pci_add_resource(&gpu->bridge->windows, &gpu->window);
	gpu->bridge->busnr = gpu->bus;
	gpu->bridge->ops = &silicon_ops;
	gpu->bridge->sysdata = gpu;
	pci_lock_rescan_remove();
	error = pci_scan_root_bus_bridge(gpu->bridge);
	if (!error) {
		pci_bus_assign_resources(gpu->bridge->bus);
		pci_bus_add_devices(gpu->bridge->bus);
	}
	pci_unlock_rescan_remove();
	if (error) {
		pr_err("silicon: no bus for %s: %d\n", text, error);
		goto no_bus;
	}
	*plugged_in = gpu;
	return 0;

no_bus:
	pci_free_host_bridge(gpu->bridge);
no_bridge:
	release_resource(&gpu->window);
undescribed:
	kfree(gpu);
	return error;
}

static void unplug_all(void)
{
	int at;

	for (at = count - 1; at >= 0; at--)
		if (plugged[at])
			unplug(plugged[at]);
	bus_unregister_notifier(&pci_bus_type, &watcher);
}

static int __init silicon_init(void)
{
	int error = bus_register_notifier(&pci_bus_type, &watcher);
	int at;

	for (at = 0; at < count && !error; at++)
		error = plug_in(gpus[at], &plugged[at]);
	if (error)
		unplug_all();
	return error;
}

module_init(silicon_init);
module_exit(unplug_all);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("GPUs without silicon, for guests of the test bed");
