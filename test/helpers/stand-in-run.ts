import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Which of NVIDIA's packages the stand-in looks like: guest driver, its cloud variants, host manager, data-center driver. */
export type Flavor = 'grid' | 'grid-azure' | 'grid-aws' | 'vgpu-kvm' | 'data-center';

export interface StandInRun {
  /** The file name NVIDIA gives it. */
  readonly name: string;
  readonly version: string;
  readonly bytes: Buffer;
}

const DRIVER_FILES = join(import.meta.dirname, '../stubs/driver');

/**
 * A `.run` package that behaves as NVIDIA's does: its header and sums, its help text with the options of this very
 * version, its wrapper, and an installer that refuses, answers, logs and installs as the real one of that era.
 * It works on a guest in a folder (GUEST_ROOT) and on a real root.
 */
export function buildStandInRun(
  given: { version?: string; flavor?: Flavor; architecture?: 'x86_64' | 'aarch64' } = {},
): StandInRun {
  const { version = '570.211.01', flavor = 'grid', architecture = 'x86_64' } = given;
  const suffix = flavor === 'data-center' ? '' : `-${flavor}`;
  const targetDirectory = `NVIDIA-Linux-${architecture}-${version}${suffix}`;
  const options = OPTIONS.filter(option => isAtLeast(version, option.since));
  const payload = tar(payloadFiles(version, flavor, options));
  const stub = wrapper({ version, architecture, targetDirectory, options });
  const skip = stub.split('\n').length; // the stub ends with a newline, so this is the line after it
  const body = Buffer.concat([
    Buffer.from(stub.replace('__SKIP__', String(skip)).split('\n').slice(3).join('\n')),
    payload,
  ]);
  const md5 = createHash('md5').update(body).digest('hex');
  const head = `#! /bin/sh\nCRCsum=${posixChecksum(body)}\nMD5=${md5}\n`;
  return { name: `${targetDirectory}.run`, version, bytes: Buffer.concat([Buffer.from(head), body]) };
}

/** `545.23.06` is at least `545.23.06`; compared number by number. */
function isAtLeast(version: string, least: string): boolean {
  const [have, want] = [version, least].map(text => text.split('.').map(Number));
  for (let at = 0; at < 3; at++) {
    const difference = (have?.[at] ?? 0) - (want?.[at] ?? 0);
    if (difference !== 0) return difference > 0;
  }
  return true;
}

/** The CRC that POSIX `cksum` prints. */
export function posixChecksum(bytes: Uint8Array): number {
  let crc = 0;
  const feed = (byte: number) => {
    crc = ((crc << 8) ^ (CRC_TABLE[((crc >>> 24) ^ byte) & 0xff] ?? 0)) >>> 0;
  };
  for (const byte of bytes) feed(byte);
  for (let length = bytes.length; length > 0; length = Math.floor(length / 256)) feed(length & 0xff);
  return ~crc >>> 0;
}

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, index) => {
  let value = index << 24;
  for (let bit = 0; bit < 8; bit++) value = value & 0x80000000 ? (value << 1) ^ 0x04c11db7 : value << 1;
  return value >>> 0;
});

interface Option {
  readonly long: string;
  readonly short?: string;
  /** The first version that has it. */
  readonly since: string;
  readonly value?: string;
  /** The first version that has its `--no-` form. */
  readonly noSince?: string;
  readonly common?: true;
}

const ALWAYS = '1.0';

