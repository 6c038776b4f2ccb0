/** A line that nvidia-gridd wrote, wherever it was found. */
export interface GriddLine {
  readonly message: string;
  /** undefined: the system logger was not given it. */
  readonly pid: number | undefined;
  /** Microseconds since 1970; undefined in a log file, whose times have no year and no zone. */
  readonly atUs: number | undefined;
  /** The journal's name for the place of the line. */
  readonly cursor?: string;
}

/** Where the license is to come from, for what there is to do about a line. */
export interface LicenseSource {
  readonly world: 'token' | 'server';
  /** Those that the token or gridd.conf names; empty: they are not known. */
  readonly servers: readonly { readonly host: string; readonly port: number }[];
}

/** What such a line means. */
export interface GriddTalk {
  readonly kind: 'started' | 'progress' | 'noise' | 'success' | 'failure';
  readonly meaning: string;
  readonly remedy?: string;
  /** The daemon gives up, or will fail in the same way until somebody acts. */
  readonly hard?: true;
  /** What the line points to, as one word, where lines of several wordings point to the same. */
  readonly sign?: GriddSign;
}

/** What goes wrong between a guest and its license, as far as the daemon's lines tell it apart. */
export type GriddSign =
  | 'token-read'
  | 'no-token'
  | 'bad-token'
  | 'identity-too-large'
  | 'other-fingerprint'
  | 'held-elsewhere'
  | 'feature-type'
  | 'no-licensable-gpu'
  | 'no-module'
  | 'cannot-write'
  | 'restricted'
  | 'refused'
  | 'tls'
  | 'windback'
  | 'clocks-differ'
  | 'no-product'
  | 'exhausted'
  | 'no-name'
  | 'unreachable'
  | 'unknown';

/** A line of `journalctl --output json`. */
export function readJournalLine(line: string): GriddLine | undefined {
  try {
    const { MESSAGE, _PID, __REALTIME_TIMESTAMP, __CURSOR } = JSON.parse(line) as Readonly<Record<string, unknown>>;
    // the journal gives an array of bytes for what is not UTF-8
    const message = Array.isArray(MESSAGE) ? Buffer.from(MESSAGE).toString('latin1') : MESSAGE;
    if (typeof message !== 'string') return undefined;
    const cursor = typeof __CURSOR === 'string' ? { cursor: __CURSOR } : {};
    return { message: printable(message), pid: asNumber(_PID), atUs: asNumber(__REALTIME_TIMESTAMP), ...cursor };
  } catch {
    return undefined;
  }
}

/** A line of the system logger's file: `Nov 20 17:01:27 guest nvidia-gridd[812]: …`, in some set-ups without the number. */
export function readSyslogLine(line: string): GriddLine | undefined {
  const [, pid, message] = /\bnvidia-gridd(?:\[(\d+)\])?: (.*)$/s.exec(line) ?? [];
  return message === undefined ? undefined : { message: printable(message), pid: asNumber(pid), atUs: undefined };
}

/** The process id of `Started (812)`, with which each run of the daemon begins. */
export function startedPid(message: string): number | undefined {
  return asNumber(/^Started \((\d+)\)/.exec(message)?.[1]);
}

/** What nvidia-gridd says, in other words, as far as its lines have been published. */
export function interpret(message: string, source: LicenseSource = UNKNOWN_SOURCE): GriddTalk {
  const talk = meaningOf(message, source);
  return talk.remedy === undefined ? talk : { ...talk, remedy: named(talk.remedy, source) };
}

const UNKNOWN_SOURCE: LicenseSource = { world: 'token', servers: [] };

/** `dls.example.com:443 and 10.0.0.5:7070`; the ports are those of the token or of gridd.conf, whatever is usual elsewhere. */
export function serversInWords({ world, servers }: LicenseSource): string {
  if (servers.length === 0) return world === 'token' ? 'every node and port of the token' : 'the license server';
  return [...new Set(servers.map(({ host, port }) => `${host.includes(':') ? `[${host}]` : host}:${port}`))].join(
    ' and ',
  );
}

/** They stand for what the token or gridd.conf names. */
const SERVERS = '{servers}';
const HOST = '{host}';

function named(remedy: string, source: LicenseSource): string {
  return remedy.replace(SERVERS, serversInWords(source)).replace(HOST, source.servers[0]?.host ?? 'NAME');
}

