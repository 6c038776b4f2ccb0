import { expect, test } from 'vitest';
import { compareReleases } from '../../../src/formats/driver/kernel-release.ts';

test.each([
  ['5.14.0-503.14.1.el9_5.x86_64', '5.14.0-427.42.1.el9_4.x86_64'],
  // the first release of a minor version has fewer numbers before its word
  ['5.14.0-427.13.1.el9_4.x86_64', '5.14.0-427.el9.x86_64'],
  ['6.4.0-150600.23.100-default', '6.4.0-150600.23.47-default'],
  ['6.4.0-150600.21-default', '6.4.0-9-default'],
  ['6.8.0-45-generic', '6.8.0-9-generic'],
  ['6.1.0-28-cloud-amd64', '6.1.0-28-amd64'],
])('%s is newer than %s', (newer, older) => {
  expect(compareReleases(newer, older)).toBeGreaterThan(0);
  expect(compareReleases(older, newer)).toBeLessThan(0);
  expect(compareReleases(newer, newer)).toBe(0);
});
