import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadConfig } from '../../src/config/load.ts';
import { FAMILIES } from '../../src/facts/families.ts';
import { changeRecordText, NOTHING_CHANGED, parseChangeRecord } from '../../src/formats/change-record.ts';
import { movesTrees, parseFramework } from '../../src/formats/driver/dkms-framework.ts';
import { parseDkmsStatus } from '../../src/formats/driver/dkms-status.ts';
import { findDriverFault } from '../../src/formats/driver/driver-log.ts';
import {
  findDkmsWarning,
  findInstallerFailure,
  findSkippedErrors,
  installerErrors,
} from '../../src/formats/driver/installer-log.ts';
import { compareReleases } from '../../src/formats/driver/kernel-release.ts';
import {
  allowUnsupportedModules,
  blacklistedModules,
  insertAtTop,
  refusesUnsupportedModules,
} from '../../src/formats/driver/modprobe-conf.ts';
import { parseTestKey } from '../../src/formats/driver/mokutil.ts';
import { flavorOfName, isAtLeast, parseRunHeader, versionInFileName } from '../../src/formats/driver/run-header.ts';
import { excerpt } from '../../src/formats/excerpt.ts';
import { parseCudaRunfile } from '../../src/formats/gpu/cuda-runfile.ts';
import { findCudaFault, installerErrorLines } from '../../src/formats/gpu/cuda-words.ts';
import { parseNvccVersion } from '../../src/formats/gpu/nvcc.ts';
import { featureOfProduct, isMigProfile, parseNvidiaSmi } from '../../src/formats/gpu/nvidia-smi.ts';
import { refusalOf } from '../../src/formats/gpu/nvidia-smi-words.ts';
import { parseBusId, parsePciAddress } from '../../src/formats/gpu/pci-address.ts';
import { hasVgpuCapability, vgpuHost } from '../../src/formats/gpu/pci-config.ts';
import { editGriddConf, markedKeys, namedKeys, readGriddConf } from '../../src/formats/license/gridd-conf.ts';
import { faultOfGriddValue, GRIDD_KEYS } from '../../src/formats/license/gridd-keys.ts';
import { interpret, readJournalLine, readSyslogLine, startedPid } from '../../src/formats/license/license-log.ts';
import { inspectToken, judgeDates } from '../../src/formats/license/token.ts';
import { mountOf } from '../../src/formats/mounts.ts';
import { parseOsRelease } from '../../src/formats/os-release.ts';
import { redact } from '../../src/formats/redact/redact.ts';
import { parseXorgConf } from '../../src/formats/screen/xorg-conf.ts';
import { addScreen, setBusId, setOption, setVirtual } from '../../src/formats/screen/xorg-edit.ts';
import { xorgUse } from '../../src/formats/screen/xorg-layout.ts';
import { parseXorgLog } from '../../src/formats/screen/xorg-log.ts';
import { unitText } from '../../src/formats/systemd-unit.ts';
import { timeOf } from '../../src/formats/time.ts';
import { isUrl, withoutSecrets } from '../../src/formats/url.ts';
import { visible } from '../../src/report/visible.ts';
import { buildStandInCuda } from '../helpers/stand-in-cuda.ts';
import { makeToken } from '../helpers/token.ts';

/** Something that reads foreign text. */
export interface Subject {
  readonly name: string;
  /** Files of src/formats that it goes through. */
  readonly files: readonly string[];
  readonly read: (text: string) => unknown;
  /** Texts of that kind, to be damaged. */
  readonly samples: readonly string[];
  /** Beginnings behind which a long rest is looked at closely. */
  readonly leads?: readonly string[];
  /** How many times longer than others it may take, since a library reads it. */
  readonly patience?: number;
}

