import { defineConfig } from 'vitest/config';

export default defineConfig({
  // units are text, as in the build
  plugins: [
    {
      name: 'units-as-text',
      transform: (code, id) =>
        /\.(?:service|timer)$/.test(id) ? { code: `export default ${JSON.stringify(code)}`, map: null } : undefined,
    },
  ],
  test: {
    include: ['test/**/*.test.ts'],
    // these need what npm run build:release makes
    exclude: ['test/release/**'],
    // a machine that is busy with other things is slow, not wrong
    testTimeout: 300_000,
    hookTimeout: 300_000,
    expect: { poll: { timeout: 60_000 } },
    // a guest in a folder is its own world, so files may run side by side; much of their time is waiting for small programs
    fileParallelism: true,
    maxWorkers: 4,
    // no test changes anything that another one could see
    isolate: false,
  },
});
