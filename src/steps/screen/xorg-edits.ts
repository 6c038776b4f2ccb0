import { blocked, type Change, due, type Verdict } from '../../change.ts';
import type { Config } from '../../config/schema.ts';
import type { Facts } from '../../facts/facts.ts';
import type { Gpu } from '../../facts/gpu/gpus.ts';
import { busIdOf } from '../../facts/gpu/which-gpu.ts';
import { XORG_CONF } from '../../facts/screen/xorg.ts';
import {
  complaint,
  nameOf,
  type Place,
  type Places,
  placesIn,
  type ReadConf,
  where,
} from '../../facts/screen/xorg-places.ts';
import { parseXorgConf, type XorgScreen } from '../../formats/screen/xorg-conf.ts';
import type { XorgDevice } from '../../formats/screen/xorg-device.ts';
import {
  addScreen,
  booleanOption,
  hasOption,
  overridingConf,
  type Size,
  setBusId,
  setOption,
  setVirtual,
} from '../../formats/screen/xorg-edit.ts';

export const OR_NEVER = 'or set xorg.manage: never in /etc/vgpu-guest/config.yaml';
/** X reads both folders in full, and a file of ours is told by its name. */
const OVERRIDE = '/etc/X11/xorg.conf.d/90-vgpu-guest.conf';

/** What is to be changed in one file, and why. */
export interface Edit {
  readonly place: Place;
  readonly file: ReadConf;
  readonly because: string;
  readonly apply: (text: string) => string;
}

type Read = Extract<Places, { is: 'read' }>;
type Xorg = Config['xorg'];

/** The edits that a Device needs; `gpu`: where it must be, undefined where it is right. */
export function editsOf(
  xorg: Xorg,
  place: Place,
  gpus: Facts['gpus'],
  gpu: Pick<Gpu, 'address'> | undefined,
): readonly Edit[] {
  const because = gpu && `${complaint(place, gpus)}, and the GPU is at ${gpu.address}`;
  const busId =
    gpu && because ? [inDevice(place, because, (text, device) => setBusId(text, device, busIdOf(gpu)))] : [];
  return [...busId, ...optionsOf(xorg, place), ...virtualOf(xorg, place)];
}

/**
 * Options of NVIDIA's driver (its README, appendix B), by the key that asks for them. AllowEmptyInitialConfiguration: its X starts although no
 * monitor is there.
 */
const OPTIONS = [
  ['allowEmptyInitialConfiguration', 'AllowEmptyInitialConfiguration'],
  ['hardDpms', 'HardDPMS'],
] as const;

/** Of a Screen and its Device X takes the Screen's Option, and that is where nvidia-xconfig writes it. */
function optionsOf(xorg: Xorg, place: Place): readonly Edit[] {
  return OPTIONS.flatMap(([key, name]) => {
    const wanted = xorg[key];
    const shown = place.screen && hasOption(place.screen.screen, name) ? place.screen : undefined;
    if (wanted === undefined || booleanOption(shown?.screen ?? place.device, name) === wanted) return [];
    const asked = `has not the Option "${name}" as xorg.${key} asks for it`;
    const set: SetIn<XorgDevice | XorgScreen> = (text, found) =>
      setOption(text, found, name, wanted ? 'True' : 'False');
    return shown
      ? [inScreen(place, shown, `the Screen of ${nameOf(place)} ${asked}`, set)]
      : [inDevice(place, `${nameOf(place)} ${asked}`, set)];
  });
}

function virtualOf({ virtual }: Xorg, place: Place): readonly Edit[] {
  if (virtual === undefined) return [];
  const [width = 0, height = 0] = virtual.split('x').map(Number);
  const size: Size = { width, height };
  const { screen } = place;
  const because = `the virtual resolution of ${nameOf(place)} is not ${virtual}, which xorg.virtual asks for`;
  if (!screen) return [inDevice(place, because, (text, device) => addScreen(text, device, size))];
  const { displays } = screen.screen;
  const isRight = ({ virtual: found }: (typeof displays)[number]) => found?.width === width && found.height === height;
  if (displays.length > 0 && displays.every(isRight)) return [];
  return [inScreen(place, screen, because, (text, found) => setVirtual(text, found, size))];
}