/** Options and the version that brought each, after the published history of nvidia-installer's option table. */
const OPTIONS: readonly Option[] = [
  { long: 'accept-license', short: 'a', since: ALWAYS, common: true },
  { long: 'version', short: 'v', since: ALWAYS, common: true },
  { long: 'help', short: 'h', since: ALWAYS, common: true },
  { long: 'advanced-options', short: 'A', since: ALWAYS, common: true },
  { long: 'driver-info', short: 'i', since: ALWAYS, common: true },
  { long: 'uninstall', since: ALWAYS, common: true },
  { long: 'sanity', since: ALWAYS, common: true },
  { long: 'expert', short: 'e', since: ALWAYS, common: true },
  { long: 'no-questions', short: 'q', since: ALWAYS, common: true },
  { long: 'silent', short: 's', since: ALWAYS, common: true },
  { long: 'ui', since: ALWAYS, value: 'UI' },
  { long: 'log-file-name', since: ALWAYS, value: 'LOG-FILE-NAME' },
  { long: 'tmpdir', since: ALWAYS, value: 'TMPDIR' },
  { long: 'kernel-name', short: 'k', since: ALWAYS, value: 'KERNEL-NAME' },
  { long: 'kernel-source-path', since: ALWAYS, value: 'KERNEL-SOURCE-PATH' },
  { long: 'kernel-output-path', since: ALWAYS, value: 'KERNEL-OUTPUT-PATH' },
  { long: 'kernel-install-path', since: ALWAYS, value: 'KERNEL-INSTALL-PATH' },
  { long: 'utility-prefix', since: ALWAYS, value: 'UTILITY-PREFIX' },
  { long: 'opengl-prefix', since: ALWAYS, value: 'OPENGL-PREFIX' },
  { long: 'no-x-check', since: '1.0.7184' },
  { long: 'run-nvidia-xconfig', short: 'X', since: '1.0.8174' },
  { long: 'no-nouveau-check', short: 'z', since: '71.86.15' },
  { long: 'no-cc-version-check', since: '71.86.06' },
  { long: 'no-distro-scripts', since: '71.86.08' },
  { long: 'no-opengl-files', since: '295.17' },
  { long: 'dkms', since: '304.22', noSince: '520.56.06' },
  { long: 'disable-nouveau', short: 'Z', since: '304.32', noSince: '545.23.06' },
  { long: 'module-signing-secret-key', since: '319.12', value: 'MODULE-SIGNING-SECRET-KEY' },
  { long: 'module-signing-public-key', since: '319.12', value: 'MODULE-SIGNING-PUBLIC-KEY' },
  { long: 'module-signing-script', since: '319.12', value: 'MODULE-SIGNING-SCRIPT' },
  { long: 'module-signing-hash', since: '319.12', value: 'MODULE-SIGNING-HASH' },
  { long: 'no-check-for-alternate-installs', since: '325.08' },
  { long: 'no-unified-memory', since: '331.17' },
  { long: 'install-compat32-libs', since: '346.16', noSince: '346.16' },
  { long: 'install-libglvnd', since: '361.16', noSince: '361.16' },
  { long: 'no-drm', since: '375.66' },
  { long: 'skip-depmod', since: '418.30' },
  { long: 'systemd', since: '465.19.01', noSince: '465.19.01' },
  { long: 'kernel-module-build-directory', short: 'm', since: '470.42.01', value: 'KERNEL-MODULE-BUILD-DIRECTORY' },
  { long: 'no-peermem', since: '470.86' },
  { long: 'no-kernel-modules', since: '515.43.04' },
  { long: 'kernel-modules-only', short: 'K', since: '515.43.04' },
  { long: 'rebuild-initramfs', since: '545.23.06', noSince: '545.23.06' },
  { long: 'allow-installation-with-running-driver', since: '545.23.06' },
  { long: 'skip-module-load', since: '550.40.07' },
  { long: 'kernel-module-type', short: 'M', since: '555.42.02', value: 'KERNEL-MODULE-TYPE' },
  { long: 'print-recommended-kernel-module-type', since: '570.86.16' },
];

/** A line of the help text: `--dkms, --no-dkms`, `-M KERNEL-MODULE-TYPE, --kernel-module-type=KERNEL-MODULE-TYPE`. */
function helpLine(option: Option, version: string): string {
  const value = option.value;
  const forms = [
    ...(option.short ? [value ? `-${option.short} ${value}` : `-${option.short}`] : []),
    value ? `--${option.long}=${value}` : `--${option.long}`,
    ...(hasNoForm(option, version) ? [`--no-${option.long}`] : []),
  ];
  return forms.join(', ');
}

function hasNoForm(option: Option, version: string): boolean {
  return option.noSince !== undefined && isAtLeast(version, option.noSince);
}

interface WrapperFacts {
  readonly version: string;
  readonly architecture: string;
  readonly targetDirectory: string;
  readonly options: readonly Option[];
}

