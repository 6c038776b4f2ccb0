import type { Config } from '../config/schema.ts';
import type { GuestView } from '../guest/guest.ts';
import { type BlacklistFact, collectBlacklist } from './driver/blacklist.ts';
import { type CarriedFact, collectCarried } from './driver/carried.ts';
import { collectDistributionDriver, type DistributionDriverFact } from './driver/distribution-driver.ts';
import { collectDkms, collectDkmsStatus, type DkmsFact, type DkmsStatusFact } from './driver/dkms.ts';
import { collectDriver, type DriverFact } from './driver/driver.ts';
import { collectDriverPackage, type DriverPackageFact } from './driver/driver-package.ts';
import { collectDriverTrouble, type DriverTroubleFact } from './driver/driver-trouble.ts';
import { collectInitrds, type InitrdsFact } from './driver/initrds.ts';
import { collectInstalledDriver, type InstalledDriverFact } from './driver/installed-driver.ts';
import { collectKernelLog, type KernelLogFact } from './driver/kernel-log.ts';
import { collectKernels, type KernelsFact } from './driver/kernels.ts';
import { collectModprobe, type ModprobeFile } from './driver/modprobe.ts';
import { collectRoom, type RoomFact } from './driver/room.ts';
import { collectSecureBoot, type SecureBootFact } from './driver/secure-boot.ts';
import { type CudaFact, collectCuda } from './gpu/cuda.ts';
import { collectGpuHolders, collectGpuUsers, type GpuUser } from './gpu/gpu-users.ts';
import { collectGpus, type Gpu } from './gpu/gpus.ts';
import { collectSmi, type SmiFact } from './gpu/smi.ts';
import { type ClockFact, collectClock } from './license/clock.ts';
import { collectGridd, type GriddFact } from './license/gridd.ts';
import { collectGriddLog, type GriddLogFact } from './license/gridd-log.ts';
import { collectServers, type ServersFact } from './license/servers.ts';
import { collectToken, type TokenFact } from './license/token.ts';
import { collectTokenFiles, type TokenFilesFact } from './license/token-files.ts';
import { collectNetwork, type NetworkFact } from './network.ts';
import { collectPrerequisites, type PrerequisitesFact } from './prerequisites.ts';
import { collectRecord, type RecordFact } from './record.ts';
import { type AddedPackagesFact, collectAddedPackages } from './revert/added-packages.ts';
import { collectGoesOn, type GoesOnFact } from './revert/goes-on.ts';
import { collectOwnUnits, type OwnUnitsFact } from './revert/own-units.ts';
import { collectReverted, type RevertedFact } from './revert/reverted.ts';
import { collectFoothold, type FootholdFact } from './screen/foothold.ts';
import { collectGraphics, type GraphicsFact } from './screen/graphics.ts';
import { collectScreen, type ScreenFact } from './screen/screen.ts';
import { collectVnc, type VncFact } from './screen/vnc.ts';
import { collectXorg, type XorgFact } from './screen/xorg.ts';
import { collectSurroundings, type SurroundingsFact } from './surroundings.ts';
import { collectSystem, type SystemFact } from './system.ts';

