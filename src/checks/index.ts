import type { Subject } from './check.ts';
import { clock } from './clock.ts';
import { cuda } from './cuda.ts';
import { daemon } from './daemon.ts';
import { driver } from './driver.ts';
import { gpu } from './gpu.ts';
import { griddConf } from './gridd-conf.ts';
import { kernel } from './kernel.ts';
import { license } from './license.ts';
import { log } from './log.ts';
import { mode } from './mode.ts';
import { nextKernel } from './next-kernel.ts';
import { screen } from './screen.ts';
import { servers } from './servers.ts';
import { token } from './token.ts';

/** From what everything else rests on to what comes of it: the first fault is most often the cause of the later ones. */
export const subjects: readonly Subject[] = [
  gpu,
  driver,
  kernel,
  nextKernel,
  mode,
  griddConf,
  token,
  clock,
  servers,
  daemon,
  log,
  license,
  screen,
  cuda,
] as readonly Subject[];
