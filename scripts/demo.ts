import { styleText } from 'node:util';
import { makeFolderGuest, type Ran } from '../test/helpers/folder-guest.ts';

/** The whole journey on a guest in a folder: its programs are stand-ins, the agent is the real one. */
using guest = makeFolderGuest({ family: 'suse', license: { delayS: 0.5 } });
const startedMs = performance.now();
let faults = 0;

say(`This is a SUSE guest that lives in ${guest.root}: bare, with a vGPU that nouveau has taken.`);
say('Its programs (zypper, dracut, systemctl, …) and its .run package are stand-ins as strict as the real ones.');

show('What would have to change? Nothing is touched.');
await expectCode(0, 'plan');
expect('plan called no changing program', guest.calls('change').length === 0);

show('Make it so: packages, the blacklist, the initrd; then nouveau must go, which takes a reboot (exit code 3).');
await expectCode(3, 'apply');

show('The guest reboots. A unit that apply enabled goes on by itself: driver, gridd.conf, token, license.');
command('reboot');
const boot = await guest.reboot();
print(boot.resumed);
expect('nouveau is gone', !boot.nouveauBound);
expect('the resumed journey ended with exit code 0', boot.resumed?.code === 0);

show('Once more: everything is settled, and nothing is changed.');
const before = JSON.stringify(guest.manifest());
guest.forgetCalls();
await expectCode(0, 'apply');
expect('the second run called no changing program', guest.calls('change').length === 0);
expect('the second run left every file as it was', JSON.stringify(guest.manifest()) === before);

show('The guest at a glance.');
const status = await expectCode(0, 'status');
expect('the guest is licensed', /licensed, NVIDIA RTX Virtual Workstation/.test(status.stdout));
const leaked = [boot.resumed, status].some(ran => JSON.stringify(ran).includes(guest.tokenText));
expect('the token is in no output', !leaked);

const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
say(
  faults === 0 ? `All as it should be, in ${seconds} s.` : `${faults} of the things above are not as they should be.`,
);
process.exitCode = faults === 0 ? 0 : 1;

async function expectCode(code: number, ...args: readonly string[]): Promise<Ran> {
  command(`vgpu-guest ${args.join(' ')}`);
  const ran = await guest.vgpuGuest(args);
  print(ran);
  expect(`exit code ${code}`, ran.code === code, `it was ${ran.code}`);
  return ran;
}

function say(text: string): void {
  console.log(styleText('bold', text));
}

function show(text: string): void {
  console.log();
  say(text);
}

function command(line: string): void {
  console.log(styleText('cyan', `# ${line}`));
}

/** The answer and the talk, as a terminal shows both. */
function print(ran: Ran | undefined): void {
  for (const text of [ran?.stderr, ran?.stdout]) if (text) console.log(text.trimEnd());
}

function expect(what: string, holds: boolean, otherwise = 'it is not so'): void {
  if (holds) return void console.log(styleText('green', `  ✓ ${what}`));
  faults++;
  console.log(styleText('red', `  ✗ ${what}: ${otherwise}`));
}
