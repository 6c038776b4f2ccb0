import type { Finding } from '../checks/check.ts';
import type { Report } from '../engine/apply.ts';
import { visible } from './visible.ts';

/** `vgpu-guest/report/1` of the contract; `findings` is there when something explains why the run ended as it did. */
export function reportJson({ outcome, changed, steps, license }: Report, findings: readonly Finding[] = []): object {
  return {
    schema: 'vgpu-guest/report/1',
    outcome,
    changed,
    steps,
    license,
    ...(findings.length === 0 ? {} : { findings }),
  };
}

/** The last line of a run. */
export function reportText({ outcome, steps, license }: Report, rebootComes: boolean): string {
  switch (outcome) {
    case 'settled':
      return `settled: the guest is as asked for, nothing had to be changed (${licenseWords(license)})`;
    case 'changed':
      return `settled: the guest is as asked for (${licenseWords(license)})`;
    case 'reboot-needed':
      return rebootComes
        ? 'the guest reboots now; vgpu-guest-resume.service goes on at the next boot'
        : 'a reboot is needed: reboot when it suits you, vgpu-guest-resume.service goes on at the next boot';
    case 'blocked':
      return 'blocked: nothing further is changed until what stands above is done';
    case 'unlicensed':
      return 'everything is in place, and no license arrived before the deadline';
    case 'failed':
      return `failed in ${steps.find(step => step.outcome === 'failed')?.id}; it is safe to run it again`;
  }
}

/** The last line of a revert. */
export function revertText({ outcome, steps }: Report): string {
  const stays = steps.some(({ warnings = [] }) => warnings.length > 0) ? ', but for what is named above' : '';
  switch (outcome) {
    case 'settled':
      return `settled: nothing had to be put back${stays}`;
    case 'changed':
      return `reverted: the guest is as it was before vgpu-guest apply${stays}`;
    case 'reboot-needed':
      return `reverted${stays}; a reboot completes it: reboot when it suits you`;
    case 'blocked':
      return 'blocked: nothing further is put back until what stands above is done';
    case 'unlicensed':
    case 'failed':
      return `failed in ${steps.find(step => step.outcome === 'failed')?.id}; it is safe to run it again`;
  }
}

function licenseWords({ state, product, expiresAt }: Report['license']): string {
  const words = [`license: ${state}`, product, expiresAt ? `until ${expiresAt}` : undefined];
  return visible(words.filter(Boolean).join(', '));
}
