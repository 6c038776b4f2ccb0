import { describe, expect, test } from 'vitest';
import * as z from 'zod';
import { ANSWERS, jsonSchemaOf, SCHEMA_KINDS } from '../../src/report/schemas.ts';
import { makeFolderGuest, type Ran } from '../helpers/folder-guest.ts';

type Kind = keyof typeof ANSWERS;

test('a whole journey answers with what the schemas say, and with nothing else', async () => {
  using guest = makeFolderGuest({ license: { delayS: 0.2 } });
  const ask = async (...args: readonly string[]) => await guest.vgpuGuest([...args, '--json']);
  holds('plan', await ask('plan'));
  holds('status', await ask('status'));
  holds('doctor', await ask('doctor'));
  holds('reboot-required', await ask('reboot-required'));
  holds('report', await ask('apply'));
  await guest.reboot();
  holds('report', await ask('apply'));
  holds('status', await ask('status'));
  holds('doctor', await ask('doctor'));
  holds('license-watch', await ask('license', 'watch'));
  holds('report', await ask('license', 'wait'));
  holds('token', await ask('token', 'inspect', guest.tokenPath));
  holds('report', await ask('token', 'rotate', guest.tokenPath));
  holds('plan', await ask('revert', '--plan', '--driver', '--packages'));
  holds('report', await ask('revert', '--driver'));
  holds('config-validation', await ask('config', 'validate'));
  holds('generalized', await ask('generalize'));
});

test('a guest that is blocked and one whose license does not come answer by the same schemas', async () => {
  using without = makeFolderGuest({ gpus: 0, token: 'expired' });
  holds('plan', await without.vgpuGuest(['plan', '--json']));
  const blocked = holds('report', await without.vgpuGuest(['apply', '--json']));
  expect(blocked).toMatchObject({ outcome: 'blocked' });
  holds('doctor', await without.vgpuGuest(['doctor', '--json']));
  holds('token', await without.vgpuGuest(['token', 'inspect', without.tokenPath, '--json']));
  holds('report', await without.vgpuGuest(['prepare', '--json']));
  holds('fault', await without.vgpuGuest(['plan', '--only', 'nothing', '--json']));
});

describe('every schema that is published', () => {
  test.each(SCHEMA_KINDS)('%s: the program prints it, and it is a JSON Schema', async kind => {
    using guest = makeFolderGuest({ gpus: 0 });
    const { code, stdout } = await guest.vgpuGuest(['schema', kind]);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toEqual(jsonSchemaOf(kind));
    expect(() => z.fromJSONSchema(JSON.parse(stdout))).not.toThrow();
  });

  test('one that is not there is answered with those that are', async () => {
    using guest = makeFolderGuest({ gpus: 0 });
    const { code, stderr } = await guest.vgpuGuest(['schema', 'reprot']);
    expect({ code, stderr }).toMatchObject({ code: 64, stderr: expect.stringContaining('report') });
  });
});

/** The answer is of this kind, and every key of it is written down. */
function holds(kind: Kind, { stdout, stderr }: Ran): object {
  const answer = JSON.parse(stdout || JSON.stringify({ noAnswer: stderr }));
  expect(ANSWERS[kind].parse(answer)).toEqual(answer);
  z.fromJSONSchema(JSON.parse(JSON.stringify(jsonSchemaOf(kind)))).parse(answer);
  return answer;
}
