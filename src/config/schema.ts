import * as z from 'zod';
import { faultOfGriddValue } from '../formats/license/gridd-keys.ts';

// each schema is parsed with once or twice in a run: code of its own, which zod makes at the first time, takes longer than that
z.config({ jitless: true });

/** `license.feature` → the number that gridd.conf's FeatureType takes (SUSE's and NVIDIA's guides); `auto` writes none. */
export const FEATURE_TYPES = { vapps: 0, vgpu: 1, vws: 2, compute: 4 } as const;

const DURATION_MS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 } as const;

/** `120s` → 120000; undefined when it is not a number with ms, s, m or h. */
function parseDuration(text: string): number | undefined {
  const [, amount, unit] = /^(\d+)(ms|s|m|h)$/.exec(text) ?? [];
  return amount && unit ? Number(amount) * DURATION_MS[unit as keyof typeof DURATION_MS] : undefined;
}

const A_DURATION = 'a duration such as 90s, 2m or 1h';
const duration = z
  .string(A_DURATION)
  .regex(/^\d+(ms|s|m|h)$/, A_DURATION)
  .describe('A duration: a number with ms, s, m or h')
  .meta({ examples: ['120s'] });
const absolutePath = z.string().regex(/^\/[^\0\n]*$/, 'an absolute path on this guest (nothing is fetched from a URL)');
const port = z.int().min(1).max(65_535);
const hostName = z.string().regex(/^[A-Za-z0-9]([A-Za-z0-9.:-]*[A-Za-z0-9])?$/, 'a host name or an IP address');
/** A file, or what is downloaded; user names and passwords have no place in a file that others may read. */
const fileOrUrl = z
  .string()
  .regex(
    /^(?:\/[^\0\n]*|https:\/\/[^\s/?#@]+(?:[/?#]\S*)?)$/,
    'an absolute path on this guest, or an https:// URL without user name and password',
  );
/** nvidia-gridd reads its file without any blanks. */
const griddDirectory = z
  .string()
  .regex(/^\/[^\0\s"]*$/, 'an absolute path without blanks, which nvidia-gridd passes over');
/** nvidia-gridd compares with the words TRUE and FALSE, and YAML reads them as booleans. */
const griddScalar = z
  .union([z.string().regex(/^[^\0-\x1f\x7f]*$/, 'one line of text'), z.number(), z.boolean(), z.null()])
  .transform(value => (typeof value === 'boolean' ? String(value).toUpperCase() : String(value ?? '').trim()));
const gridd = z
  .record(z.string().regex(/^[A-Za-z][A-Za-z0-9]*$/, 'a gridd.conf key'), griddScalar)
  .superRefine((given, context) => {
    for (const [key, value] of Object.entries(given)) {
      const fault = faultOfGriddValue(key, value);
      if (fault !== undefined) context.addIssue({ code: 'custom', path: [key], message: fault });
    }
  });

/** The package's own wrapper hands options on without quotes. */
const keyPath = z.string().regex(/^\/[^\0\s"'*?[\]\\$`]*$/, 'an absolute path without blanks and wildcards');

const driver = z
  .strictObject({
    package: fileOrUrl.optional().describe("NVIDIA's .run package: a file on this guest, or a URL"),
    sha256: z
      .string()
      .regex(/^[0-9a-f]{64}$/i, '64 hexadecimal digits')
      .optional()
      .describe('What the package must hash to'),
    dkms: z
      .boolean()
      .default(true)
      .describe('Register the kernel modules with DKMS, so that kernel updates keep the driver'),
    kernelModules: z
      .enum(['open', 'proprietary'])
      .optional()
      .describe("Which of the package's kernel modules to install; without it, what its installer chooses for the GPU"),
    signingKey: keyPath
      .optional()
      .describe('The private key (PEM) that kernel modules are signed with, where Secure Boot wants that'),
    signingCertificate: keyPath.optional().describe('Its certificate (DER), which the firmware must know'),
  })
  .refine(given => given.package === undefined || given.package.startsWith('/') || given.sha256 !== undefined, {
    path: ['sha256'],
    message: 'what a package from a URL must hash to; without it nobody would notice another file',
  })
  .refine(given => (given.signingKey === undefined) === (given.signingCertificate === undefined), {
    path: ['signingCertificate'],
    message: 'a key and its certificate belong together: give both of them',
  });

const server = z.strictObject({
  address: hostName.describe('ServerAddress'),
  port: port.default(7070).describe('ServerPort'),
  backupAddress: hostName.optional().describe('BackupServerAddress'),
  backupPort: port.optional().describe('BackupServerPort'),
});

const license = z
  .strictObject({
    feature: z
      .enum(['auto', 'vgpu', 'vws', 'compute', 'vapps'])
      .default('auto')
      .describe('Which license to ask for; auto: what the vGPU profile says'),
    token: fileOrUrl
      .optional()
      .describe('The client configuration token of CLS or DLS (NVIDIA License System): a file on this guest, or a URL'),
    tokenDirectory: griddDirectory
      .default('/etc/nvidia/ClientConfigToken')
      .describe('Where nvidia-gridd finds the token'),
    server: server.optional().describe('The legacy license server, instead of a token'),
    timeout: duration.default('120s').describe('How long to wait for the license'),
  })
  .refine(given => !(given.token && given.server), {
    path: ['server'],
    message: 'a token and a legacy server are two different worlds: give one of them',
  })
  .transform(({ timeout, ...rest }) => ({ ...rest, timeoutMs: parseDuration(timeout) ?? 0 }));

const A_SIZE = 'a size in pixels such as 1920x1080';
const size = z
  .string(A_SIZE)
  .regex(/^[1-9]\d{1,4}x[1-9]\d{1,4}$/, A_SIZE)
  .meta({ examples: ['1920x1080'] });
const A_GPU = 'a PCI address (0000:06:00.0), a UUID (GPU-…) or the index that nvidia-smi -L shows';
/** YAML reads an index as a number. */
const whichGpu = z
  .union(
    [
      z.int().min(0),
      z
        .string()
        .regex(
          /^(?:\d+|(?:[\da-fA-F]{4,8}:)?[\da-fA-F]{2}:[01][\da-fA-F]\.[0-7]|GPU-[\da-fA-F]{8}(?:-[\da-fA-F]{4}){3}-[\da-fA-F]{12})$/,
          A_GPU,
        ),
    ],
    A_GPU,
  )
  .transform(String);

const xorg = z.strictObject({
  manage: z
    .enum(['auto', 'always', 'never'])
    .default('auto')
    .describe('auto: patch an existing xorg.conf; always: create one if missing; never: leave it alone'),
  gpu: whichGpu
    .optional()
    .describe('The GPU that X is for where there are several: its PCI address, its UUID, or its index in nvidia-smi'),
  atBoot: z
    .boolean()
    .default(false)
    .describe('Look at the BusID again at every boot: on Hyper-V the address of a GPU changes'),
  allowEmptyInitialConfiguration: z.boolean().optional().describe('X starts although no monitor is seen'),
  hardDpms: z.boolean().optional().describe('Whether the driver turns a monitor off altogether'),
  virtual: size.optional().describe('The virtual resolution of the screen'),
  restartDisplayManager: z
    .boolean()
    .default(false)
    .describe('Restart the display manager, and end its sessions, when X runs with an older configuration'),
});

const vnc = z.strictObject({
  passwordFile: absolutePath.describe('The password, as x11vnc -storepasswd writes it; nothing is shown without one'),
  listen: z
    .string()
    .regex(
      /^(?:localhost|all|(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)(?:\.(?!$)|$)){4})$/,
      'localhost, all or an IPv4 address of this guest',
    )
    .default('localhost')
    .describe('Where viewers may come from: this guest alone (through a tunnel), everywhere, or by one address'),
  port: port.default(5900).describe('The TCP port'),
  display: z
    .string()
    .regex(/^:\d{1,2}$/, 'a display of X such as :0')
    .default(':0')
    .describe('The display that is shown'),
  geometry: size.optional().describe('The size that viewers see; the screen itself keeps its own'),
});

const gpu = z.strictObject({
  ecc: z
    .boolean()
    .optional()
    .describe('Whether the memory of every NVIDIA GPU corrects its errors; without it that is left as it is'),
});

const cuda = z
  .strictObject({
    package: absolutePath.optional().describe("NVIDIA's runfile of the CUDA toolkit, a file on this guest"),
    sha256: z
      .string()
      .regex(/^[0-9a-f]{64}$/i, '64 hexadecimal digits')
      .optional()
      .describe('What the runfile must hash to'),
    packages: z
      .array(z.string().regex(/^[A-Za-z0-9][A-Za-z0-9+._:-]*$/, 'the name of a package'))
      .min(1)
      .optional()
      .describe('Packages of the toolkit, from repositories that the guest has already; none that brings a driver'),
    prove: z.boolean().default(true).describe('Compile and run a small program, once for each driver and toolkit'),
  })
  .refine(given => (given.package === undefined) !== (given.packages === undefined), {
    path: ['packages'],
    message: 'the toolkit comes from a runfile (package) or from packages: give one of them',
  });

/** The units that go on after a reboot give a run two hours, of which some minutes are for what it puts back. */
const MOST_RUN_MS = 110 * 60_000;

/** The configuration file, key by key. Strict: an unknown key is an error. */
export const configSchema = z
  .strictObject({
    driver: driver.prefault({}).describe('The NVIDIA driver of the guest'),
    license: license.prefault({}).describe('Where the license comes from'),
    gridd: gridd
      .default({})
      .describe('Any other key of gridd.conf, written as it is; one without a value is left out of gridd.conf'),
    xorg: xorg.prefault({}).describe('The X server'),
    vnc: vnc.optional().describe('Show the screen to VNC viewers (x11vnc); without it nothing is shown'),
    gpu: gpu.prefault({}).describe('Settings of the GPUs themselves'),
    cuda: cuda.optional().describe('The CUDA toolkit; without it none is installed'),
    reboot: z.enum(['never', 'auto']).default('never').describe('auto: reboot by itself when the journey needs it'),
    lockTimeout: duration
      .default('5m')
      .describe("How long another program may hold the package manager's lock, or be at work on modules or an initrd"),
    runTimeout: duration
      .refine(
        text => (parseDuration(text) ?? 0) <= MOST_RUN_MS,
        'a duration of 110m at most: a unit ends its run after 2h',
      )
      .default('110m')
      .describe('How long a whole run may take; one that hangs is stopped then, and says where'),
  })
  .transform(({ lockTimeout, runTimeout, ...rest }) => ({
    ...rest,
    lockTimeoutMs: parseDuration(lockTimeout) ?? 0,
    runTimeoutMs: parseDuration(runTimeout) ?? 0,
  }))
  .describe('Configuration of vgpu-guest');

/** What a person may write. */
export type Settings = z.input<typeof configSchema>;
/** What the program reads: complete, durations in milliseconds, gridd values as text. */
export type Config = z.output<typeof configSchema>;
