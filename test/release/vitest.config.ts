import { defineConfig } from 'vitest/config';

/** Tests of what `npm run build:release` has made; they read dist/release. */
export default defineConfig({
  test: { include: ['test/release/**/*.test.ts'], testTimeout: 300_000, fileParallelism: false },
});
