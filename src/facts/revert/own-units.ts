import type { GuestView } from '../../guest/guest.ts';
import type { Look } from '../facts.ts';

/** Units that this program writes into /etc/systemd/system, and takes out again. */
export type OwnUnit = (typeof OWN_UNITS)[number];
const OWN_UNITS = ['vgpu-guest-x11vnc.service', 'vgpu-guest-screen.service'] as const;

export type OwnUnitsFact = { readonly [unit in OwnUnit]: UnitState };

interface UnitState {
  /** undefined: there is no such unit of ours. */
  readonly text: string | undefined;
  /** The graphical target wants it. */
  readonly enabled: boolean;
  /** ActiveState. */
  readonly active: string;
}

export function pathOfUnit(unit: OwnUnit): string {
  return `/etc/systemd/system/${unit}`;
}

export async function collectOwnUnits({ guest }: Look): Promise<OwnUnitsFact> {
  const states = await Promise.all(OWN_UNITS.map(unit => stateOf(guest, unit)));
  return Object.fromEntries(OWN_UNITS.map((unit, index) => [unit, states[index]])) as unknown as OwnUnitsFact;
}

async function stateOf(guest: GuestView, unit: OwnUnit): Promise<UnitState> {
  const text = await guest.readText(pathOfUnit(unit));
  if (text === undefined) return { text, enabled: false, active: 'inactive' };
  const [link, active] = await Promise.all([
    guest.readLink(`/etc/systemd/system/graphical.target.wants/${unit}`),
    guest.query(['systemctl', 'is-active', unit]),
  ]);
  return { text, enabled: link !== undefined, active: active.stdout.trim() || 'unknown' };
}
