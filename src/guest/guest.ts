import type { Argv } from '../change.ts';

/** How a program ended. An absent program is code 127, one that ran past its time is code 124. */
export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A file as `stat` sees it, links followed inside the guest. Times are microseconds since 1970. */
export interface FileStat {
  readonly kind: 'file' | 'directory' | 'other';
  readonly sizeBytes: number;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly modifiedUs: number;
  /** The inode's change time: unlike `modifiedUs` it cannot be set back by `cp -p` or `touch`. */
  readonly changedUs: number;
}

/** The last part of a file that grows. */
interface FileEnd {
  readonly text: string;
  /** The file has more before it, so that its first line may be cut. */
  readonly isCut: boolean;
  readonly endsAtByte: number;
}

/** What the machine itself says of its hardware, where no file of the guest does; nothing for a guest in a folder. */
export interface Hardware {
  /** The hypervisor's name, for example `KVM`; undefined when it is unknown. */
  virtualHost(): Promise<string | undefined>;
  /** Names that the PCI database gives to display controllers, by PCI address (`0000:00:06.0`). */
  displayNames(): Promise<ReadonlyMap<string, string>>;
}

/** A certificate as it was shown; times are microseconds since 1970. */
export interface SeenCertificate {
  readonly subject: string;
  readonly issuer: string;
  readonly validFromUs: number;
  readonly validToUs: number;
  /** `DNS:dls.example.com`, `IP Address:10.0.0.5` */
  readonly names: readonly string[];
}

/** What a connection to a port came to. Codes are those of the system, of OpenSSL or of Node, as they are. */
export type Probe =
  /** Nobody could be asked. */
  | { readonly is: 'unknown'; readonly because: string }
  | { readonly is: 'unconnected'; readonly code: string }
  | {
      readonly is: 'connected';
      readonly tls?:
        | { readonly is: 'failed'; readonly code: string }
        | {
            readonly is: 'agreed';
            /** The server's own certificate first. */
            readonly chain: readonly SeenCertificate[];
            /** Why the chain is not trusted; undefined: it is, or nothing says what to trust. */
            readonly fault?: string;
            /** How far the server's clock is ahead of the guest's, to a second; undefined: it did not say. */
            readonly serverAheadUs?: number;
          };
    };

export interface ProbeOptions {
  readonly timeoutMs: number;
  /** Shake hands as well; `trusted`: the certificates, as PEM, that this guest trusts. */
  readonly tls?: { readonly serverName: string; readonly trusted: string | undefined };
}

/** Eyes: everything that looks at the guest and changes nothing. Every path is the guest's own, absolute. */
export interface GuestView {
  /** The whole text, undefined when there is no such file. Fails by name above `limitBytes` (1 MiB unless given). */
  readText(path: string, limitBytes?: number): Promise<string | undefined>;
  /** The first `limitBytes` of a file of any size, each byte as one character (latin1). */
  readStart(path: string, limitBytes: number): Promise<string | undefined>;
  /** The last `limitBytes` of a file of any size, and where in it they end: what is added later begins there. */
  readEnd(path: string, limitBytes: number): Promise<FileEnd | undefined>;
  /** Hex digest of a file; `fromByte` leaves out what is before it. A large file is read again only when it has changed. */
  digest(path: string, algorithm: 'md5' | 'sha256', fromByte?: number): Promise<string | undefined>;
  /** Names in a directory, sorted; empty when there is no such directory. */
  list(path: string): Promise<readonly string[]>;
  stat(path: string): Promise<FileStat | undefined>;
  /** A symbolic link's text as it stands; undefined when it is no link. */
  readLink(path: string): Promise<string | undefined>;
  /** The path behind all links, inside the guest; undefined when there is no such file. */
  realPath(path: string): Promise<string | undefined>;
  /** Room for new files in the file system that holds `path`. */
  freeBytes(path: string): Promise<number | undefined>;
  /** The file, or the first folder on the way to it, that others than root can change; undefined: none, or no such file. */
  exposure(path: string): Promise<string | undefined>;
  /**
   * A look by a program: bounded in time (15 s unless given), no standard input, a chosen environment. Throws when the run is told to
   * stop: half a look is no fact.
   */
  query(argv: Argv, timeoutMs?: number): Promise<Outcome>;
  /** Connects to an address, shakes hands where that is asked for, and lets go again. */
  probe(address: string, port: number, options: ProbeOptions): Promise<Probe>;
  readonly hardware: Hardware;
  /** The guest's clock, microseconds since 1970. */
  nowUs(): number;
}

