import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { setFlagsFromString } from 'node:v8';
import { Script } from 'node:vm';

/** warm-up.ts PROGRAM CODE WORD…: runs the program with these words, and adds what V8 has compiled of it to CODE. */
const [programPath = '', codePath = '', ...words] = process.argv.slice(2);
const program = readFileSync(programPath, 'latin1');
const cachedData = existsSync(codePath) ? readFileSync(codePath) : undefined;

// code that is read or written with other flags than the program will have is not taken by it
setFlagsFromString('--initial-heap-size=0');
const script = new Script(program, { filename: 'vgpu-guest.cjs', ...(cachedData && { cachedData }) });
if (script.cachedDataRejected) throw new Error(`${codePath} is not taken`);

/** Code that runs often is marked, and how often it runs is a matter of time. */
const MARKING = ['sparkplug', 'opt'];
for (const what of MARKING) setFlagsFromString(`--no-${what}`);
process.on('exit', () => {
  for (const what of MARKING) setFlagsFromString(`--${what}`);
  writeFileSync(codePath, script.createCachedData());
});
process.argv.splice(1, Number.POSITIVE_INFINITY, programPath, ...words);
// root looks at more than others do, and whoever builds is to get the same bytes
if (process.geteuid?.() === 0) process.geteuid = () => -1;
script.runInThisContext()(createRequire(import.meta.url));
