import type { Deed } from '../../change.ts';
import type { Config } from '../../config/schema.ts';
import { busIdOf } from '../../facts/gpu/which-gpu.ts';
import { STATE_DIRECTORY } from '../../facts/record.ts';
import { minimalXorgConf } from '../../formats/screen/xorg-edit.ts';
import type { Guest } from '../../guest/guest.ts';
import { createdConf } from '../../steps/screen/xorg-edits.ts';
import { rememberWrite } from '../remember.ts';
import { makeStateFolder } from '../resume.ts';
import type { Tell } from '../tell.ts';

type RenderXorg = Extract<Deed, { kind: 'render-xorg' }>;

const FOLDER = `${STATE_DIRECTORY}/nvidia-xconfig`;
const RENDERED = `${FOLDER}/xorg.conf`;
/** What nvidia-xconfig leaves beside its output. */
const LEFT = [RENDERED, `${RENDERED}.nvidia-xconfig-original`, `${RENDERED}.backup`];
const TIMEOUT_MS = 60_000;

/** nvidia-xconfig never sees /etc/X11: it overwrites what it cannot read, and drops a BusID that it thinks is not needed. */
export async function renderXorg(guest: Guest, { xorg }: Config, deed: RenderXorg, tell: Tell): Promise<void> {
  const finish = (text: string) => createdConf(xorg, text, deed);
  const text = (await render(guest, deed, finish, tell)) ?? finish(minimalXorgConf(busIdOf(deed)));
  await rememberWrite(guest, deed.path, { text: text ?? '', mode: 0o644 });
  await guest.writeText(deed.path, text ?? '', 0o644);
}

/** Its text with what else was asked for: each of its releases knows other options. */
type Finish = (text: string) => string | undefined;

async function render(guest: Guest, deed: RenderXorg, finish: Finish, tell: Tell): Promise<string | undefined> {
  await makeStateFolder(guest, FOLDER);
  const clear = () => Promise.all(LEFT.map(path => guest.remove(path)));
  await clear(); // left by a run that was cut
  try {
    const options = ['--silent', '--force-generate', `--busid=${busIdOf(deed)}`, `--output-xconfig=${RENDERED}`];
    const { code, stderr } = await guest.run(['nvidia-xconfig', ...options], { timeoutMs: TIMEOUT_MS });
    const text = code === 0 ? await guest.readText(RENDERED) : undefined;
    const finished = text === undefined ? undefined : finish(text);
    if (finished !== undefined) return finished;
    const words = text === undefined ? stderr.trim().split('\n').at(-1) : 'what it made is not for one GPU';
    tell.warn(`nvidia-xconfig makes no usable file (exit code ${code}: ${words}); a small one is written instead`);
    return undefined;
  } finally {
    await clear();
  }
}