/** Of several edits of one text each finds its section again in what the ones before it have made. */
type SetIn<Section> = (text: string, section: Section) => string;

function inDevice(place: Place, because: string, edit: SetIn<XorgDevice>): Edit {
  const { file, device } = place;
  const index = file.conf.devices.indexOf(device);
  return { place, file, because, apply: text => edit(text, parsed(text).devices[index]!) };
}

function inScreen(
  place: Place,
  { file, screen }: NonNullable<Place['screen']>,
  because: string,
  edit: SetIn<XorgScreen>,
): Edit {
  const index = file.conf.screens.indexOf(screen);
  return { place, file, because, apply: text => edit(text, parsed(text).screens[index]!) };
}

/** A new file for one GPU, with all that the configuration asks for; undefined: it has not one nvidia Device. */
export function createdConf(xorg: Xorg, text: string, gpu: Pick<Gpu, 'address'>): string | undefined {
  const read = placesIn({ dropIns: [], conf: { path: XORG_CONF, text } });
  if (read.is === 'faulty' || read.places.length !== 1) return undefined;
  // a guest of which nobody says that it has a monitor has none
  const wanted = { ...xorg, allowEmptyInitialConfiguration: xorg.allowEmptyInitialConfiguration ?? true };
  return editsOf(wanted, read.places[0]!, [], gpu).reduce((edited, { apply }) => apply(edited), text);
}

/** Why somebody else must make this edit. */
export function refusal(edit: Edit, read: Read): Verdict | undefined {
  const { path, conf } = edit.file;
  if (isOfPackage(path)) {
    // of two Screens X takes the first that it reads, and a layout names its Screens
    if (read.files.every(file => file.conf.screens.length === 0 && file.conf.layouts.length === 0)) return undefined;
    return blocked(
      `${withoutGpu(edit)}, that file belongs to a package, and a Screen or a ServerLayout keeps another file from taking its place`,
      `move it into /etc/X11/xorg.conf.d and run this again, ${OR_NEVER}`,
    );
  }
  if (conf.unclosedQuote) {
    return blocked(
      `${withoutGpu(edit)}, and a quote is not closed (${where(conf.unclosedQuote)})`,
      `close the quote in ${path}, ${OR_NEVER}`,
    );
  }
  return undefined;
}

/** One write a file; what lies in a package's file is overridden from /etc. */
export function enactEdits(edits: readonly Edit[]): Verdict {
  const byFile = Map.groupBy(edits, ({ file }) => file);
  const [first, ...rest] = [...byFile].map(([file, own]) => writeOf(file, own));
  return due(first!, ...rest);
}

function writeOf(file: ReadConf, edits: readonly Edit[]): Change {
  const text = edits.reduce((edited, edit) => edit.apply(edited), file.text);
  const because = [...new Set(edits.map(edit => edit.because))].join('; ');
  const { path, encoding } = file;
  if (!isOfPackage(path)) return { kind: 'write', path, text, because, ...(encoding ? { encoding } : {}) };
  const { devices, screens } = parsed(text);
  const device = devices[file.conf.devices.indexOf(edits[0]!.place.device)]!;
  return {
    kind: 'write',
    path: OVERRIDE,
    text: overridingConf(file.path, text, device, screens[0]?.displays[0]?.virtual),
    mode: 0o644,
    because: `${because}; ${file.path} belongs to a package and stays as it is, and ${OVERRIDE} takes its place`,
  };
}

function isOfPackage(path: string): boolean {
  return /^\/usr\/(?!local\/)/.test(path);
}

function withoutGpu({ because }: Edit): string {
  return because.replace(/, and the GPU is at \S+$/, '');
}

function parsed(text: string): ReadConf['conf'] {
  const conf = parseXorgConf(text);
  if (conf.is === 'parsed') return conf;
  throw new Error(`an edit has broken a file: ${conf.problem}`);
}