function meaningOf(message: string, { world }: LicenseSource): GriddTalk {
  if (world === 'server' && NO_TOKEN.test(message)) return { kind: 'noise', meaning: 'a legacy server needs no token' };
  const known = TABLE.find(([pattern]) => pattern.test(message));
  if (known) return { ...known[1], ...(known[1].kind === 'failure' ? reasonOf(message) : {}) };
  if (!/fail|error|unable|cannot|invalid|denied/i.test(message)) return { kind: 'noise', meaning: '' };
  return {
    kind: 'failure',
    sign: 'unknown',
    meaning: 'a failure that this program does not know',
    ...reasonOf(message),
  };
}

/** Said by drivers that know both worlds, even when a legacy server is configured and will do. */
const NO_TOKEN = /^Unable to fetch the client configuration token file/;
const TOKEN_REMEDY =
  'download a new client configuration token from the licensing portal, set license.token to it, and run vgpu-guest apply: it keeps every other file out of the token directory';

/** From the top: the first pattern that fits is meant. Texts as seen in published logs of R367 to R580. */
const TABLE: readonly (readonly [RegExp, GriddTalk])[] = [
  [/^Started \(\d+\)/, { kind: 'started', meaning: 'the licensing daemon has started' }],
  [
    /^License acquired successfully|^Your system is licensed/,
    { kind: 'success', meaning: 'the license server has granted a license' },
  ],
  [/^License renewed successfully/, { kind: 'success', meaning: 'the license server has renewed the license' }],
  [/^Acquiring license/, { kind: 'progress', meaning: 'the license server is being asked' }],
  [/^NLS initialized/, { kind: 'progress', sign: 'token-read', meaning: 'the token has been read and accepted' }],
  [/^License returned successfully/, { kind: 'progress', meaning: 'the license has been given back' }],
  [
    /^Mismatch between client and server with respect to licenses held/,
    {
      kind: 'progress',
      sign: 'held-elsewhere',
      meaning: 'the license server does not know the license that the guest holds, so the guest asks anew',
      remedy:
        'if it comes again and again, another guest is a clone of this one: give each its own MAC address and machine-id',
    },
  ],
  // harmless with a token, and with a vGPU even without the file: success follows
  [/^Configuration parameter .* not set/, { kind: 'noise', meaning: 'gridd.conf leaves these keys to their defaults' }],
  [/^Failed to open file \S*gridd\.conf/, { kind: 'noise', meaning: 'there is no gridd.conf' }],
  [/^Unable to open directory \/etc\/nvidia\/license/, { kind: 'noise', meaning: 'there is no node-locked license' }],
  [/^Failed to unlock PID file/, { kind: 'noise', meaning: 'the daemon is ending' }],
  [
    // the words of the C library (EROFS, ENOSPC), whatever nvidia-gridd says around them
    /Read-only file system|No space left on device/,
    {
      kind: 'failure',
      sign: 'cannot-write',
      meaning: 'a file system to which nvidia-gridd writes is read-only or full; it keeps its state in /var/lib/nvidia',
      remedy:
        'vgpu-guest doctor shows the mount of /var/lib/nvidia; let it be written, then systemctl restart nvidia-gridd',
    },
  ],
  [
    NO_TOKEN,
    {
      kind: 'failure',
      sign: 'no-token',
      meaning: 'there is no token in the token directory',
      remedy: 'set license.token to the token that the licensing portal gave, and run vgpu-guest apply',
    },
  ],
  [
    /^Failed to decode signature from token|^Failed to read configurations from client configuration token|^Failed to setup cloud License Manager/,
    {
      kind: 'failure',
      sign: 'bad-token',
      meaning: 'a file in the token directory is no valid token: damaged, outdated, or another file altogether',
      remedy: TOKEN_REMEDY,
      hard: true,
    },
  ],
  [
    /Maximum buffer size exceeded|^Failed to register client/,
    {
      kind: 'failure',
      sign: 'identity-too-large',
      meaning: 'the guest has too many network interfaces for the identity that the license server is given',
      remedy:
        'take away the network interfaces that the guest does not need, or start nvidia-gridd before they are made',
    },
  ],
  [
    /^Client fingerprint mismatch/,
    {
      kind: 'failure',
      sign: 'other-fingerprint',
      meaning: 'the guest has other MAC addresses than the one that took the license',
      remedy: 'keep the MAC addresses of the guest; with a server in reach a new license follows by itself',
    },
  ],
  [
    /^Invalid feature type requested/,
    {
      kind: 'failure',
      sign: 'feature-type',
      meaning: 'FeatureType in gridd.conf does not fit this GPU',
      remedy: 'set license.feature to vws or compute on pass-through, or to auto on a vGPU',
      hard: true,
    },
  ],
  [
    /^Licensing not supported for GPUs in the system|^Failed to handle license change events/,
    {
      kind: 'failure',
      sign: 'no-licensable-gpu',
      meaning: 'no GPU of this guest can be licensed',
      remedy:
        'give the guest a vGPU or a licensable GPU, or ask for no license: take license.token or license.server away',
      hard: true,
    },
  ],
  [
    /^Failed to initialise RM client/,
    {
      kind: 'failure',
      sign: 'no-module',
      meaning: 'the kernel module is not loaded, or of another version than nvidia-gridd',
      remedy:
        'reboot; if it stays, compare /proc/driver/nvidia/version with the installed driver and run vgpu-guest apply',
    },
  ],
  [
    /^Valid GRID license not found/,
    { kind: 'failure', sign: 'restricted', meaning: 'the GPU runs without a license and is or will be slowed down' },
  ],
  [
    /^Failed to acquire(?:\/renew)? /,
    { kind: 'failure', sign: 'refused', meaning: 'the license server has not granted a license' },
  ],
  [/^Shutdown \(\d+\)/, { kind: 'progress', meaning: 'the licensing daemon has ended' }],
  [
    /^(?:vGPU Software package|Ignore service provider|Service provider detection|Calling load_byte_array)/,
    { kind: 'noise', meaning: '' },
  ],
];

