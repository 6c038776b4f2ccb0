import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { loadConfig } from '../src/config/load.ts';
import type { Facts } from '../src/facts/facts.ts';
import { configureGridd } from '../src/steps/license/configure-gridd.ts';

const README = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
const TEMPLATE = readFileSync(new URL('fixtures/gridd/gridd.conf.template', import.meta.url), 'utf8');

/** What the README recommends for a provider, and the lines that it promises. */
const presets = [...README.matchAll(/^\*\*(.+?)\*\*.*\n\n```yaml\n([^`]*)```\n\n```ini\n([^`]*)```/gm)].map(
  ([, provider = '', yaml = '', lines = '']) => ({ provider, yaml, lines: lines.trimEnd().split('\n') }),
);

test('the README has what to write for each way to a license', () => {
  expect(presets.map(({ provider }) => provider)).toEqual([
    "On-premises or in NVIDIA's cloud, with a token",
    'A legacy license server',
    'Azure',
    'AWS',
  ]);
});

test.each(presets)('$provider: it is right, and gridd.conf gets the lines that are promised', ({ yaml, lines }) => {
  const config = loadConfig({ path: 'README.md', text: yaml }, []);
  const verdict = configureGridd.judge(config, facts(config.license.server ? '510.108.03' : '570.211.01'), new Set());
  expect(verdict).toMatchObject({ is: 'due', changes: [{ kind: 'write' }] });
  const text = verdict.is === 'due' && verdict.changes[0].kind === 'write' ? verdict.changes[0].text : '';
  expect(text.split('\n').filter(line => /^[A-Za-z]+=./.test(line))).toEqual(lines);
  expect(verdict).not.toHaveProperty('warnings');
});

function facts(version: string): Facts {
  return {
    gridd: { binary: true, unit: {}, conf: undefined, template: TEMPLATE },
    smi: { answers: false, problem: '', code: 127 },
    gpus: [{ mode: 'vgpu' }],
    driver: { onDisk: version },
    driverPackage: { is: 'not-asked-for' },
    system: { nowUs: 0 },
  } as unknown as Facts;
}
