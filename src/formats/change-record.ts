import * as z from 'zod';

const sha256 = z.string().regex(/^[0-9a-f]{64}$/);
const path = z.string().startsWith('/');

/** A file as it was before this program first changed it. */
const before = z.object({
  sha256,
  mode: z.int().nonnegative(),
  uid: z.int().nonnegative(),
  gid: z.int().nonnegative(),
  /** SELinux's; absent where there is none. */
  label: z.string().optional(),
});

const file = z.object({
  /** null: there was none. */
  before: before.nullable(),
  /** Of every text that this program has put there, or was about to, the newest last. */
  ours: z.array(sha256),
  /** What this program has set the mode to. */
  mode: z.int().nonnegative().optional(),
  /** A token: nothing of it is ever shown. */
  isSecret: z.literal(true).optional(),
  /** What stood there when this program wrote over it was neither of its own nor the original. */
  mixed: z.literal(true).optional(),
});

const unit = z.object({ enabled: z.string(), active: z.string() });

const record = z.object({
  schema: z.literal('vgpu-guest/changes/1'),
  files: z.record(path, file),
  /** Folders that were made for such files, the upper ones first. */
  folders: z.array(path),
  /** What was in the way and now lies elsewhere. */
  moves: z.array(z.object({ from: path, to: path })),
  /** Packages that came with an installation, as the package database names them. */
  packages: z.array(z.string()),
  /** UnitFileState and ActiveState before this program first touched a unit. */
  units: z.record(z.string(), unit),
  /** The driver of a package; `before`: the one whose place it took. */
  driver: z.object({ version: z.string(), before: z.string().nullable() }).optional(),
  /** By the address of a GPU: what its memory would have done from the next boot on. */
  ecc: z.record(z.string(), z.enum(['on', 'off'])).optional(),
  /** Releases of the CUDA toolkit (`12.8`) that came from a runfile. */
  toolkits: z.array(z.string()).optional(),
});

/** What this program has changed on a guest, so that it can be put back; written ahead of each deed. */
export type ChangeRecord = Readonly<z.infer<typeof record>>;
/** One path of it. */
export type FileRecord = Readonly<z.infer<typeof file>>;
export type FileBefore = Readonly<z.infer<typeof before>>;

export const NOTHING_CHANGED: ChangeRecord = {
  schema: 'vgpu-guest/changes/1',
  files: {},
  folders: [],
  moves: [],
  packages: [],
  units: {},
};

/** The record in a file's text; `because` says what is wrong with what is none. */
export function parseChangeRecord(text: string): { readonly record: ChangeRecord } | { readonly because: string } {
  try {
    const read = record.safeParse(JSON.parse(text));
    if (read.success) return { record: read.data };
    const [issue] = read.error.issues;
    return { because: `${issue?.path.join('.') || 'it'}: ${issue?.message}` };
  } catch (error) {
    return { because: `it is no JSON (${(error as Error).message})` };
  }
}

export function changeRecordText(changes: ChangeRecord): string {
  return `${JSON.stringify(changes, null, 2)}\n`;
}

/** Nothing in it is left to be put back. */
export function isNothing({
  files,
  folders,
  moves,
  packages,
  units,
  driver,
  ecc = {},
  toolkits = [],
}: ChangeRecord): boolean {
  const lists = [Object.keys(files), folders, moves, packages, Object.keys(units), Object.keys(ecc), toolkits];
  return lists.every(list => list.length === 0) && driver === undefined;
}
