import { dirname } from 'node:path/posix';
import { AgentError } from '../../errors.ts';
import { findTrusted } from '../../facts/license/servers.ts';
import { TOKEN_LIMIT_BYTES } from '../../facts/license/token.ts';
import { inspectToken, judgeDates } from '../../formats/license/token.ts';
import { withoutSecrets } from '../../formats/url.ts';
import type { Guest } from '../../guest/guest.ts';
import { NEW_TOKEN, remedyForDates } from '../../steps/license/place-token.ts';
import { makeStateFolder } from '../resume.ts';

const TIMEOUT_MS = 60_000;

/** Brings the token behind a URL to `path`, which nobody else can read. What cannot be used never gets there. */
export async function fetchToken(guest: Guest, url: string, path: string): Promise<void> {
  const trusted = await findTrusted(guest);
  const text = await guest.download(url, { limitBytes: TOKEN_LIMIT_BYTES, timeoutMs: TIMEOUT_MS, trusted });
  const found = inspectToken(text);
  const refusal =
    found.is === 'unusable' ? { ...found, remedy: NEW_TOKEN } : refusalOf(judgeDates(found.claims, guest.nowUs()));
  if (refusal) {
    const { because, remedy } = refusal;
    throw new AgentError(`what is at ${withoutSecrets(url)} ${because}`, { fault: 'blocked', remedy });
  }
  await makeStateFolder(guest, dirname(path));
  await guest.writeText(path, text, 0o600);
}

function refusalOf(untimely: ReturnType<typeof judgeDates>) {
  return untimely && { because: untimely.because, remedy: remedyForDates(untimely) };
}
