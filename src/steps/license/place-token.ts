import { basename } from 'node:path/posix';
import { blocked, type Change, due, settled, type Verdict } from '../../change.ts';
import type { TokenEntry, TokenFact } from '../../facts/license/token.ts';
import { judgeDates, type Untimely } from '../../formats/license/token.ts';
import { defineStep } from '../step.ts';

/** Puts the token where nvidia-gridd looks, and nothing else: a file there that is no token ends the daemon. */
export const placeToken = defineStep({
  id: 'place-token',
  title: 'Put the client configuration token in its place',
  reads: ['token', 'system'],
  judge({ license: { tokenDirectory, server } }, { token, system }) {
    const { source, directory } = token;
    const folder = tokenDirectory.replace(/(?<=.)\/+$/, '');
    if (source.is === 'not-asked-for') return server ? leaveNone(folder, directory) : NOT_ASKED_FOR;
    if (source.is === 'unusable') return blocked(`the token ${source.path} ${source.because}`, NEW_TOKEN);
    const untimely = source.is === 'usable' ? judgeDates(source.claims, system.nowUs) : undefined;
    if (untimely && source.from === undefined) return refuseDates(source.path, untimely);
    if (token.directoryIsFile && source.path === folder)
      return blocked(`license.token names ${folder}, ${IN_THE_WAY}`, MOVE_IT);
    const fetch = fetchOf(source, untimely);

    const name = basename(source.path);
    const path = `${folder}/${name}`;
    const there = directory.find(entry => entry.name === name);
    const copied = !fetch && source.is === 'usable' && there?.sha256 === source.sha256;
    // a write that was cut leaves its temporary file, which the next write of the same file takes away
    const strays = directory.filter(
      entry =>
        entry.name !== name &&
        !(entry.name === `.${name}.vgpu-guest` && !copied) &&
        !source.path.startsWith(`${folder}/${entry.name}/`),
    );
    const [first, ...rest]: Change[] = [
      ...(fetch ? [fetch] : []),
      ...(token.directoryIsFile ? [outOfTheWay(folder)] : []),
      ...(copied
        ? correct(path, there, system.nowUs)
        : [
            { kind: 'copy-secret', from: source.path, path, mode: MODE, because: reason(folder, name, there) } as const,
          ]),
      ...strays.map(stray => setAside(folder, stray, 'nvidia-gridd takes every file there for a token')),
    ];
    return first ? due(first, ...rest) : settled(`${name} is the one token in ${folder}`);
  },
});

const IN_THE_WAY = 'which is a file and must be the directory that holds the token';
const MOVE_IT = 'move that file elsewhere (/opt, for one), and set license.token in /etc/vgpu-guest/config.yaml to it';

function outOfTheWay(folder: string): Change {
  return {
    kind: 'move',
    path: folder,
    to: `${SET_ASIDE}/${basename(folder)}`,
    because: `there is ${folder}, ${IN_THE_WAY}`,
  };
}

/** What NVIDIA's guides have the token set to; the daemon itself runs as root. */
const MODE = 0o744;
/** What was in the way, never deleted. */
export const SET_ASIDE = '/var/lib/vgpu-guest/set-aside';
/** How to come by a token that can be used. */
export const NEW_TOKEN =
  'download a client configuration token from the licensing portal (NVIDIA Licensing Portal: your CLS or DLS instance, Generate client configuration token), copy it to this guest as it is, and set license.token in /etc/vgpu-guest/config.yaml to it';

const NOT_ASKED_FOR = settled('no client configuration token is asked for');

/** A driver that knows both worlds takes a token that it finds rather than the server that is asked for. */
function leaveNone(folder: string, directory: readonly TokenEntry[]): Verdict {
  const [first, ...rest] = directory.map(entry => setAside(folder, entry, 'a license server is asked for instead'));
  return first ? due(first, ...rest) : NOT_ASKED_FOR;
}

/** What to do about a token whose dates are wrong. */
export function remedyForDates({ is }: Untimely): string {
  if (is === 'early') return "set the guest's clock, and keep it right by NTP (timedatectl set-ntp true)";
  return is === 'expired' ? `if the clock is right, ${NEW_TOKEN}` : NEW_TOKEN;
}

function refuseDates(path: string, untimely: Untimely): Verdict {
  return blocked(`the token ${path} ${untimely.because}`, remedyForDates(untimely));
}

/** One that was downloaded is kept as long as it can be used. */
function fetchOf(source: TokenFact['source'], untimely: Untimely | undefined): Change | undefined {
  if (source.is === 'not-fetched') {
    const { from, path, because } = source;
    return { kind: 'fetch-token', from, path, because: `the token is at ${from}, and ${because}` };
  }
  if (source.is !== 'usable' || source.from === undefined || !untimely) return undefined;
  const { from, path } = source;
  return { kind: 'fetch-token', from, path, because: `the token that was downloaded from ${from} ${untimely.because}` };
}

function reason(folder: string, name: string, there: TokenEntry | undefined): string {
  return there ? `${folder}/${name} is not the token that is asked for` : `the token is not in ${folder}`;
}

function correct(path: string, there: TokenEntry, nowUs: number): readonly Change[] {
  const set = (because: string) => [{ kind: 'set-mode', path, mode: MODE, because }] as const;
  if (there.mode !== MODE)
    return set(`${path} has mode ${octal(there.mode)}, and ${octal(MODE)} is what NVIDIA's guides ask for`);
  // setting the same mode renews the change time, by which the restart of the daemon is judged
  if (there.changedUs > nowUs)
    return set(`${path} comes from the future, so that nobody can tell whether the daemon has read it`);
  return [];
}

function setAside(folder: string, { name }: TokenEntry, why: string): Change {
  const because = `${name} lies in the token directory, and ${why}`;
  return { kind: 'move', path: `${folder}/${name}`, to: `${SET_ASIDE}/${name}`, because };
}

function octal(mode: number): string {
  return `0${mode.toString(8)}`;
}
