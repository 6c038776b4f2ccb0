import { basename } from 'node:path/posix';
import { blocked, type Change, due, settled, type Verdict } from '../change.ts';
import type { TokenEntry } from '../facts/token.ts';
import type { TokenClaims } from '../formats/token.ts';
import { defineStep } from './step.ts';

/** Puts the token where nvidia-gridd looks, and nothing else: a file there that is no token ends the daemon. */
export const placeToken = defineStep({
  id: 'place-token',
  title: 'Put the client configuration token in its place',
  reads: ['token', 'system'],
  judge({ license: { tokenDirectory } }, { token: { source, directory }, system }) {
    if (source.is === 'not-asked-for') return settled('no client configuration token is asked for');
    if (source.is === 'unusable') return blocked(`the token ${source.path} ${source.because}`, NEW_TOKEN);
    const untimely = refuseTime(source.path, source.claims, system.nowUs);
    if (untimely) return untimely;

    const folder = tokenDirectory.replace(/\/+$/, '');
    const name = basename(source.path);
    const path = `${folder}/${name}`;
    const there = directory.find(entry => entry.name === name);
    const copied = there?.sha256 === source.sha256;
    // a write that was cut leaves its temporary file, which the next write of the same file takes away
    const strays = directory.filter(
      entry =>
        entry.name !== name &&
        !(entry.name === `.${name}.vgpu-guest` && !copied) &&
        !source.path.startsWith(`${folder}/${entry.name}/`),
    );
    const [first, ...rest]: Change[] = [
      ...(copied
        ? correct(path, there, system.nowUs)
        : [
            { kind: 'copy-secret', from: source.path, path, mode: MODE, because: reason(folder, name, there) } as const,
          ]),
      ...strays.map(stray => setAside(folder, stray)),
    ];
    return first ? due(first, ...rest) : settled(`${name} is the one token in ${folder}`);
  },
});

/** What NVIDIA's guides have the token set to; the daemon itself runs as root. */
const MODE = 0o744;
const SET_ASIDE = '/var/lib/vgpu-guest/set-aside';
const NEW_TOKEN =
  'download a client configuration token from the licensing portal (NVIDIA Licensing Portal: your CLS or DLS instance, Generate client configuration token), copy it to this guest as it is, and set license.token in /etc/vgpu-guest/config.yaml to it';

function refuseTime(path: string, { notBeforeUs, expiresUs }: TokenClaims, nowUs: number): Verdict | undefined {
  const now = `by the guest's clock it is ${day(nowUs)}`;
  if (expiresUs !== undefined && expiresUs <= nowUs) {
    return blocked(`the token ${path} expired on ${day(expiresUs)}, and ${now}`, `if the clock is right, ${NEW_TOKEN}`);
  }
  if (notBeforeUs !== undefined && notBeforeUs > nowUs) {
    return blocked(
      `the token ${path} is valid from ${day(notBeforeUs)} on, and ${now}`,
      "set the guest's clock, and keep it right by NTP (timedatectl set-ntp true)",
    );
  }
  return undefined;
}

function day(us: number): string {
  const date = new Date(us / 1000);
  return Number.isNaN(date.getTime()) ? 'a day beyond all calendars' : `${date.toISOString().slice(0, 19)}Z`;
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

function setAside(folder: string, { name }: TokenEntry): Change {
  return {
    kind: 'move',
    path: `${folder}/${name}`,
    to: `${SET_ASIDE}/${name}`,
    because: `${name} lies in the token directory, where nvidia-gridd takes every file for a token`,
  };
}

function octal(mode: number): string {
  return `0${mode.toString(8)}`;
}
