import type { Config } from '../config/schema.ts';
import type { Facts } from '../facts/facts.ts';
import { choices, whichGpu } from '../facts/gpu/which-gpu.ts';
import { shownBy } from '../facts/screen/graphics.ts';
import { complaint, faultyFile, isAt, type Place, placesIn } from '../facts/screen/xorg-places.ts';
import { defineSubject, type Evidence, evidence, type Found, seen } from './check.ts';

/** What is shown, by which GPU, and why a screen stays black. */
export const screen = defineSubject({
  id: 'screen',
  title: 'the screen',
  reads: ['graphics', 'screen', 'xorg', 'gpus', 'smi', 'kernelLog'],
  saw(_config, facts) {
    const { by, programs, gpus } = shownBy(facts);
    if (by === 'none')
      return seen(
        facts.screen.graphical ? 'graphical.target is reached, and no display server runs' : 'no display server runs',
      );
    const where =
      gpus === undefined
        ? 'on a GPU that nobody names'
        : gpus.length > 0
          ? `on ${gpus.join(', ')}`
          : 'on no NVIDIA GPU';
    return seen(`${programs.join(', ')} (${by === 'x' ? 'X' : 'Wayland'}), ${where}`);
  },
  checks: [
    { id: 'xorg-unreadable', causes: [], judge: unreadable },
    { id: 'busid-wrong', causes: [], judge: busIdWrong },
    { id: 'busid-ambiguous', causes: [], judge: busIdAmbiguous },
    { id: 'x-fails', causes: [], judge: xFails },
    { id: 'screen-elsewhere', causes: [], judge: elsewhere },
    { id: 'wayland', causes: [], judge: wayland },
    { id: 'screen-unseen', causes: [], judge: unseen },
    { id: 'msi-failed', causes: [], judge: msiFailed },
    { id: 'screen-not-back', causes: [], judge: notBack },
  ],
});

type Seen = Pick<Facts, 'graphics' | 'screen' | 'xorg' | 'gpus' | 'smi' | 'kernelLog'>;

const PATCH = 'vgpu-guest apply --only patch-xorg corrects it';
const GRAPHICAL = 'systemctl is-active graphical.target';

/** A guest that shows nothing is not kept from anything by what is wrong with its screen. */
function gravity({ screen: { graphical }, graphics }: Pick<Facts, 'screen' | 'graphics'>): Found['severity'] {
  return graphical && !graphics.programs.some(({ kind }) => kind !== 'xwayland') ? 'error' : 'warning';
}

function unreadable(_config: Config, facts: Seen): Found | undefined {
  const faulty = faultyFile(facts.xorg);
  if (!faulty) return undefined;
  return {
    severity: gravity(facts),
    summary: `X cannot read ${faulty.path}`,
    cause:
      'the file is not in the grammar of xorg.conf, and X starts with no part of a configuration that has such a file',
    remedy: `correct ${faulty.path}, or move it away`,
    evidence: [evidence(faulty.path, faulty.fault)],
  };
}

/** Of the nvidia Devices that X puts to use those at no NVIDIA GPU. */
function astray({ xorg, gpus }: Pick<Facts, 'xorg' | 'gpus'>): readonly Place[] {
  const read = placesIn(xorg);
  if (read.is === 'faulty' || gpus.length === 0) return [];
  return read.places.filter(place => !gpus.some(gpu => isAt(place, gpu)));
}

function busIdWrong(_config: Config, facts: Seen): Found | undefined {
  const wrong = astray(facts).filter(({ device }) => device.busId !== undefined);
  const [first] = wrong;
  if (!first) return undefined;
  return {
    severity: gravity(facts),
    summary: complaint(first, facts.gpus),
    cause:
      'a BusID is decimal, bus@domain:device:function; one that was copied in hex, or that an address had before it moved (Hyper-V), names nothing',
    remedy: `${PATCH}; where the address moves at every boot, xorg.atBoot: true does it before X starts`,
    evidence: [
      ...wrong.map(({ file, device }) => evidence(file.path, `Device "${device.identifier}", BusID "${device.busId}"`)),
      ...busEvidence(facts),
    ],
  };
}

