import { expect, test } from 'vitest';
import { selectSteps } from '../../src/cli/select-steps.ts';

const ids = (...args: Parameters<typeof selectSteps>) => selectSteps(...args).map(step => step.id);

test('the journey has its steps in the order in which each stands on the ones before, the optional ones last', () => {
  expect(ids()).toEqual([
    'install-prerequisites',
    'blacklist-nouveau',
    'rebuild-initrd',
    'leave-nouveau',
    'install-driver',
    'configure-gridd',
    'place-token',
    'restart-gridd',
    'await-license',
    'patch-xorg',
    'watch-screen',
    'restart-display-manager',
    'return-to-screen',
    'share-screen',
    'set-ecc',
    'install-cuda',
  ]);
});

test('some steps, whatever the order in which they are asked for', () => {
  expect(ids(['place-token', 'configure-gridd'])).toEqual(['configure-gridd', 'place-token']);
  expect(ids([], ['await-license', 'patch-xorg'])).toHaveLength(14);
});

test('a step that there is not is answered with its neighbor', () => {
  expect(() => ids(['install-drivers'])).toThrow('there is no step install-drivers, did you mean install-driver?');
});