/** How the guest stands, subject by subject. Absence is a value. */
export interface Facts {
  readonly system: SystemFact;
  readonly gpus: readonly Gpu[];
  readonly kernels: KernelsFact;
  readonly prerequisites: PrerequisitesFact;
  readonly modprobe: readonly ModprobeFile[];
  readonly blacklist: BlacklistFact;
  readonly initrds: InitrdsFact;
  readonly driverPackage: DriverPackageFact;
  readonly distributionDriver: DistributionDriverFact;
  readonly secureBoot: SecureBootFact;
  readonly room: RoomFact;
  readonly dkms: DkmsFact;
  readonly dkmsStatus: DkmsStatusFact;
  readonly driver: DriverFact;
  readonly driverTrouble: DriverTroubleFact;
  readonly gpuUsers: readonly GpuUser[];
  readonly smi: SmiFact;
  readonly gridd: GriddFact;
  readonly token: TokenFact;
  readonly screen: ScreenFact;
  readonly foothold: FootholdFact;
  readonly xorg: XorgFact;
  readonly graphics: GraphicsFact;
  readonly ownUnits: OwnUnitsFact;
  readonly vnc: VncFact;
  readonly cuda: CudaFact;
  // what only revert asks for
  readonly record: RecordFact;
  readonly goesOn: GoesOnFact;
  readonly installedDriver: InstalledDriverFact;
  readonly gpuHolders: readonly GpuUser[];
  readonly carried: CarriedFact;
  readonly addedPackages: AddedPackagesFact;
  readonly reverted: RevertedFact;
  // what only doctor asks for
  readonly griddLog: GriddLogFact;
  readonly kernelLog: KernelLogFact;
  readonly surroundings: SurroundingsFact;
  readonly tokenFiles: TokenFilesFact;
  readonly clock: ClockFact;
  readonly network: NetworkFact;
  readonly servers: ServersFact;
}

/** One look at the guest: a fact is collected when it is first asked for, and once. */
export interface Look {
  readonly guest: GuestView;
  readonly config: Config;
  fact<K extends keyof Facts>(key: K): Promise<Facts[K]>;
  /** A new look, which takes over what this one has seen of these. */
  again(keep?: readonly (keyof Facts)[]): Look;
}

const COLLECTORS: { readonly [K in keyof Facts]: (look: Look) => Promise<Facts[K]> } = {
  system: collectSystem,
  gpus: collectGpus,
  kernels: collectKernels,
  prerequisites: collectPrerequisites,
  modprobe: collectModprobe,
  blacklist: collectBlacklist,
  initrds: collectInitrds,
  driverPackage: collectDriverPackage,
  distributionDriver: collectDistributionDriver,
  secureBoot: collectSecureBoot,
  room: collectRoom,
  dkms: collectDkms,
  dkmsStatus: collectDkmsStatus,
  driver: collectDriver,
  driverTrouble: collectDriverTrouble,
  gpuUsers: collectGpuUsers,
  smi: collectSmi,
  gridd: collectGridd,
  token: collectToken,
  screen: collectScreen,
  foothold: collectFoothold,
  xorg: collectXorg,
  graphics: collectGraphics,
  ownUnits: collectOwnUnits,
  vnc: collectVnc,
  cuda: collectCuda,
  record: collectRecord,
  goesOn: collectGoesOn,
  installedDriver: collectInstalledDriver,
  gpuHolders: collectGpuHolders,
  carried: collectCarried,
  addedPackages: collectAddedPackages,
  reverted: collectReverted,
  griddLog: collectGriddLog,
  kernelLog: collectKernelLog,
  surroundings: collectSurroundings,
  tokenFiles: collectTokenFiles,
  clock: collectClock,
  network: collectNetwork,
  servers: collectServers,
};

export function lookAt(guest: GuestView, config: Config): Look {
  return lookWith(new Map(), guest, config);
}

function lookWith(seen: Map<keyof Facts, Promise<unknown>>, guest: GuestView, config: Config): Look {
  const look: Look = {
    guest,
    config,
    fact<K extends keyof Facts>(key: K) {
      const known = seen.get(key) ?? COLLECTORS[key](look);
      seen.set(key, known);
      return known as Promise<Facts[K]>;
    },
    again: (keep = []) => lookWith(new Map([...seen].filter(([key]) => keep.includes(key))), guest, config),
  };
  return look;
}

/** The named facts, collected side by side. */
export async function collect<K extends keyof Facts>(look: Look, keys: readonly K[]): Promise<Pick<Facts, K>> {
  const values = await Promise.all(keys.map(key => look.fact(key)));
  return Object.fromEntries(keys.map((key, index) => [key, values[index]])) as unknown as Pick<Facts, K>;
}
