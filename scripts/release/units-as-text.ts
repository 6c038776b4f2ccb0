import { readFileSync } from 'node:fs';
import { registerHooks } from 'node:module';
import { fileURLToPath } from 'node:url';

/** Lets Node import units as text, as the bundler does: for scripts that run the program's sources as they are. */
registerHooks({
  load(url, context, next) {
    if (!/\.(service|timer)$/.test(url)) return next(url, context);
    const source = `export default ${JSON.stringify(readFileSync(fileURLToPath(url), 'utf8'))};`;
    return { format: 'module', source, shortCircuit: true };
  },
});