const FIXTURES = join(import.meta.dirname, '../fixtures');
const fixture = (path: string) => readFileSync(join(FIXTURES, path), 'latin1');
const fixtures = (folder: string) =>
  readdirSync(join(FIXTURES, folder), { withFileTypes: true }).flatMap(entry =>
    entry.isFile() ? [fixture(`${folder}/${entry.name}`)] : [],
  );

const GRIDD_CONF = fixture('gridd/gridd.conf.template');
const LICENSE_LINES = [
  'Nov 20 17:01:27 guest nvidia-gridd[812]: License acquired successfully. (Info: dls, NVIDIA RTX Virtual Workstation; Expiry: 2026-4-3 19:11:16 GMT)',
  'Failed to acquire license from dls (Info: X - Error: SSL certificate problem: self signed certificate)',
  '{"__REALTIME_TIMESTAMP":"1","_PID":"812","MESSAGE":[70,97],"__CURSOR":"s=1"}',
  'Started (812)',
];
const CONFIG = `driver:
  package: /opt/NVIDIA-Linux-x86_64-570.211.01-grid.run
license:
  feature: vws
  server: { address: 10.5.8.208, port: 7070 }
  timeout: 120s
gridd:
  IgnoreSP: "FALSE"
xorg: { manage: always, gpu: 0000:06:00.0, virtual: 1920x1080 }
vnc: { passwordFile: /etc/vnc, listen: 10.0.0.1 }
`;

const bytes = (text: string) => Buffer.from(text.slice(0, 4096), 'latin1');