/** The shell stub in front of the payload, after the published generator of the real one. */
function wrapper({ version, architecture, targetDirectory, options }: WrapperFacts): string {
  const label = `NVIDIA Accelerated Graphics Driver for Linux-${architecture} ${version}`;
  const help = (shown: readonly Option[]) =>
    shown
      .flatMap(option => [helpLine(option, version), `  See the README for '--${option.long}'.`, ''])
      .map(line => `    echo "${line}"`)
      .join('\n');
  return `#! /bin/sh
CRCsum=0000000000
MD5=00000000000000000000000000000000
skip=__SKIP__
skip_decompress=0
size_decompress=0
label="${label}"
version_string=${version}
pkg_version=
script=./nvidia-installer
targetdir=${targetDirectory}
scriptargs=""
keep=n
add_this_kernel=n
apply_patch=n
TMPROOT=\${TMPDIR:=/tmp}
TARGET_OS="Linux"
TARGET_ARCH="${architecture}"

#
# ${label}
# Generated by Makeself 1.6.0-nv9
# Do not edit by hand.

# NVIDIA Driver Installation .run file
# (a stand-in for it: it carries no driver)
#

# On a guest in a folder the tools are this machine's, and the machine is the guest's.
if [ -n "$GUEST_ROOT" ]; then
    PATH=/usr/bin:/bin
    TMPROOT="$GUEST_ROOT$TMPROOT"
    LOCAL_ARCH=\`cat "$GUEST_ROOT/var/lib/stubs/machine"\`
else
    LOCAL_ARCH=\`uname -m\`
fi

if [ "$1" = "-help" -o "$1" = "--help" -o "$1" = "-h" ]; then
    echo ""
    echo "$0 [options]"
    echo ""
    echo "This program will install the ${label} by unpacking the"
    echo "embedded tarball and executing the ./nvidia-installer installation utility."
    echo ""
${help(options.filter(option => option.common))}
    exit 0;
fi

if [ "$1" = "-A" -o "$1" = "--advanced-options" ]; then
    echo ""
    echo "$0 [options]"
    echo ""
    echo "--info"
    echo "  Print embedded info (title, default target directory) and exit."
    echo ""
    echo "--check"
    echo "  Check integrity of the archive and exit."
    echo ""
    echo "-x, --extract-only"
    echo "  Extract the contents of $0, but do not"
    echo "  run 'nvidia-installer'."
    echo ""
    echo "The following arguments will be passed on to the ./nvidia-installer utility:"
    echo ""
    echo "COMMON OPTIONS:"
    echo ""
${help(options.filter(option => option.common))}
    echo "ADVANCED OPTIONS:"
    echo ""
${help(options.filter(option => !option.common))}
    exit 0;
fi

case "$1" in
    -lsm|--lsm) echo "no LSM"; exit 0 ;;
    --pkg-history) echo; exit 0 ;;
    --label) echo "$label"; exit 0 ;;
    --version-string) echo "$version_string"; exit 0 ;;
    --pkg-version) echo "$pkg_version"; exit 0 ;;
    --target-os) echo "$TARGET_OS"; exit 0 ;;
    --target-arch) echo "$TARGET_ARCH"; exit 0 ;;
    --target-directory) echo "$targetdir"; exit 0 ;;
    --script) echo "$script $scriptargs"; exit 0 ;;
    --info)
        echo
        echo "  Identification    : $label"
        echo "  Target directory  : $targetdir"
        echo "  Uncompressed size : 60 KB"
        echo "  Compression       : none"
        echo "  Date of packaging : Thu Nov  5 17:21:34 UTC 2026"
        echo "  Application run after extraction : $script $scriptargs"
        echo
        echo "  The directory $targetdir will be removed after extraction."
        echo
        exit 0 ;;
    --list)
        echo "Target directory: $targetdir"
        tail -n +$skip $0 | tar tvf - 2> /dev/null
        exit 0 ;;
    --extract-decompress) echo "No decompressor embedded in this archive" >&2; exit 1 ;;
    --check)
        sum1=\`tail -n +4 $0 | cksum | cut -d' ' -f1\`
        [ "$sum1" != "$CRCsum" ] && { echo "Error in checksums $sum1 $CRCsum"; exit 2; }
        md5sum=\`tail -n +4 $0 | md5sum | cut -b-32\`
        [ $md5sum != $MD5 ] && { echo "Error in md5 sums $md5sum $MD5"; exit 2; }
        echo "check sums and md5 sums are ok"
        exit 0 ;;
esac

location="\`pwd\`"
run_script=y

while [ "$1" ]; do
    case "$1" in
        --extract-only|-x) run_script=n; keep=y ;;
        --keep) keep=y ;;
        --target)
            [ "$2" ] || { echo "ERROR: --target: no target directory specified."; exit 1; }
            targetdir="$GUEST_ROOT$2"; keep=y; shift ;;
        --tmpdir)
            scriptargs="$scriptargs $1 $2"
            [ "$2" ] || { echo "ERROR: --tmpdir: no temporary directory specified."; exit 1; }
            TMPROOT="$GUEST_ROOT$2"; shift ;;
        # unquoted on purpose, as in the real one: a value with blanks falls apart
        *) scriptargs="$scriptargs $1" ;;
    esac
    shift
done

[ -d "$TMPROOT" ] || mkdir -p "$TMPROOT" || { echo "Unable to create temp directory $TMPROOT"; exit 1; }
TMPFILE=\`mktemp "$TMPROOT/makeself.XXXXXXXX" 2> /dev/null\`
[ "a$TMPFILE" = "a" ] && { echo "Unable to create temporary file in $TMPROOT"; exit 1; }
chmod +x "$TMPFILE"
if [ -e "$GUEST_ROOT/var/lib/stubs/tmp-noexec" ] || ! "$TMPFILE" > /dev/null 2>&1; then
    echo "ERROR: Temporary directory $TMPROOT is not executable - use the  --tmpdir option to specify a different one."
    rm "$TMPFILE"
    exit 1
fi
rm "$TMPFILE"

if [ "$LOCAL_ARCH" != "$TARGET_ARCH" ] && [ "$run_script" = "y" ]; then
    echo ""
    echo "ERROR: this .run file is intended for the"
    echo "$TARGET_OS-$TARGET_ARCH platform, but you appear to be"
    echo "running on Linux-$LOCAL_ARCH.  Aborting installation."
    echo ""
    exit 1
fi

if [ "$keep" = "y" ]; then
    echo "Creating directory $targetdir"; tmpdir=$targetdir
else
    workingdir="$TMPROOT/selfgz$$"
    tmpdir="$workingdir/$targetdir"
    rm -rf "$tmpdir"
fi

if [ -d "$tmpdir" ] || [ -f "$tmpdir" ]; then
    echo "The directory '$tmpdir' already exists.  Please either"
    echo "move the existing directory out of the way, or specify a"
    echo "different directory with the '--target' option."
    exit 1
fi
mkdir -p "$tmpdir" || { echo "Unable to create the target directory '$tmpdir'."; exit 1; }

if [ x$SETUP_NOCHECK != x1 ]; then
    printf "Verifying archive integrity... "
    sum1=\`tail -n +4 $0 | cksum | cut -d' ' -f1\`
    [ $sum1 != $CRCsum ] && { echo "Error in check sums $sum1 $CRCsum"; exit 2; }
    echo "OK"
fi
md5sum=\`tail -n +4 $0 | md5sum | cut -b-32\`
[ $md5sum != $MD5 ] && { echo "Error in md5 sums $md5sum $MD5"; exit 2; }

printf "Uncompressing $label"
cd "$tmpdir" || exit 1
[ "$keep" = "y" ] || trap 'cd $TMPROOT; rm -rf $workingdir; exit 15' 1 2 15
if (cd "$location"; tail -n +$skip $0) | tar xf - 2> /dev/null; then
    echo "....."
    res=0
    if [ "$run_script" = "y" ]; then
        $script $scriptargs; res=$?
    fi
    [ "$keep" = "y" ] || { cd "$TMPROOT"; rm -rf "$workingdir"; }
else
    echo "Cannot decompress $0"; exit 1
fi
exit $res

END_OF_STUB
`;
}

