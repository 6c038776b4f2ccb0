import { blocked, due, settled, type Verdict, warned } from '../../change.ts';
import type { Config } from '../../config/schema.ts';
import type { Facts } from '../../facts/facts.ts';
import type { Gpu } from '../../facts/gpu/gpus.ts';
import { busIdOf, choices, whichGpu } from '../../facts/gpu/which-gpu.ts';
import { XORG_CONF, type XorgFact } from '../../facts/screen/xorg.ts';
import { complaint, isAt, nameOf, type Place, type Places, placesIn, spotOf } from '../../facts/screen/xorg-places.ts';
import { minimalXorgConf } from '../../formats/screen/xorg-edit.ts';
import { defineStep } from '../step.ts';
import { createdConf, type Edit, editsOf, enactEdits, OR_NEVER, refusal } from './xorg-edits.ts';

/** Without a BusID X takes the primary display for the GPU, which in a guest may be the hypervisor's emulated one. */
export const patchXorg = defineStep({
  id: 'patch-xorg',
  title: 'Tell the X server where the GPU is',
  reads: ['gpus', 'xorg', 'smi'],
  judge(config, facts, ahead) {
    const { gpus, xorg } = facts;
    const { manage } = config.xorg;
    if (manage === 'never') return settled('the configuration of X is left alone (xorg.manage: never)');
    if (gpus.length === 0) return settled('no NVIDIA GPU is on the PCI bus, so there is no BusID to write');

    const read = placesIn(xorg);
    if (read.is === 'faulty')
      return blocked(`X cannot read ${read.path}: ${read.fault}`, `correct ${read.path}, ${OR_NEVER}`);
    if (read.places.length === 0 && manage === 'auto') return settled(NOTHING_TO_PATCH);

    const choice = whichGpu(config, facts);
    switch (choice.is) {
      case 'missing':
        return blocked(choice.because, `set xorg.gpu to ${choices(facts)}, ${OR_NEVER}`);
      case 'unseen':
        if (DRIVER_STEPS.some(id => ahead.has(id)))
          return warned(settled('which GPU X is for is seen when the driver runs'), [
            `xorg.gpu is ${config.xorg.gpu}, which only nvidia-smi knows, and it does not answer yet`,
          ]);
        return blocked(
          `xorg.gpu is ${config.xorg.gpu}, which only nvidia-smi knows: ${choice.because}`,
          `set xorg.gpu to the address of the GPU, one of ${gpus.map(({ address }) => address).join(', ')}, or mend the driver`,
        );
      case 'chosen':
        return read.places.length === 0
          ? create(config, xorg, choice.gpu)
          : patch(config, facts, read, assign(read.places, choice.gpu, gpus));
      case 'none':
        if (read.places.length > 0) return patch(config, facts, read, assignByItself(read.places, facts));
        return gpus.length === 1 ? create(config, xorg, gpus[0]!) : blocked(...unsaid(facts));
    }
  },
});

const DRIVER_STEPS = ['leave-nouveau', 'install-driver'];
const NOTHING_TO_PATCH = 'no configuration of X has an nvidia Device; X finds the GPU by itself';
const OR_AUTO = 'or set xorg.manage: auto in /etc/vgpu-guest/config.yaml';

/** Which Devices are to be set to which GPU. */
type Assignment =
  | {
      readonly is: 'clear';
      readonly wrong: readonly Place[];
      readonly gpu: Gpu | undefined;
      readonly aside: readonly Place[];
    }
  | { readonly is: 'unclear'; readonly places: readonly Place[] };

/** Several Devices at one address are several screens of one GPU. */
function groups(places: readonly Place[]): ReadonlyMap<unknown, readonly Place[]> {
  return Map.groupBy(places, place => spotOf(place) ?? place);
}

function assignByItself(places: readonly Place[], { gpus }: Pick<Facts, 'gpus'>): Assignment {
  const astray = places.filter(place => !gpus.some(gpu => isAt(place, gpu)));
  if (astray.length === 0) return { is: 'clear', wrong: [], gpu: undefined, aside: [] };
  // otherwise nothing says which GPU is whose
  const isClear = gpus.length === 1 && groups(places).size === 1;
  return isClear ? { is: 'clear', wrong: astray, gpu: gpus[0], aside: [] } : { is: 'unclear', places: astray };
}

