import type { Watched } from '../engine/license/license-watch.ts';
import { timeOf } from '../formats/time.ts';

/** `vgpu-guest/license-watch/1` */
export function watchJson({ license, required, action, because, memory }: Watched): object {
  const at = (name: string, us: number | undefined) => (us === undefined ? {} : { [name]: timeOf(us) });
  return {
    schema: 'vgpu-guest/license-watch/1',
    license,
    required,
    action,
    because,
    restarts: memory.restarts,
    ...at('lastRestartAt', memory.lastRestartUs),
    ...at('lastSuccessAt', memory.lastSuccessUs),
  };
}

export function watchText({ action, because }: Watched): string {
  if (action === 'restarted') return `nvidia-gridd was restarted: ${because}`;
  return action === 'wait' ? `nothing is done yet: ${because}` : because;
}

const STATES = ['licensed', 'grace', 'restricted', 'unlicensed', 'not-required', 'unknown'] as const;

/** For node_exporter's textfile collector, in the text format of Prometheus (version 0.0.4). What is not known has no sample. */
export function watchMetrics({ license, driverVersion, required, memory, nowUs }: Watched, version: string): string {
  const seconds = (us: number) => String(Math.round(us / 1e6));
  const expiresMs = Date.parse(license.expiresAt ?? '');
  return [
    metric(
      'vgpu_guest_license_state',
      'gauge',
      'How the guest is licensed, by its GPU that stands worst: 1 for the state that it is in.',
      STATES.map(state => [{ state }, state === license.state ? '1' : '0'] as const),
    ),
    metric('vgpu_guest_license_required', 'gauge', 'Whether this guest needs a license.', [[{}, required ? '1' : '0']]),
    metric(
      'vgpu_guest_license_expiry_timestamp_seconds',
      'gauge',
      'When the license ends, in seconds since 1970; it is renewed before that.',
      Number.isNaN(expiresMs) ? [] : [[{}, String(expiresMs / 1000)]],
    ),
    metric(
      'vgpu_guest_license_success_age_seconds',
      'gauge',
      'Seconds since this guest was last seen licensed with a running nvidia-gridd.',
      memory.lastSuccessUs === undefined ? [] : [[{}, seconds(Math.max(0, nowUs - memory.lastSuccessUs))]],
    ),
    metric('vgpu_guest_license_look_timestamp_seconds', 'gauge', 'When this was looked at, in seconds since 1970.', [
      [{}, seconds(nowUs)],
    ]),
    metric(
      'vgpu_guest_gridd_restarts_total',
      'counter',
      'How often nvidia-gridd was restarted to get a license back.',
      [[{}, String(memory.restarts)]],
    ),
    metric('vgpu_guest_info', 'gauge', 'What this guest is licensed for, and by which driver.', [
      [{ product: license.product ?? '', driver: driverVersion ?? '', version }, '1'],
    ]),
  ].join('');
}

type Sample = readonly [labels: Readonly<Record<string, string>>, value: string];

function metric(name: string, type: 'gauge' | 'counter', help: string, samples: readonly Sample[]): string {
  if (samples.length === 0) return '';
  const lines = samples.map(([labels, value]) => `${name}${labelsText(labels)} ${value}`);
  return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${lines.join('\n')}\n`;
}

function labelsText(labels: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escaped(value)}"`);
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`;
}

function escaped(value: string): string {
  return value.replace(/["\\]/g, '\\$&').replaceAll('\n', '\\n');
}
