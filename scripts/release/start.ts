import { getAssetKeys, getRawAsset } from 'node:sea';
import { Script } from 'node:vm';

/**
 * The first script of the executable: runs the program with what V8 has compiled of it, where that was built in. Node's own code cache
 * of a single executable has only what is compiled before anything has run, and so every start would compile the same functions again.
 */
const cachedData = getAssetKeys().includes('code') ? Buffer.from(getRawAsset('code')) : undefined;
const program = new Script(Buffer.from(getRawAsset('program')).toString('latin1'), {
  filename: 'vgpu-guest.cjs',
  ...(cachedData && { cachedData }),
});
program.runInThisContext()(require);
