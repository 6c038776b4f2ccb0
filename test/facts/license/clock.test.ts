import { expect, it } from 'vitest';
import { configSchema } from '../../../src/config/schema.ts';
import { lookAt } from '../../../src/facts/facts.ts';
import { openGuest } from '../../../src/guest/open-guest.ts';
import { temporaryFolder, writeProgram } from '../../helpers/temporary.ts';

async function clockOf(programs: Readonly<Record<string, string>>) {
  const root = temporaryFolder();
  for (const [name, text] of Object.entries(programs)) writeProgram(root, name, `cat <<'END'\n${text}\nEND`);
  return await lookAt(openGuest({ root }), configSchema.parse({})).fact('clock');
}

// as systemd 252 prints it
const SHOW = `Timezone=Etc/UTC
LocalRTC=no
CanNTP=yes
NTP=yes
NTPSynchronized=yes
TimeUSec=Sat 2026-11-21 09:26:00 UTC
RTCTimeUSec=Sat 2026-11-21 09:26:00 UTC`;
// as chrony 4.3 prints it
const TRACKING = `Reference ID    : 0A000001 (10.0.0.1)
Stratum         : 3
System time     : 3600.000012345 seconds slow of NTP time
Last offset     : +0.000012345 seconds
Leap status     : Normal`;

it('systemd says whether the clock is in step, and what the hardware clock keeps', async () => {
  const clock = await clockOf({ timedatectl: SHOW });
  expect(clock).toMatchObject({ synchronized: true, hardwareClockIsLocal: false, aheadS: undefined });
  expect(clock.evidence).toContainEqual({ at: 'timedatectl show', shows: 'NTPSynchronized=yes' });
});

it('chrony says by how much it is off', async () => {
  const clock = await clockOf({ chronyc: TRACKING });
  expect(clock).toMatchObject({ synchronized: true, hardwareClockIsLocal: undefined, aheadS: -3600.000012345 });
  expect(clock.evidence).toContainEqual({
    at: 'chronyc -n tracking',
    shows: 'System time : 3600.000012345 seconds slow of NTP time',
  });
});

it('a clock that nothing keeps is known as such', async () => {
  expect(await clockOf({ timedatectl: SHOW.replace('NTPSynchronized=yes', 'NTPSynchronized=no') })).toMatchObject({
    synchronized: false,
  });
  expect(await clockOf({ chronyc: TRACKING.replace('Normal', 'Not synchronised') })).toMatchObject({
    synchronized: false,
  });
});

it('where nobody can be asked, nothing is known', async () => {
  expect(await clockOf({})).toEqual({
    synchronized: undefined,
    hardwareClockIsLocal: undefined,
    aheadS: undefined,
    evidence: [],
  });
});