export const SUBJECTS: readonly Subject[] = [
  {
    name: 'the record of changes',
    files: ['change-record'],
    read: text => parseChangeRecord(text),
    samples: [
      changeRecordText({
        ...NOTHING_CHANGED,
        files: { '/etc/nvidia/gridd.conf': { before: null, ours: ['0'.repeat(64)] } },
        moves: [{ from: '/etc/old.tok', to: '/var/lib/vgpu-guest/set-aside/old.tok' }],
        driver: { version: '570.211.01', before: null },
      }),
    ],
  },
  {
    name: 'kernel releases',
    files: ['kernel-release'],
    read: text => [compareReleases(text, '6.4.0-150600.23.47-default'), compareReleases(text, text)],
    samples: ['6.4.0-150600.23.47-default', '5.14.0-503.14.1.el9_5.x86_64', '6.8.0-49-generic'],
  },
  {
    name: 'gridd.conf',
    files: ['gridd-conf', 'gridd-keys'],
    read: text => {
      const keys = readGriddConf(text);
      for (const [key, value] of [...keys].slice(0, 50)) faultOfGriddValue(key, value);
      for (const key of Object.keys(GRIDD_KEYS)) faultOfGriddValue(key, text);
      namedKeys(text);
      markedKeys(text);
      editGriddConf(
        text,
        new Map([
          ['FeatureType', '1'],
          ['EnableUI', ''],
          ['ServerAddress', undefined],
        ]),
        GRIDD_CONF,
      );
      return editGriddConf(GRIDD_CONF, new Map([['FeatureType', '1']]), text);
    },
    samples: [
      GRIDD_CONF,
      editGriddConf(
        GRIDD_CONF,
        new Map([
          ['FeatureType', '1'],
          ['ServerPort', '7'],
        ]),
      ),
    ],
    leads: ['# FeatureType is managed by vgpu-guest\n', 'FeatureType=', '#FeatureType='],
  },
  {
    name: 'xorg.conf',
    files: ['xorg-conf', 'xorg-device', 'xorg-edit', 'xorg-layout', 'xorg-tokens'],
    read: text => {
      const conf = parseXorgConf(text);
      if (conf.is === 'faulty') return conf;
      xorgUse([conf]);
      for (const device of conf.devices.slice(0, 3)) {
        setBusId(text, device, 'PCI:1:2:3');
        setOption(text, device, 'HardDPMS', 'true');
        addScreen(text, device, { width: 1, height: 1 });
      }
      for (const screen of conf.screens.slice(0, 3)) setVirtual(text, screen, { width: 1, height: 1 });
      return conf;
    },
    samples: [...fixtures('xorg'), ...fixtures('xorg/shapes')],
    leads: [
      'Section "Device"\nIdentifier "a"\n',
      'Section "Screen"\nIdentifier "a"\n',
      'Section "Device" Option ',
      '"',
      '#',
    ],
  },
  {
    name: 'the X log',
    files: ['xorg-log'],
    read: parseXorgLog,
    samples: [
      '[    12.345] (II) NVIDIA(0): NVIDIA GPU NVIDIA A16-4Q (GA107GL-A) at PCI:2:1:0 (GPU-0)\n(EE) no screens found\n',
    ],
    leads: ['[ ', '(II) NVIDIA(', '(II) NVIDIA(0): NVIDIA GPU ', '(EE) ', '(II) a'],
  },
  {
    name: 'what nvidia-smi refuses',
    files: ['nvidia-smi-words'],
    read: refusalOf,
    samples: [
      'Unable to set driver model for GPU 00000000:01:00.0: Not Supported\nTreating as warning and moving on.\nAll done.\n',
      'Enabled ECC support for GPU 00000000:09:00.0.\nAll done.\nReboot required.\n',
    ],
    leads: ['Treating as warning and moving on.\n'],
  },
  {
    name: 'nvcc, and what CUDA says',
    files: ['nvcc', 'cuda-words'],
    read: text => [parseNvccVersion(text), findCudaFault(text), installerErrorLines(text)],
    samples: [
      'Cuda compilation tools, release 12.8, V12.8.93\n',
      'cudaMalloc: CUDA driver version is insufficient for CUDA runtime version\n',
      '[ERROR]: boost::filesystem::create_directory: No space left on device\n',
    ],
    leads: ['Cuda compilation tools, release ', '[ERROR]'],
  },
  {
    name: "the start of CUDA's runfile",
    files: ['cuda-runfile'],
    read: text => [parseCudaRunfile(text, 'cuda_12.8.1_570.124.06_linux.run'), parseCudaRunfile('#!/bin/sh\n', text)],
    samples: [buildStandInCuda().text, 'cuda_12.8.1_570.124.06_linux.run'],
    leads: ['#!/bin/sh\nscript="', 'cuda_12.8.1_'],
  },
  {
    name: 'what a package manager would install',
    files: [],
    read: text => FAMILIES.flatMap(({ managers }) => managers.map(({ simulate }) => simulate.names(text))),
    samples: [
      ' cuda-nvcc-12-8  x86_64  12.8.93-1  stubs  64 M\n\nTransaction Summary\n',
      'The following 2 NEW packages are going to be installed:\n  cuda-nvcc-12-8 cuda-toolkit-12-8\n\n',
      'Inst cuda-nvcc-12-8 (12.8.93-1 NVIDIA CUDA:1.0 [amd64])\n',
    ],
    leads: ['The following 2 NEW packages are going to be installed:\n  ', 'Inst '],
  },
  {
    name: 'nvidia-smi',
    files: ['nvidia-smi', 'pci-address'],
    read: text => {
      featureOfProduct(text);
      isMigProfile(text);
      return parseNvidiaSmi(text);
    },
    samples: fixtures('nvidia-smi'),
    leads: [
      '<nvidia_smi_log>',
      '<nvidia_smi_log><gpu id="',
      '<nvidia_smi_log><!--',
      '<nvidia_smi_log><gpu><processes>',
      '<nvidia_smi_log><![CDATA[',
    ],
  },
  {
    name: 'the header of a package',
    files: ['run-header'],
    read: text => {
      versionInFileName(text);
      flavorOfName(text);
      isAtLeast(text.slice(0, 50), '520.56.06');
      return parseRunHeader(text, text.slice(0, 100));
    },
    samples: [fixture('run-header/570-grid.txt')],
    leads: [
      '#!/bin/sh\n# Generated by Makeself 1\nscript="./nvidia-installer"\n',
      '    echo "  ',
      'label="',
      'NVIDIA-Linux-x',
      '-11',
    ],
  },
  {
    name: 'a token',
    files: ['token', 'time'],
    read: text => {
      const found = inspectToken(text);
      if (found.is === 'token') judgeDates(found.claims, 1e15);
      return timeOf(Number(text));
    },
    samples: [makeToken(), makeToken({ expired: true })],
    leads: ['eyJ', 'eyJhbGciOiJSUzI1NiJ9.', '<?xml ', '"', 'ServerAddress', ' '],
  },
  {
    name: 'license log lines',
    files: ['license-log'],
    read: text => {
      readJournalLine(text);
      readSyslogLine(text);
      startedPid(text);
      return interpret(text, { world: 'server', servers: [{ host: text.slice(0, 20), port: 1 }] });
    },
    samples: LICENSE_LINES,
    leads: [
      'Failed to acquire license from dls (Info: X - Error: ',
      'Configuration parameter ',
      ' nvidia-gridd[1]: ',
      '{"MESSAGE":"',
    ],
  },
  {
    name: 'dkms status',
    files: ['dkms-status'],
    read: parseDkmsStatus,
    samples: [
      'nvidia/535.129.03, 6.4.0-150600.23.47-default, x86_64: installed (WARNING! Diff between built and installed module!)\nnvidia, 1, 2, x: installed-weak from 3\n',
    ],
    leads: ['nvidia/1, k, x: installed', 'nvidia/', 'a, b, '],
  },
  {
    name: "DKMS's framework.conf",
    files: ['dkms-framework'],
    read: text => [parseFramework([text, text], '6.4.0'), parseFramework([], text), movesTrees([text])],
    samples: ['mok_signing_key="/var/lib/dkms/mok-$kernelver.key"\nmok_certificate=/x\n'],
    leads: ['mok_signing_key=', 'mok_signing_key="', 'dkms_tree='],
  },
  {
    name: "the kernel's log",
    files: ['driver-log'],
    read: text => findDriverFault(text.split('\n')),
    samples: ['NVRM: Xid (PCI:0000:00:06): 78, pid=1\nNVRM: API mismatch: x\nnouveau is already bound to nouveau\n'],
    leads: ['Xid', 'Loading of module with ', 'Lockdown: '],
  },
  {
    name: "the installer's log",
    files: ['installer-log', 'signals'],
    read: text => [findInstallerFailure(text), installerErrors(text), findDkmsWarning(text), findSkippedErrors(text)],
    samples: [
      "ERROR: Unable to load the kernel module 'nvidia.ko'.\nWARNING: Failed to run `/usr/sbin/dkms build`\nERROR: Installation has failed.\n",
    ],
    leads: [
      'ERROR: ',
      'WARNING: ',
      'Temporary directory ',
      "The kernel source path '",
      'Failed to run `',
      'cannot sign ',
    ],
  },
  {
    name: 'modprobe.d',
    files: ['modprobe-conf'],
    read: text => [
      blacklistedModules(text),
      refusesUnsupportedModules(text),
      allowUnsupportedModules(text),
      insertAtTop(text, ['blacklist nouveau']),
    ],
    samples: ['# a\n\nblacklist nouveau\ninstall nova /bin/false\nallow_unsupported_modules 0\n'],
    leads: ['# ', 'allow_unsupported_modules ', 'blacklist '],
  },
  {
    name: 'mokutil',
    files: ['mokutil'],
    read: parseTestKey,
    samples: ['/x.der is not enrolled\n', '/x.der is already enrolled\n'],
    leads: [' is already in '],
  },
  {
    name: 'mounts',
    files: ['mounts'],
    read: text => [mountOf('/var/lib/nvidia', text), mountOf(text.slice(0, 50), text)],
    samples: ['/dev/vda2 / ext4 rw 0 0\ntmpfs /run\\040x tmpfs rw 0 0\n'],
    leads: ['x /var', 'x \\040'],
  },
  {
    name: 'os-release',
    files: ['os-release'],
    read: parseOsRelease,
    samples: ['NAME="SLES"\nID=sles\nID_LIKE="suse opensuse"\nVERSION_ID=15.6\nPRETTY_NAME=\'x\'\n'],
    leads: ['ID=', 'ID="', '[', 'a[]=', '__proto__='],
  },
  {
    name: 'PCI addresses',
    files: ['pci-address'],
    read: text => [parsePciAddress(text), parseBusId(text)],
    samples: ['0000:3b:1f.0', 'PCI:59@1:31:0', 'p_c_i:1:2:3'],
    leads: ['PCI:', 'p', '1:'],
  },
  {
    name: 'PCI configuration space',
    files: ['pci-config'],
    read: text => [hasVgpuCapability(bytes(text)), vgpuHost(bytes(text))],
    samples: [fixture('pci/h200-2gpu.txt'), '\0'.repeat(6).padEnd(0x34, '\x10') + '\x40'.padEnd(256, '\x09\x40\x20VF')],
  },
  {
    name: 'systemd units',
    files: ['systemd-unit'],
    read: text => [unitText('[Service]\nExecStart=x\n', [text, text]), unitText(text, ['/usr/bin/x'])],
    samples: ['[Service]\nExecStart=/bin/x y\n'],
    leads: ['ExecStart='],
  },
  {
    name: 'URLs',
    files: ['url'],
    read: text => [isUrl(text), withoutSecrets(text)],
    samples: ['https://user:secret@mirror.example/a.run?sig=1#x'],
    leads: ['https://', 'https://a@', 'https://a?'],
  },
  {
    name: 'what goes to support',
    files: ['redact', 'blocks', 'known', 'rules', 'excerpt'],
    read: text => [redact(text, [makeToken(), 'pass-word-1']), excerpt(text, 1_000, { isPart: true })],
    samples: [
      'password="x"\nAuthorization: Basic abc\nhttp_proxy=http://u:p@h:1\n-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----\n',
      makeToken(),
    ],
    leads: ['password=', 'http://', '-----BEGIN PRIVATE KEY-----\n', 'Authorization: ', '\u001b]', 'eyJ'],
  },
  { name: 'what is shown', files: [], read: visible, samples: ['a\u001b[31mb\n'] },
  {
    name: 'package managers',
    files: [],
    read: text =>
      FAMILIES.map(({ managers, driverPackages, kernelTracks }) => [
        managers.map(({ locked, offers }) => [locked.text.test(text), offers.names(text, ['gcc'])]),
        text.split('\n').map(line => [driverPackages.names.test(line), kernelTracks?.headersOf(line)]),
      ]),
    samples: [
      'linux-image-generic:\n  Installed: (none)\n  Candidate: 6.8\n',
      'nvidia-driver-570-server\nkmod-nvidia\nlinux-image-6.8.0-49-generic\n',
      'E: Could not get lock /var/lib/dpkg/lock-frontend',
    ],
    leads: [
      'Existing lock ',
      'nvidia-gfxG0',
      'linux-image-',
      'linux-modules-nvidia-',
      'a:\n  Installed: ',
      'nvidia-driver-',
    ],
  },
  {
    name: 'the configuration',
    patience: 5,
    files: [],
    // a longer file is not read
    read: text => loadConfig({ path: '/etc/vgpu-guest/config.yaml', text: text.slice(0, 64 * 1024) }, []),
    samples: [CONFIG, 'license: { token: https://a.example/t?x=1 }\n'],
    leads: [
      'gridd:\n  ',
      'driver:\n  package: ',
      '&a ',
      'vnc: {listen: ',
      'license: {server: {address: ',
      'gridd: {ServerAddress: ',
    ],
  },
];