function busIdAmbiguous(config: Config, facts: Seen): Found | undefined {
  const { gpus, graphics } = facts;
  const [first] = astray(facts).filter(({ device }) => device.busId === undefined);
  const isAlone = gpus.length === 1 && graphics.otherDisplays.length === 0;
  if (!first || isAlone || whichGpu(config, facts).is === 'chosen') return undefined;
  return {
    severity: gravity(facts),
    summary: `${complaint(first, gpus)}, and this guest has several displays on its bus`,
    cause:
      'without a BusID X takes the first display of the machine, which may be the one that the hypervisor emulates',
    remedy: gpus.length === 1 ? PATCH : `set xorg.gpu to ${choices(facts)}; then ${PATCH}`,
    evidence: [evidence(first.file.path, `Device "${first.device.identifier}" without BusID`), ...busEvidence(facts)],
  };
}

/** What X says of itself where it has ended, with the words that are known. */
function xFails(_config: Config, facts: Seen): Found | undefined {
  const { log, programs } = facts.graphics;
  if (!log?.fatal || programs.some(({ kind }) => kind === 'x')) return undefined;
  const known = WORDS.find(({ pattern }) => log.errors.some(line => pattern.test(line)));
  return {
    severity: gravity(facts),
    summary: 'the X server has ended with an error',
    cause: known?.cause ?? 'its log says why',
    remedy: known?.remedy ?? `read ${log.path}`,
    evidence: log.errors.slice(0, MOST_LINES).map(line => evidence(log.path, line)),
  };
}

const MOST_LINES = 5;

/** Lines of X server 21.1 and of NVIDIA's driver for it. */
const WORDS: readonly { readonly pattern: RegExp; readonly cause: string; readonly remedy: string }[] = [
  {
    pattern: /API mismatch|version mismatch/i,
    cause: "the kernel module of the driver and NVIDIA's driver for X are of different versions",
    remedy: 'reboot after the installation of a driver; vgpu-guest apply says whether one is due',
  },
  {
    pattern: /Failed to load module "nvidia"|module does not exist/,
    cause: "NVIDIA's driver for X is not there: it was not installed, or without its X part",
    remedy: 'vgpu-guest apply with driver.package installs the driver',
  },
  {
    pattern: /Failed to initialize the NVIDIA (?:GPU|kernel module|graphics device)|NVIDIA kernel module/i,
    cause: 'the kernel module is not loaded, or another driver has the GPU (nouveau)',
    remedy: 'vgpu-guest apply keeps nouveau out and loads the driver; lspci -nnk -d 10de: shows who has the GPU',
  },
  {
    pattern: /Problem parsing the config file|Parse error/,
    cause: 'a configuration file of X is not in its grammar',
    remedy: 'correct the file that the log names',
  },
  {
    pattern: /no screens found|No devices detected|none have a usable configuration/,
    cause: 'X has found no device for its configuration: a wrong BusID, or no monitor where one is asked for',
    remedy: `${PATCH}; for a guest without a monitor set xorg.allowEmptyInitialConfiguration: true`,
  },
];

function elsewhere(_config: Config, facts: Seen): Found | undefined {
  const { by, programs, gpus } = shownBy(facts);
  if (by === 'none' || gpus === undefined || gpus.length > 0 || facts.gpus.length === 0) return undefined;
  const onDriver = facts.graphics.log?.drivers.filter(name => name !== 'NVIDIA') ?? [];
  return {
    severity: 'warning',
    summary: `${programs.join(', ')} shows a screen, and not on an NVIDIA GPU`,
    cause:
      by === 'x'
        ? `X runs${onDriver.length > 0 ? ` with ${onDriver.join(', ')}` : ''}: it may have no nvidia Device, or have been started before the driver was there`
        : 'the compositor may have taken the emulated display, or the driver may run without nvidia-drm modeset=1, which Wayland needs',
    remedy:
      by === 'x'
        ? 'set xorg.manage: always, run vgpu-guest apply, and restart the display manager (systemctl restart display-manager)'
        : 'let the display manager use X (WaylandEnable=false in its custom.conf), or give the kernel nvidia-drm.modeset=1; then restart the display manager',
    evidence: [...programEvidence(facts), ...smiEvidence(facts), ...displayEvidence(facts)],
  };
}

