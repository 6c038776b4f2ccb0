import type { Facts } from '../facts/facts.ts';
import { timeOf } from '../formats/time.ts';
import { defineSubject, type Evidence, evidence, type Found, seen, unknown } from './check.ts';
import { commandsOf } from './commands.ts';
import { gravity, hasExpired, logEvidence, standing } from './situation.ts';

/** A license is refused where clocks differ; nobody has written down by how much. This is what no clock in step ever shows. */
const TOLERANCE_S = 60;

/** The guest's clock, and whether something keeps it right. */
export const clock = defineSubject({
  id: 'clock',
  title: 'the clock',
  reads: ['clock', 'griddLog', 'servers', 'smi', 'system', 'tokenFiles'],
  saw(_config, { clock: { synchronized, aheadS }, servers, system }) {
    const skews = servers.flatMap(server => skewOf(server) ?? []);
    const known = [
      ...(synchronized === undefined ? [] : [synchronized ? 'synchronized' : 'not synchronized']),
      ...(aheadS === undefined ? [] : [`${Math.abs(aheadS).toFixed(3)} s ${aheadS < 0 ? 'behind' : 'ahead of'} NTP`]),
      ...(skews.length === 0 ? ["the license server's clock is not known"] : skews.map(({ words }) => words)),
    ];
    if (synchronized === undefined && aheadS === undefined && skews.length === 0)
      return unknown(`${timeOf(system.nowUs)}; neither timedatectl nor chronyc says whether it is right`);
    return seen(`${timeOf(system.nowUs)}, ${known.join(', ')}`);
  },
  checks: [
    {
      id: 'clock-windback',
      causes: [4],
      judge(_config, facts): Found | undefined {
        const refused = standing(facts.griddLog, 'windback');
        if (refused.length === 0) return undefined;
        return {
          severity: gravity(facts.smi),
          summary: 'nvidia-gridd has found that the clock of this guest has jumped back since the last license',
          cause:
            'the guest was reverted to a snapshot, its clock was set by hand, or its hardware clock keeps local time; which of them cannot be seen',
          remedy: `set the clock and keep it right (${commandsOf(facts.system).keepTime}; timedatectl set-local-rtc 0), wait until it is past the time of the last license, and systemctl restart nvidia-gridd`,
          evidence: [...logEvidence(facts.griddLog, refused), ...shown(facts)],
        };
      },
    },
    {
      id: 'clock-differs',
      causes: [5],
      judge(_config, facts): Found | undefined {
        const { clock: found, servers, griddLog, tokenFiles, smi } = facts;
        const refused = standing(griddLog, 'clocks-differ');
        const apart = servers
          .flatMap(server => skewOf(server) ?? [])
          .filter(({ aheadS }) => Math.abs(aheadS) > TOLERANCE_S);
        const isOff = Math.abs(found.aheadS ?? 0) > TOLERANCE_S;
        // an expired token is refused with the same words, and stands in a finding of its own
        const isOver = tokenFiles.files.some(
          ({ inspection }) => inspection.is === 'token' && hasExpired(inspection.claims, facts),
        );
        if (apart.length === 0 && !isOff && (refused.length === 0 || isOver)) return undefined;
        const [first] = apart;
        return {
          severity: refused.length > 0 ? gravity(smi) : 'warning',
          summary: first
            ? `the clock of the license server ${first.host} and that of this guest differ: ${first.words}`
            : isOff
              ? `the clock of this guest is ${Math.abs(found.aheadS ?? 0).toFixed(0)} s ${(found.aheadS ?? 0) < 0 ? 'behind' : 'ahead of'} NTP`
              : 'the license server answers that the time to do so is over',
          cause:
            first || isOff
              ? 'one of the two clocks is wrong; a license that seems late is refused'
              : 'the clocks of the guest and of the license server may differ, or their time zones',
          remedy: `set both clocks by NTP; on this guest: ${commandsOf(facts.system).keepTime}; then systemctl restart nvidia-gridd, and if it stays, a new token and vgpu-guest token rotate FILE`,
          evidence: [
            ...logEvidence(griddLog, refused),
            ...apart.map(({ at, words }) => evidence(at, words)),
            ...shown(facts),
          ],
        };
      },
    },
    {
      id: 'clock-not-kept',
      causes: [4, 5],
      judge: (_config, facts) =>
        facts.clock.synchronized !== false
          ? undefined
          : {
              severity: 'warning',
              summary: 'nothing that systemd or chrony knows of keeps the clock of this guest right',
              cause: 'no time service runs, or it reaches no server; a clock that drifts or jumps costs the license',
              remedy: commandsOf(facts.system).keepTime,
              evidence: shown(facts),
            },
    },
    {
      id: 'hardware-clock-local',
      causes: [4],
      judge: (_config, facts) =>
        facts.clock.hardwareClockIsLocal !== true
          ? undefined
          : {
              severity: 'warning',
              summary: 'the hardware clock of this guest keeps local time instead of UTC',
              cause: 'the guest was set up so; its clock may start hours off, and jump back when it is put right',
              remedy: 'timedatectl set-local-rtc 0, and let the host give its guests UTC',
              evidence: shown(facts),
            },
    },
  ],
});

function shown({ clock: { evidence: lines }, system }: Pick<Facts, 'clock' | 'system'>): readonly Evidence[] {
  return [evidence("the guest's clock", timeOf(system.nowUs)), ...lines.map(({ at, shows }) => evidence(at, shows))];
}

interface Skew {
  readonly host: string;
  readonly at: string;
  readonly aheadS: number;
  readonly words: string;
}

function skewOf({ host, port, probe }: Facts['servers'][number]): Skew | undefined {
  if (probe.is !== 'connected' || probe.tls?.is !== 'agreed' || probe.tls.serverAheadUs === undefined) return undefined;
  const aheadS = Math.round(probe.tls.serverAheadUs / 1e6);
  const words =
    Math.abs(aheadS) <= 2
      ? `${host} has the same time`
      : `${host} is ${Math.abs(aheadS)} s ${aheadS < 0 ? 'behind' : 'ahead'}`;
  return { host, at: `Date of https://${host}:${port}`, aheadS, words };
}
