import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type FolderGuest, makeFolderGuest, type Ran } from '../helpers/folder-guest.ts';

interface PlannedStep {
  readonly id: string;
  readonly verdict: { readonly is: string; readonly changes?: readonly { readonly kind: string }[] };
}
interface ReportedStep {
  readonly id: string;
  readonly outcome: string;
}

describe.each(['sles-15.6', 'rocky-9', 'ubuntu-24.04', 'debian-12'] as const)('a bare %s', distribution => {
  let guest: FolderGuest;
  let told: Awaited<ReturnType<typeof tell>>;
  beforeAll(async () => {
    guest = makeFolderGuest({ distribution });
    told = await tell(guest);
  });
  afterAll(() => guest.dispose());

  test('is left as it was by plan', () => {
    const { plan, planCalls, untouched } = told;
    expect(plan.code).toBe(0);
    expect(planCalls).toEqual([]);
    expect(untouched).toBe(true);
  });

  test('is changed up to the reboot, and goes on by itself after it', () => {
    const { first, boot } = told;
    expect(first.code).toBe(3);
    expect(outcomes(first)).toEqual({
      'install-prerequisites': 'changed',
      'blacklist-nouveau': 'changed',
      'rebuild-initrd': 'changed',
      'leave-nouveau': 'reboot-needed',
      'install-driver': 'not-reached',
      'configure-gridd': 'not-reached',
      'place-token': 'not-reached',
      'restart-gridd': 'not-reached',
      'await-license': 'not-reached',
      'patch-xorg': 'not-reached',
      'watch-screen': 'not-reached',
      'restart-display-manager': 'not-reached',
      'return-to-screen': 'not-reached',
      'share-screen': 'not-reached',
      'set-ecc': 'not-reached',
      'install-cuda': 'not-reached',
    });
    expect(boot.nouveauBound).toBe(false);
    expect(boot.resumed?.code).toBe(0);
  });

  test('is licensed in the end, and no unit waits for the next boot', () => {
    const { status } = told;
    expect(JSON.parse(status.stdout)).toMatchObject({
      schema: 'vgpu-guest/status/1',
      guest: { kernel: guest.kernel },
      gpus: [{ address: '0000:00:06.0', mode: 'vgpu', driver: 'nvidia' }],
      driver: { installed: '570.211.01', loaded: '570.211.01' },
      gridd: { active: 'active' },
      license: { state: 'licensed', product: 'NVIDIA RTX Virtual Workstation' },
      rebootNeeded: false,
    });
    expect(guest.list('/etc/systemd/system/multi-user.target.wants')).toEqual(['nvidia-gridd.service']);
    expect(guest.read('/var/lib/vgpu-guest/resume.json')).toBeUndefined();
  });

  test('is changed where plan said that it would be, and nowhere else', () => {
    const { plan, first, boot } = told;
    const planned = (JSON.parse(plan.stdout) as { steps: readonly PlannedStep[] }).steps;
    const due = planned.filter(step => step.verdict.is === 'due').map(step => step.id);
    const after = [...Object.entries(outcomes(first)), ...Object.entries(resumedOutcomes(boot.resumed))];
    const changed = after.filter(([, outcome]) => ['changed', 'reboot-needed'].includes(outcome)).map(([id]) => id);
    // a license that comes before somebody waits for it needs no waiting
    const sure = (ids: readonly string[]) => ids.filter(id => id !== 'await-license');
    expect(sure(changed)).toEqual(sure(due));
  });

  test('is settled for a second run, which calls no changing program and touches no file', () => {
    const { second, secondCalls, unchanged } = told;
    expect(second.code).toBe(0);
    expect(new Set(Object.values(outcomes(second)))).toEqual(new Set(['settled']));
    expect(secondCalls).toEqual([]);
    expect(unchanged).toBe(true);
  });

  test('has no error-level line in its log', () => {
    const lines = (guest.read('/var/log/vgpu-guest.log') ?? '').split('\n').filter(Boolean);
    const levels = lines.map(line => (JSON.parse(line) as { level: string }).level);
    expect(levels.length).toBeGreaterThan(10);
    expect(levels.filter(level => level === 'error')).toEqual([]);
  });

  test('keeps the token out of every output, log and report', () => {
    const { plan, first, boot, second, status } = told;
    const outputs = [plan, first, boot.resumed, second, status].map(ran => `${ran?.stdout}${ran?.stderr}`);
    const files = ['/var/log/vgpu-guest.log', '/var/lib/vgpu-guest/last-report.json'].map(
      path => guest.read(path) ?? '',
    );
    // the signature alone would do to steal a token whose other parts can be guessed
    const [head = '', claims = '', signature = ''] = guest.tokenText.split('.');
    for (const text of [...outputs, ...files]) {
      for (const part of [head, claims, signature]) expect(text.includes(part)).toBe(false);
    }
  });
});

/** The whole story, told once; what the tests look at is kept as it was at that moment. */
async function tell(guest: FolderGuest) {
  const bare = tree(guest);
  const plan = await guest.vgpuGuest(['plan', '--json']);
  const planCalls = guest.calls('change');
  const untouched = tree(guest) === bare;
  const first = await guest.vgpuGuest(['apply', '--json']);
  const boot = await guest.reboot();
  const settled = tree(guest);
  guest.forgetCalls();
  const second = await guest.vgpuGuest(['apply', '--json']);
  const secondCalls = guest.calls('change');
  const unchanged = tree(guest) === settled;
  const status = await guest.vgpuGuest(['status', '--json']);
  return { plan, planCalls, untouched, first, boot, second, secondCalls, unchanged, status };
}

function tree(guest: FolderGuest): string {
  return JSON.stringify(guest.manifest());
}

function outcomes(ran: Ran): Record<string, string> {
  const { steps } = JSON.parse(ran.stdout) as { steps: readonly ReportedStep[] };
  return Object.fromEntries(steps.map(step => [step.id, step.outcome]));
}

/** The unit runs without --json; its report is what is left in the text. */
function resumedOutcomes(ran: Ran | undefined): Record<string, string> {
  const lines = `${ran?.stderr}\n${ran?.stdout}`.matchAll(/^ ?\d+\/\d+ (\S+) {2}(\S+)/gm);
  return Object.fromEntries([...lines].map(([, id = '', outcome = '']) => [id, outcome]));
}
