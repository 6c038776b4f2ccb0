import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parseDocument } from 'yaml';
import { loadConfig } from '../src/config/load.ts';

const PROJECT = resolve(import.meta.dirname, '..');
const read = (path: string) => readFileSync(join(PROJECT, path), 'utf8');

describe('README.md', () => {
  test.each([
    ['cloud-init', ['examples/cloud-init.yaml']],
    ['Configuration management', ['examples/ansible.yaml', 'examples/puppet.pp']],
  ])('what it quotes under %s stands in examples/', (title, paths) => {
    const quotes = quotesUnder(title);
    expect(quotes).toHaveLength(paths.length);
    expect(quotes.map((quote, index) => excerpt(paths[index] ?? '', quote))).toEqual(quotes);
  });

  test('the user data for cloud-init is quoted whole', () => {
    expect(quotesUnder('cloud-init')).toEqual([read('examples/cloud-init.yaml')]);
  });
});

describe('the examples', () => {
  test.each(['examples/cloud-init.yaml', 'examples/ansible.yaml', 'examples/config.yaml'])('%s is YAML', path => {
    const { errors, warnings } = parseDocument(read(path));
    expect([...errors, ...warnings]).toEqual([]);
  });

  test('the example of the configuration is one that the program takes', () => {
    const config = loadConfig({ path: 'examples/config.yaml', text: read('examples/config.yaml') }, []);
    expect(config.license.token).toBe('/opt/client_configuration_token.tok');
  });

  test('cloud-init knows its user data by the first line', () => {
    expect(read('examples/cloud-init.yaml')).toMatch(/^#cloud-config\n/);
  });

  test('the configuration that cloud-init writes is one that the program takes, and the token is where it says, for root alone', () => {
    const { write_files: files } = parseDocument(read('examples/cloud-init.yaml')).toJS();
    const config = loadConfig({ path: files[0].path, text: files[0].content }, []);
    expect(files[1]).toMatchObject({ path: config.license.token, permissions: '0600' });
  });
});

/** The code blocks between a heading and the next one. */
function quotesUnder(title: string): readonly string[] {
  const [, section = ''] = read('README.md').split(`\n### ${title}\n`);
  const [own = ''] = section.split(/^##/m);
  return [...own.matchAll(/^```\w+\n(.*?)^```$/gms)].map(([, quote = '']) => quote);
}

/** As many lines of the file as the quote has, from its first line on and as far to the left. */
function excerpt(path: string, quote: string): string {
  const quoted = quote.split('\n');
  const lines = read(path).split('\n');
  const from = lines.findIndex(line => line.trimStart() === quoted[0]);
  const indent = lines[from]?.search(/\S/);
  return lines
    .slice(from, from + quoted.length - 1)
    .map(line => `${line.slice(indent)}\n`)
    .join('');
}
