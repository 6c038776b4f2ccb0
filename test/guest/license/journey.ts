/**
 * What the program says of each way in which a license can fail to come, on a guest whose driver is installed. Every check sets a scene
 * of its own, so that they hold in any order. The service, its certificates, the signatures of tokens, systemd, the journal and the
 * network are real; nvidia-gridd, nvidia-smi and the protocol between daemon and service are the test bed's.
 */
import type { Check } from '../checks.ts';
import type { LicenseBed } from './bed.ts';
import { daemonChecks } from './daemon-checks.ts';
import { eraChecks, legacyEraChecks } from './era-checks.ts';
import { featureChecks } from './feature-checks.ts';
import { leaseChecks } from './lease-checks.ts';
import { endOfLegacyChecks, legacyChecks } from './legacy-checks.ts';
import { serviceChecks } from './service-checks.ts';
import { tokenChecks } from './token-checks.ts';

export type LicenseChecks = (bed: LicenseBed) => readonly Check[];

/**
 * The parts of the journey, for guests that run (see introduceService). A part knows nothing of the others; `legacy` needs a driver that
 * can use a legacy license server (R510 or earlier), the others need a later one.
 */
export const licenseJourney = {
  asking: bed => [tokenChecks, serviceChecks, endOfLegacyChecks].flatMap(checks => checks(bed)),
  holding: bed => [leaseChecks, daemonChecks, featureChecks, eraChecks].flatMap(checks => checks(bed)),
  legacy: bed => [...legacyChecks(bed), ...legacyEraChecks(bed)],
} satisfies Record<string, LicenseChecks>;
