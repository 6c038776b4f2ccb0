import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    testTimeout: 20_000,
    // a guest in a folder is its own world, so files and tests may run side by side
    fileParallelism: true,
  },
});