/** What follows `Error:` is free text; these words tell the causes apart. */
const REASONS: readonly (readonly [
  RegExp,
  Required<Pick<GriddTalk, 'sign' | 'meaning' | 'remedy'>> & Pick<GriddTalk, 'hard'>,
])[] = [
  [
    /SSL|TLS|certificate/i,
    {
      sign: 'tls',
      meaning: 'the connection to the license server is not trusted',
      remedy:
        'vgpu-guest doctor shows who issued the certificate of {servers}: if it is your own DLS, download a new token from it, as after each change of its certificate or host name, and vgpu-guest token rotate FILE; if it is an intercepting proxy, let it except that host',
    },
  ],
  [
    /windback/i,
    {
      sign: 'windback',
      meaning: "the guest's clock has jumped back since the last license",
      remedy: 'set the clock and keep it right (chrony or systemd-timesyncd), then run systemctl restart nvidia-gridd',
      hard: true,
    },
  ],
  [
    /allowed time to process response|expired/i,
    {
      sign: 'clocks-differ',
      meaning: 'the clocks of the guest and the license server differ, or the token has expired',
      remedy: 'set both clocks by NTP (timedatectl); if it stays, download a new token from the licensing portal',
    },
  ],
  [
    /No pool features found|feature was not found|7000000B/i,
    {
      sign: 'no-product',
      meaning: 'the license server has no license of the product that this guest asks for',
      remedy:
        'assign licenses of that product to the license server in the licensing portal, or give the guest another vGPU profile (on pass-through: another license.feature)',
    },
  ],
  [
    /insufficient|exceed|no (?:more |free |available )?licenses?\b|exhaust/i,
    {
      sign: 'exhausted',
      meaning: 'all licenses of that product are in use',
      remedy:
        'free a license on the license server, or add some; guests that were not shut down keep theirs until they expire',
    },
  ],
  [
    /resolve|name or service|unknown host/i,
    {
      sign: 'no-name',
      meaning: "the license server's name is not found",
      remedy:
        'let the guest resolve the name (getent ahosts {host} shows what it finds): set its name server, or put the DLS into /etc/hosts',
    },
  ],
  [
    /timed? ?out|timeout|connect|unreachable|refused/i,
    {
      sign: 'unreachable',
      meaning: 'the license server cannot be reached',
      remedy: 'open the way from this guest to {servers} in firewall and routing, and see that the service runs there',
    },
  ],
];

/** Only of the tail after `Error:`, so that a host name cannot pass for a reason. */
function reasonOf(message: string): Pick<GriddTalk, 'sign' | 'meaning' | 'remedy' | 'hard'> | undefined {
  const tail = /Error: (.*)$/.exec(message)?.[1];
  return tail === undefined ? undefined : REASONS.find(([pattern]) => pattern.test(tail))?.[1];
}

/** No message of the daemon is nearly as long. */
const MESSAGE_LIMIT = 1_000;

/** Nothing that moves a terminal's cursor, and no more than is worth reading. */
function printable(text: string): string {
  return text
    .slice(0, MESSAGE_LIMIT)
    .replace(/[\0-\x1f\x7f-\x9f\u2028\u2029]+/g, ' ')
    .trim();
}

function asNumber(value: unknown): number | undefined {
  return typeof value === 'string' && /^\d+$/.test(value) ? Number(value) : undefined;
}
