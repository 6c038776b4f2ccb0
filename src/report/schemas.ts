import * as z from 'zod';
import { configJsonSchema } from '../config/load.ts';

/**
 * What every answer of --json looks like. Keys may be added within a version, so the published schemas allow for more of them;
 * that none is there which is not written down here, the tests hold.
 */
const text = z.string();
const time = z.iso.datetime().describe('RFC 3339, UTC');
const answer = <K extends string, S extends z.ZodRawShape>(kind: K, shape: S) =>
  z.object({ schema: z.literal(`vgpu-guest/${kind}/1`), ...shape });

const license = z.object({
  state: z.enum(['licensed', 'grace', 'restricted', 'unlicensed', 'not-required', 'unknown']),
  product: text.optional(),
  expiresAt: time.optional(),
});

const change = z
  .looseObject({
    kind: text.describe('What would be done; the other keys depend on it'),
    because: text,
    path: text.optional(),
    diff: text.optional().describe('Of a write: a unified diff'),
  })
  .describe('One deed and its reason');

const verdict = z.discriminatedUnion('is', [
  z.object({ is: z.literal('settled'), because: text, warnings: z.array(text).optional() }),
  z.object({ is: z.literal('due'), because: text, changes: z.array(change), warnings: z.array(text).optional() }),
  z.object({ is: z.literal('blocked'), because: text, remedy: text }),
]);

const finding = z.object({
  id: text,
  severity: z.enum(['error', 'warning', 'info']),
  summary: text,
  cause: text,
  remedy: text,
  evidence: z.array(z.object({ at: text, shows: text })),
});

const setting = z
  .object({ current: text, pending: text.describe('From the next boot on') })
  .describe("In nvidia-smi's words");

const OUTCOMES = ['settled', 'changed', 'reboot-needed', 'blocked', 'failed', 'unlicensed'] as const;

/** By kind: `plan` is `vgpu-guest/plan/1`. */
export const ANSWERS = {
  plan: answer('plan', {
    changesDue: z.boolean(),
    steps: z.array(z.object({ id: text, title: text, verdict })),
  }).describe('vgpu-guest plan, revert --plan'),
  report: answer('report', {
    outcome: z.enum(OUTCOMES),
    changed: z.boolean(),
    steps: z.array(
      z.object({
        id: text,
        outcome: z.enum([...OUTCOMES, 'not-reached']),
        because: text,
        remedy: text.optional(),
        warnings: z.array(text).optional(),
        durationMs: z.number().nonnegative(),
      }),
    ),
    license,
    findings: z.array(finding).optional().describe('What explains a run that was blocked or ended unlicensed'),
    restored: z.boolean().optional().describe('Of token rotate: the old token is in its place again'),
    advice: z.array(text).optional().describe('Of token rotate: what to write into the configuration'),
  }).describe('vgpu-guest apply, revert, license wait, token rotate, prepare'),
  status: answer('status', {
    guest: z.object({ distribution: text, kernel: text, virtualization: text }),
    gpus: z.array(
      z.object({
        address: text,
        name: text.optional(),
        mode: z.enum(['vgpu', 'pass-through', 'none']),
        driver: text.optional(),
        hostDriver: text.optional().describe('The driver on the host, where a vGPU tells'),
        ecc: setting.optional().describe('Error correction of its memory; absent where there is none'),
        mig: z
          .object({
            current: text.optional(),
            pending: text.optional().describe('From the next reset of the GPU on'),
            devices: z.int().positive().optional().describe('Those that nvidia-smi lists'),
            profile: text.optional().describe('Of a vGPU that has a part of the GPU to itself'),
          })
          .optional()
          .describe("Parts of the GPU (MIG), in nvidia-smi's words; absent where there are none"),
      }),
    ),
    driver: z.object({
      installed: text.optional(),
      loaded: text.optional(),
      modules: z.literal('open').optional(),
      next: z
        .object({ kernel: text, installed: text.optional() })
        .optional()
        .describe('The kernel that the next boot takes, where it is not the running one'),
    }),
    gridd: z.object({ unit: text, active: text, failure: text.optional() }),
    license,
    screen: z.object({
      by: z.enum(['x', 'wayland', 'none']),
      programs: z.array(text),
      gpus: z.array(text).optional().describe('Absent where nobody says which GPU draws it'),
    }),
    cuda: z
      .object({ installed: text.optional(), path: text.optional(), works: z.boolean().optional() })
      .optional()
      .describe('Where the toolkit is asked for; works: with this driver, once it was tried'),
    rebootNeeded: z.boolean(),
  }).describe('vgpu-guest status'),
  doctor: answer('doctor', {
    findings: z.array(finding),
    lookedAt: z.array(z.object({ id: text, title: text, state: z.enum(['right', 'wrong', 'unknown']), saw: text })),
  }).describe('vgpu-guest doctor'),
  token: answer('token', {
    path: text,
    usable: z.boolean(),
    because: text.optional(),
    remedy: text.optional(),
    sha256: text.optional(),
    issuer: text.optional(),
    audience: text.optional(),
    issuedAt: time.optional(),
    validFrom: time.optional(),
    expiresAt: time.optional(),
    nodes: z.array(z.object({ host: text, ports: z.array(z.object({ service: text, port: z.int() })) })).optional(),
    toleranceMs: z.int(),
  }).describe('vgpu-guest token inspect'),
  'license-watch': answer('license-watch', {
    license,
    required: z.boolean(),
    action: z.enum(['none', 'wait', 'restarted']),
    because: text,
    restarts: z.int().nonnegative(),
    lastRestartAt: time.optional(),
    lastSuccessAt: time.optional(),
  }).describe('vgpu-guest license watch'),
  'reboot-required': answer('reboot-required', { rebootNeeded: z.boolean() }).describe('vgpu-guest reboot-required'),
  'config-validation': answer('config-validation', { valid: z.literal(true), path: text }).describe(
    'vgpu-guest config validate',
  ),
  generalized: answer('generalized', {
    removed: z.array(text).describe('What this run has taken away'),
    kept: z.array(text).describe('The token that license.token names, for the first boot'),
    firstBoot: z.boolean().describe('The next boot brings the guest on by itself'),
  }).describe('vgpu-guest generalize'),
  'support-bundle': answer('support-bundle', {
    path: text,
    bytes: z.int().nonnegative(),
    entries: z.array(
      z.object({
        name: text.describe('Its path in the archive'),
        how: text.describe('A command, or a file of the guest'),
        state: z.enum(['whole', 'cut', 'absent', 'failed']),
        bytes: z.int().nonnegative(),
        because: text.optional(),
        removed: z.int().nonnegative().describe('Secrets that were taken out'),
        durationMs: z.number().nonnegative(),
      }),
    ),
    unread: z.array(text).describe('Files with secrets that could not be read, so that nothing was compared with them'),
  }).describe('vgpu-guest support-bundle'),
  fault: answer('fault', { exitCode: z.int(), error: text, remedy: text.optional() }).describe(
    'Any command that ended before it had an answer',
  ),
} as const;

/** Every kind that has a schema: the answers, and the configuration file. */
export const SCHEMA_KINDS: readonly string[] = [...Object.keys(ANSWERS), 'config'];

/** The published JSON Schema of a kind. */
export function jsonSchemaOf(kind: string): object | undefined {
  if (kind === 'config') return configJsonSchema();
  const schema = Object.hasOwn(ANSWERS, kind) ? ANSWERS[kind as keyof typeof ANSWERS] : undefined;
  return schema && { $id: `vgpu-guest/${kind}/1`, ...z.toJSONSchema(schema, { io: 'input' }) };
}
