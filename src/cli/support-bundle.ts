import { subjects } from '../checks/index.ts';
import { DEFAULT_CONFIG_PATH } from '../config/default-path.ts';
import { loadConfig } from '../config/load.ts';
import type { Config } from '../config/schema.ts';
import { examine } from '../engine/examine.ts';
import { lookForAll, plan } from '../engine/plan.ts';
import { collectBundle, packBundle } from '../engine/support/bundle.ts';
import { findSecrets } from '../engine/support/secrets.ts';
import type { Got, Source } from '../engine/support/source.ts';
import { supportSources } from '../engine/support/sources.ts';
import { AgentError } from '../errors.ts';
import { type Look, lookAt } from '../facts/facts.ts';
import type { Guest } from '../guest/guest.ts';
import { doctorJson, doctorText } from '../report/doctor-report.ts';
import { planJson, planText } from '../report/plan-report.ts';
import { statusText } from '../report/status-report.ts';
import { supportJson, supportList, supportText } from '../report/support-report.ts';
import type { Paint } from '../report/text.ts';
import { harmless } from '../report/visible.ts';
import { EXIT } from './exit.ts';
import type { CommonOptions, Io } from './io.ts';
import { openEyesFor, openGuestFor } from './open.ts';
import { presentTexts } from './plan.ts';
import { selectSteps } from './select-steps.ts';
import { guestPath, namedConfigPath, readConfig, readConfigFile } from './settings.ts';
import { lookAtStatus } from './status.ts';
import { VERSION } from './version.ts';

/** Writable on every guest, kept over a reboot, and found again by who is to fetch it. */
const FOLDER = '/var/tmp';
/** Of everything together; what has not come by then is named as missing. */
const DEADLINE_MS = 5 * 60_000;
/** Of the reports of our own, which ask the same programs as the rest. */
const REPORTS_MS = 90_000;
const REPORT_LIMIT = 4 * 1024 * 1024;
const plain: Paint = (_style, text) => text;

/** Everything that a vendor asks for, in one file, secrets taken out. Takes no lock: a run that hangs is a reason to ask for it. */
export async function supportBundleCommand(
  options: CommonOptions & { readonly output?: string },
  io: Io,
): Promise<number> {
  const guest = openGuestFor(options, io);
  const named = options.output === undefined ? undefined : guestPath(options.output, options.root, '--output');
  if (named !== undefined) await refuseTaken(guest, named);
  const deadline = AbortSignal.timeout(DEADLINE_MS);
  const { config, path: configPath, fault } = await configFor(guest, options, io);
  const eyes = openEyesFor(options, { ...io, stop: AbortSignal.any([io.stop, AbortSignal.timeout(REPORTS_MS)]) });
  const look = lookAt(eyes, config);
  const { family } = await look.fact('system');
  const { secrets, unread } = await findSecrets(guest, config, io.env);
  const sources = [...ownReports(look, io.stop, fault), ...(await supportSources(guest, configPath, family))];
  const files = await collectBundle(sources, secrets, { stop: io.stop, deadline });

  const atUs = guest.nowUs();
  const time = new Date(atUs / 1000).toISOString().slice(0, 19);
  const top = `vgpu-guest-support-${time.replace(/[-:]/g, '')}Z`;
  const made = `vgpu-guest ${VERSION} support-bundle, ${time}Z by the guest's clock`;
  const list = { name: 'contents.txt', text: harmless(supportList(files, unread, made)) };
  const archive = await packBundle(top, list, files, atUs);
  const path = named ?? (await freeName(guest, `${FOLDER}/${top}`));
  await guest.writeNew(path, archive).catch(error => {
    if (!(error instanceof AgentError)) throw error;
    throw new AgentError(error.message, {
      cause: error,
      remedy: `${error.remedy ? `${error.remedy}; or ` : ''}give --output FILE in another file system`,
    });
  });
  const bundle = { path, bytes: archive.length, entries: files, unread };
  if (options.json) io.json(supportJson(bundle));
  else if (options.quiet) io.out(path);
  else io.out(supportText(bundle));
  return EXIT.settled;
}

/** Said at once, and not after minutes; that nothing is overwritten is up to who writes it. */
async function refuseTaken(guest: Guest, path: string): Promise<void> {
  if (!(await guest.stat(path)) && (await guest.readLink(path)) === undefined) return;
  throw new AgentError(`${path} is there already, and is left as it is`, { remedy: 'give another name' });
}

/** A configuration at fault is one of the things that support is asked about: the rest is looked at without it. */
async function configFor(
  guest: Guest,
  options: CommonOptions,
  io: Io,
): Promise<{ readonly config: Config; readonly path: string; readonly fault?: AgentError }> {
  const fallback = {
    path: namedConfigPath(options, io.env) ?? DEFAULT_CONFIG_PATH,
    config: loadConfig({ path: '', text: undefined }, []),
  };
  try {
    const { path } = await readConfigFile(guest, options, io.env);
    const { config } = await readConfig(guest, options, io.env);
    return { config, path };
  } catch (fault) {
    if (!(fault instanceof AgentError) || fault.fault === 'usage') throw fault;
    return { ...fallback, fault };
  }
}

function ownReports(look: Look, stop: AbortSignal, fault: AgentError | undefined): readonly Source[] {
  const steps = selectSteps();
  const planned = once(async () => plan(steps, look.config, await lookForAll(steps, look)));
  const present = once(async () => await presentTexts(look.guest, await planned()));
  const diagnosis = once(
    async () => await examine(subjects, look, { stop, deadline: AbortSignal.timeout(REPORTS_MS) }),
  );
  const status = once(async () => await lookAtStatus(look));
  const text = async (got: Promise<string>): Promise<Got> => ({ is: 'text', text: `${await got}\n` });
  const data = async (got: Promise<object>): Promise<Got> => ({ is: 'data', value: await got });
  const report = (name: string, how: string, get: () => Promise<Got>): Source => ({
    name: `vgpu-guest/${name}`,
    how,
    timeoutMs: REPORTS_MS,
    limit: REPORT_LIMIT,
    get,
  });
  return [
    ...(fault
      ? [report('config-fault.txt', 'vgpu-guest config validate', () => text(Promise.resolve(fault.message)))]
      : []),
    report('status.txt', 'vgpu-guest status', () => text(status().then(statusText))),
    report('doctor.txt', 'vgpu-guest doctor', () => text(diagnosis().then(found => doctorText(found, plain)))),
    report('plan.txt', 'vgpu-guest plan', () =>
      text(planned().then(async made => planText(made, await present(), plain))),
    ),
    report('status.json', 'vgpu-guest status --json', () => data(status())),
    report('doctor.json', 'vgpu-guest doctor --json', () => data(diagnosis().then(doctorJson))),
    report('plan.json', 'vgpu-guest plan --json', () =>
      data(planned().then(async made => planJson(made, await present()))),
    ),
  ];
}

function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => {
    made ??= make();
    return made;
  };
}

/** Two bundles of one second have two names. */
async function freeName(guest: Guest, path: string): Promise<string> {
  for (let number = 1; ; number++) {
    const name = `${path}${number === 1 ? '' : `-${number}`}.tar.gz`;
    if (!(await guest.stat(name)) && (await guest.readLink(name)) === undefined) return name;
  }
}