function wayland(_config: Config, facts: Seen): Found | undefined {
  const { by, programs } = shownBy(facts);
  const hasDevice = (read => read.is === 'read' && read.places.length > 0)(placesIn(facts.xorg));
  if (by !== 'wayland' || !hasDevice) return undefined;
  return {
    severity: 'info',
    summary: `the screen is shown by Wayland (${programs.join(', ')}), to which xorg.conf means nothing`,
    cause: 'the session is one of Wayland; what runs beside it for programs of X is Xwayland',
    remedy:
      'choose a session on Xorg at the login, or set WaylandEnable=false in the custom.conf of the display manager',
    evidence: programEvidence(facts),
  };
}

/** Everything is right inside, and somebody looks at the wrong console. */
function unseen(_config: Config, facts: Seen): Found | undefined {
  const { by, gpus = [] } = shownBy(facts);
  if (by === 'none' || gpus.length === 0 || facts.graphics.otherDisplays.length === 0) return undefined;
  return {
    severity: 'info',
    summary:
      'the screen is on the NVIDIA GPU, and the console of the hypervisor may show the emulated display, which stays black',
    cause: 'this guest has two displays, and a console shows one of them',
    remedy:
      'in virt-manager choose the other console (View, Consoles); on the host give the vGPU display=on (only Q profiles and the like have a console); or look at it by VNC: set vnc, or run Xvnc where the hypervisor is not QEMU',
    evidence: [...programEvidence(facts), ...displayEvidence(facts)],
  };
}

function msiFailed(_config: Config, { kernelLog }: Seen): Found | undefined {
  const line =
    kernelLog.is === 'read' ? kernelLog.driver.findLast(text => /Failed to enable MSI/i.test(text)) : undefined;
  if (kernelLog.is !== 'read' || line === undefined) return undefined;
  return {
    severity: 'warning',
    summary: 'the driver has no message-signaled interrupts, and falls back to others',
    cause:
      'the hypervisor does not give the guest MSI for this GPU; interrupts may come late or not at all, and a screen may stay black',
    remedy:
      'give the virtual machine a chipset with PCI Express (q35) and no pci=nomsi on its kernel command line; ask the administrator of the host',
    evidence: [evidence(kernelLog.from, line)],
  };
}

function notBack(_config: Config, { screen: { left } }: Seen): Found | undefined {
  if (!left) return undefined;
  return {
    severity: 'error',
    summary: 'the graphical target was left for the installation of the driver, and has not come back',
    cause: 'a run was ended before it could bring the screen back',
    remedy: 'vgpu-guest apply brings it back, and so does a reboot',
    evidence: [evidence('/run/vgpu-guest/left-graphical', 'is there')],
  };
}

function busEvidence({ gpus, graphics }: Pick<Facts, 'gpus' | 'graphics'>): readonly Evidence[] {
  const addresses = gpus.map(({ address, device }) => `${address} [10de:${device}]`);
  const others = graphics.otherDisplays.map(address => `${address} (not NVIDIA)`);
  return [evidence('/sys/bus/pci/devices', [...addresses, ...others].join(', '))];
}

function programEvidence({ graphics, screen: { graphical } }: Seen): readonly Evidence[] {
  return [
    ...graphics.programs.map(({ pid, name }) => evidence(`/proc/${pid}/comm`, name)),
    evidence(GRAPHICAL, graphical ? 'active' : 'not active'),
  ];
}

function smiEvidence({ smi }: Seen): readonly Evidence[] {
  if (!smi.answers) return [evidence('nvidia-smi -q -x', smi.problem)];
  return smi.gpus.map(({ address, processes = [] }) => {
    const drawing = processes.filter(({ draws }) => draws).map(({ pid, name }) => `${pid} ${name}`);
    return evidence('nvidia-smi -q -x', `${address}: ${drawing.join(', ') || 'no program draws'}`);
  });
}

function displayEvidence({ graphics: { otherDisplays } }: Seen): readonly Evidence[] {
  return otherDisplays.map(address => evidence('/sys/bus/pci/devices', `${address}: a display that is not NVIDIA's`));
}