/** How a deed runs. `onLine` gets each line of both streams as it comes, `onEnd` the exit code, also where the run is then stopped. */
export interface RunOptions {
  /** After this the whole process group is ended; no limit unless given. */
  readonly timeoutMs?: number;
  readonly onLine?: (line: string) => void;
  readonly onEnd?: (code: number) => void;
  readonly env?: Readonly<Record<string, string>>;
  /** It puts something back, so that it runs also when the run has been told to stop. */
  readonly evenWhenStopped?: true;
  /** Cut half-way it leaves a mess: a stop waits for its end for a minute, unless somebody is in a hurry. */
  readonly finishes?: true;
  /** It goes on when this process is killed, and then still keeps the next run out: it holds the lock as well. Never for what starts daemons. */
  readonly outlives?: true;
}

/** How a small file comes from the web. */
export interface DownloadOptions {
  readonly limitBytes: number;
  readonly timeoutMs: number;
  /** Certificates as PEM that this guest trusts; undefined: those that Node brings. */
  readonly trusted: string | undefined;
}

/** How a large file comes from the web. */
export interface FileDownloadOptions extends Pick<DownloadOptions, 'trusted'> {
  readonly sha256: string;
  readonly onProgress: (haveBytes: number, wholeBytes: number | undefined) => void;
}

/** Eyes and hands. */
export interface Guest extends GuestView {
  /** The text behind an https:// URL, kept nowhere. Certificates are verified, redirects lead to https:// only, proxies are the environment's. */
  download(url: string, options: DownloadOptions): Promise<string>;
  /** Like `download`, to a file that gets its name when it has that sha256; what came before a fault is kept, and gone on with. */
  downloadFile(url: string, path: string, options: FileDownloadOptions): Promise<void>;
  /** All or nothing: temporary file in the same folder, mode and owner, fsync, rename, fsync of the folder. Missing parents are made (0755). */
  writeText(path: string, text: string, mode?: number, encoding?: 'utf8' | 'latin1'): Promise<void>;
  /** A file that was not there before, of this process alone to read; one that is there, and a link, are refused. */
  writeNew(path: string, bytes: Uint8Array): Promise<void>;
  /** Like `writeText`, with the bytes of another file of at most 1 MiB. */
  copyFile(from: string, to: string, mode: number): Promise<void>;
  /** Like `copyFile`, for a file of any size. */
  copyLarge(from: string, to: string, mode: number): Promise<void>;
  setMode(path: string, mode: number): Promise<void>;
  /** When it was last modified, for who goes by that; microseconds since 1970. */
  setModified(path: string, us: number): Promise<void>;
  makeDirectory(path: string, mode: number): Promise<void>;
  /** Renames, replacing what is at `to`; falls back to copy and remove between file systems. */
  rename(from: string, to: string): Promise<void>;
  /** A second name for the same bytes: a hard link, or a copy where the file system has none (a /boot on FAT). */
  keepCopy(from: string, to: string): Promise<void>;
  /** Gone afterwards, whether or not it was there. */
  remove(path: string): Promise<void>;
  /** A folder in which nothing lies, gone afterwards; one that holds something stays. */
  removeEmptyFolder(path: string): Promise<void>;
  setOwner(path: string, uid: number, gid: number): Promise<void>;
  /** A folder with all that is in it, gone afterwards; links are removed, not followed. */
  removeFolder(path: string): Promise<void>;
  /** What a write of this file that was cut has left beside it; nothing most of the times. */
  removeHalfWritten(path: string): Promise<void>;
  /** A deed by a program, in its own process group. Throws only when the run is told to stop; for how it ended read `code`. */
  run(argv: Argv, options?: RunOptions): Promise<Outcome>;
  /** One run at a time on this guest; returns how to let go. A lock that is held is fault `busy`. */
  lock(): Promise<() => Promise<void>>;
  /** Makes sure that a file can be added to, for a library that keeps it open by itself; returns its path on this machine. */
  prepareAppend(path: string, mode: number): Promise<string>;
  /** Lines of an endless program (`journalctl --follow`, `tail -F`) until `signal` aborts or it ends; a line of more than 64 KiB is cut. */
  follow(argv: Argv, signal: AbortSignal): AsyncIterable<string>;
}
