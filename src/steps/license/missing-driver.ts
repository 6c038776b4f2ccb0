import type { Config } from '../../config/schema.ts';

/** What brings the driver that a license needs. Where its package is given, a step before this one says why it has not come. */
export function bringDriver({ driver }: Config): string {
  return driver.package === undefined
    ? 'set driver.package in /etc/vgpu-guest/config.yaml to the -grid.run of the vGPU release that the host runs'
    : 'do what install-driver says; where --only or --skip leaves that step out, run vgpu-guest apply with it';
}
