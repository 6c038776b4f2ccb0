import { deepStrictEqual, strictEqual } from 'node:assert/strict';
import { parseXorgConf, type XorgConf } from '../../../src/formats/screen/xorg-conf.ts';
import { setBusId } from '../../../src/formats/screen/xorg-edit.ts';
import { xorgUse } from '../../../src/formats/screen/xorg-layout.ts';
import type { Bench } from './bench.ts';

export type BenchCheck = readonly [title: string, prove: (bench: Bench) => Promise<void>];
type NamedText = readonly [name: string, text: string];
type Parsed = Extract<XorgConf, { is: 'parsed' }>;

const NEW = 'PCI:0@50677:6:0';
const CONF = '/etc/X11/xorg.conf';
/** Without it X looks for more Devices than the file has. */
const ALONE = ['-config', CONF];

/** One file after the other: what X says of it, what this program says of it, and what both say of it when it is patched. */
export function fileChecks(files: readonly NamedText[]): readonly BenchCheck[] {
  return files.map(([name, text]) => [name, bench => proveFile(bench, text)]);
}

async function proveFile(bench: Bench, text: string): Promise<void> {
  const conf = parseXorgConf(text);
  const before = await askX(bench, text);
  if (conf.is === 'faulty')
    return strictEqual(before.accepts, false, `X reads it, and this program stumbles: ${conf.problem}`);
  // of sections that are not Devices this program leaves the words to X
  if (before.accepts) deepStrictEqual(useOf(conf), before.use);
  const rendered = await askNvidia(bench, text);
  for (const [index, device] of conf.devices.entries()) {
    const patched = setBusId(text, device, NEW);
    const after = await askX(bench, patched);
    strictEqual(after.said, before.said, `X says something else of Device ${index} when it is patched`);
    if (rendered === undefined) continue;
    const renderedAfter = await askNvidia(bench, patched);
    deepStrictEqual(renderedAfter && withoutBusIds(renderedAfter), withoutBusIds(rendered));
    deepStrictEqual(busIdsOf(renderedAfter ?? ''), busIdsOf(rendered).with(index, NEW));
  }
}

interface Answer {
  readonly accepts: boolean;
  readonly use: { readonly shown: readonly string[]; readonly beside: readonly string[] };
  /** Its log, but for times and the address where it looked for the GPU. */
  readonly said: string;
}

async function askX(bench: Bench, text: string): Promise<Answer> {
  await bench.put(CONF, text);
  const log = await bench.startX(...ALONE);
  const names = (kind: string) =>
    [...log.matchAll(new RegExp(`\\|-->${kind} "(.*)"`, 'g'))].map(([, name]) => name ?? '');
  return {
    // a word that is no keyword outside of every section makes it free what it has freed before
    accepts: !/Problem parsing the config file|Unable to determine the screen layout|Caught signal/.test(log),
    use: { shown: names('Device'), beside: [...new Set([...names('GPUDevice'), ...names('Inactive Device')])] },
    said: log
      .replace(/^\[[ \d.]+\] /gm, '')
      // X quotes a word that it has freed
      .replace(/^\t"[\s\S]{0,40}?" is not a valid/gm, '\t"" is not a valid')
      .replace(/^.*(?:Log file|Build Date|Current Operating System|Kernel command line|Loader magic).*\n/gm, ''),
  };
}

function useOf(conf: Parsed): Answer['use'] {
  const { shown, beside } = xorgUse([conf]);
  return {
    shown: shown.map(({ device }) => device.identifier),
    beside: [...new Set(beside.map(({ identifier }) => identifier))],
  };
}

/** What NVIDIA's own parser makes of it, written down again; undefined: it does not understand the file. */
async function askNvidia(bench: Bench, text: string): Promise<string | undefined> {
  await bench.put('/tmp/in.conf', text);
  const keep = ['--preserve-busid', '--preserve-driver-name'];
  const files = ['--xconfig=/tmp/in.conf', '--output-xconfig=/tmp/out.conf'];
  const { code, stdout, stderr } = await bench.run(['nvidia-xconfig', ...keep, ...files]);
  if (code !== 0 || /error|WARNING: Unable/i.test(`${stdout}${stderr}`)) return undefined;
  return (await bench.read('/tmp/out.conf')) ?? '';
}

const BUS_ID = /^ *BusID +"(.*)"\n/gm;

function withoutBusIds(text: string): string {
  return text.replace(BUS_ID, '');
}

/** By Device. */
function busIdsOf(text: string): readonly (string | undefined)[] {
  const conf = parseXorgConf(text);
  return conf.is === 'parsed' ? conf.devices.map(({ busId }) => busId) : [];
}