interface PayloadFile {
  readonly name: string;
  readonly text: string;
  readonly mode: number;
}

function payloadFiles(version: string, flavor: Flavor, options: readonly Option[]): readonly PayloadFile[] {
  const file = (name: string, text: string, mode = 0o644): PayloadFile => ({ name, text, mode });
  const source = (name: string, mode = 0o644) =>
    file(
      name,
      readFileSync(join(DRIVER_FILES, name), 'utf8').replaceAll('@VERSION@', version).replaceAll('@FLAVOR@', flavor),
      mode,
    );
  return [
    source('nvidia-installer', 0o755),
    source('nvidia-uninstall', 0o755),
    source('nvidia-smi', 0o755),
    ...['load-module.sh', 'nvidia.c', 'Makefile', 'dkms.conf'].map(name => source(name)),
    file('package', `version=${version}\nflavor=${flavor}\n`),
    file(
      'options',
      options
        .map(option => optionLine(option, version))
        .join('\n')
        .concat('\n'),
    ),
    file('help', options.map(option => `${helpLine(option, version)}\n`).join('')),
    ...(flavor.startsWith('grid')
      ? [
          source('nvidia-gridd', 0o755),
          source('nvidia-gridd.service'),
          source('nvidia-grid.conf'),
          file('gridd.conf.template', griddConfTemplate(version)),
        ]
      : []),
    ...(flavor === 'vgpu-kvm' ? [file('is_vgpu_host_package.txt', '')] : []),
  ];
}