/** A person has said which GPU it is: one Device must be at it, and those that are right for another one are somebody's own. */
function assign(places: readonly Place[], gpu: Gpu, gpus: readonly Gpu[]): Assignment {
  const others = places.filter(place => !isAt(place, gpu));
  if (others.length < places.length) return { is: 'clear', wrong: [], gpu, aside: others };
  const astray = places.filter(place => !gpus.some(found => isAt(place, found)));
  const wrong = astray.length > 0 ? astray : places;
  const aside = places.filter(place => !wrong.includes(place));
  return groups(wrong).size === 1 ? { is: 'clear', wrong, gpu, aside } : { is: 'unclear', places: wrong };
}

function patch(
  config: Config,
  facts: Pick<Facts, 'gpus' | 'smi'>,
  read: Extract<Places, { is: 'read' }>,
  assignment: Assignment,
): Verdict {
  const { gpus } = facts;
  if (assignment.is === 'unclear') {
    const { places } = assignment;
    const mayBeSaid = gpus.length > 1 && config.xorg.gpu === undefined && groups(places).size === 1;
    const remedy = mayBeSaid
      ? `set xorg.gpu in /etc/vgpu-guest/config.yaml to ${choices(facts)}`
      : `set the BusID of ${places.map(nameOf).join(' and ')} to ${busIds(gpus)}, remove a Device that is not needed`;
    return blocked(
      `${places.map(place => complaint(place, gpus)).join(' and ')}, and which GPU is meant cannot be told`,
      `${remedy}, ${OR_NEVER}`,
    );
  }
  const { wrong, gpu, aside } = assignment;
  const edits: readonly Edit[] = read.places.flatMap(place => {
    const isWrong = wrong.includes(place);
    const target = isWrong ? gpu : undefined;
    // the options are for the GPU of this guest, whichever of its Devices show it
    return aside.includes(place) ? [] : editsOf(config.xorg, place, gpus, target);
  });
  const strays = aside.filter(place => !gpus.some(found => isAt(place, found)));
  const warnings = strays.map(place => complaint(place, gpus));
  if (edits.length > 0)
    return edits.map(edit => refusal(edit, read)).find(Boolean) ?? warned(enactEdits(edits), warnings);
  const right = read.places.filter(place => !aside.includes(place));
  const whose = gpu && config.xorg.gpu !== undefined ? `the GPU at ${gpu.address}` : 'an NVIDIA GPU';
  return warned(settled(`the BusID of ${right.map(nameOf).join(' and of ')} is that of ${whose}`), warnings);
}

function create({ xorg }: Config, { conf, nvidiaXconfig }: XorgFact, gpu: Gpu): Verdict {
  if (conf) {
    const because = `${conf.path} has no nvidia Device, and only a missing xorg.conf can be created`;
    return blocked(because, `give ${conf.path} a Device with Driver "nvidia", move it away, ${OR_AUTO}`);
  }
  const because = `there is no ${XORG_CONF}, and xorg.manage is always`;
  if (nvidiaXconfig) return due({ kind: 'render-xorg', path: XORG_CONF, address: gpu.address, because });
  const text = createdConf(xorg, minimalXorgConf(busIdOf(gpu)), gpu)!;
  return due({ kind: 'write', path: XORG_CONF, text, mode: 0o644, because });
}

function busIds(gpus: readonly Gpu[]): string {
  return gpus.map(gpu => `${busIdOf(gpu)} (${gpu.address})`).join(' or ');
}

function unsaid(facts: Pick<Facts, 'gpus' | 'smi'>): [string, string] {
  const because = `${XORG_CONF} is missing, and which of ${facts.gpus.length} NVIDIA GPUs it is for is not said`;
  return [because, `set xorg.gpu to ${choices(facts)}, ${OR_AUTO}`];
}
