import { parse } from 'ini';

/** What os-release(5) says of the distribution; `ids` is ID and then the words of ID_LIKE. */
export interface OsRelease {
  readonly name: string;
  readonly version: string;
  readonly ids: readonly string[];
}

export function parseOsRelease(text: string): OsRelease {
  const fields = parse(text);
  const field = (key: string) => (typeof fields[key] === 'string' ? fields[key] : '');
  return {
    name: field('PRETTY_NAME') || field('NAME') || field('ID'),
    version: field('VERSION_ID'),
    ids: `${field('ID')} ${field('ID_LIKE')}`.split(' ').filter(Boolean),
  };
}