/** What the installer's parser reads: long form, short form, `--no-` form, whether a value follows. */
function optionLine(option: Option, version: string): string {
  const short = option.short ? `-${option.short}` : '.';
  const no = hasNoForm(option, version) ? `--no-${option.long}` : '.';
  return `--${option.long} ${short} ${no} ${option.value ? 'value' : 'plain'}`;
}

/** Typed after public descriptions of the template: blocks of description, type, format and the line itself. */
function griddConfTemplate(version: string): string {
  const daemon = isAtLeast(version, '550') ? 'vGPU Licensing Daemon' : 'NVIDIA Grid Daemon';
  // the legacy server's keys are believed gone from R535 on
  const server = isAtLeast(version, '535') ? '' : SERVER_BLOCKS;
  return `# /etc/nvidia/gridd.conf.template - Configuration file for ${daemon}

# This is a template for the configuration file for ${daemon}.
# For details on the file format, please refer to the nvidia-gridd(1)
# man page.

${server}# Description: Set Feature to be enabled
# Data type: integer
# Possible values:
#    0 => for unlicensed state
#    1 => for NVIDIA vGPU (Optional, autodetected as per vGPU type)
#    2 => for NVIDIA RTX Virtual Workstation
#    4 => for NVIDIA Virtual Compute Server
# All other values reserved
FeatureType=0

# Description: Parameter to enable or disable Grid Licensing tab in nvidia-settings
# Data type: boolean
# Possible values: TRUE or FALSE, default is FALSE
#EnableUI=TRUE

# Description: Set license borrow period in minutes
# Data type: integer
# Possible values: 10 to 10080 mins(7 days), default is 1440 mins(1 day)
#LicenseInterval=1440

# Description: Set license linger period in minutes
# Data type: integer
# Possible values: 0 to 10080 mins(7 days), default is 0 mins
#LingerInterval=10
`;
}

const SERVER_BLOCKS = `# Description: Set License Server Address
# Data type: string
# Format:  "<address>"
ServerAddress=

# Description: Set License Server port number
# Data type: integer
# Format:  <port>, default is 7070
#ServerPort=7070

# Description: Set Backup License Server Address
# Data type: string
# Format:  "<address>"
#BackupServerAddress=

# Description: Set Backup License Server port number
# Data type: integer
# Format:  <port>, default is 7070
#BackupServerPort=7070

`;

/** A POSIX ustar archive; everything is root's and of one time, so equal packages are equal bytes. */
function tar(files: readonly PayloadFile[]): Buffer {
  const blocks = files.flatMap(file => {
    const content = Buffer.from(file.text);
    const padding = Buffer.alloc((512 - (content.length % 512)) % 512);
    return [tarHeader(file.name, content.length, file.mode), content, padding];
  });
  return Buffer.concat([...blocks, Buffer.alloc(1024)]);
}

const PACKAGED_AT_S = 1_793_899_294;

function tarHeader(name: string, size: number, mode: number): Buffer {
  const header = Buffer.alloc(512);
  const octal = (value: number, digits: number) => `${value.toString(8).padStart(digits, '0')}\0`;
  header.write(`./${name}`, 0);
  header.write(octal(mode, 7), 100);
  header.write(octal(0, 7), 108);
  header.write(octal(0, 7), 116);
  header.write(octal(size, 11), 124);
  header.write(octal(PACKAGED_AT_S, 11), 136);
  header.write('        ', 148);
  header.write('0', 156);
  header.write('ustar\x0000', 257);
  header.write('root', 265);
  header.write('root', 297);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return header;
}
