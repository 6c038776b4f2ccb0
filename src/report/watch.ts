import type { Change } from '../change.ts';
import type { StepOutcome, StepReport, Watcher } from '../engine/apply.ts';
import type { Step } from '../steps/step.ts';
import type { Log } from './log.ts';
import type { Spell } from './spelling.ts';
import { duration, indent, type Paint, printable } from './text.ts';
import { visible } from './visible.ts';

/** Rows of a long child's output that stay in sight. */
const CHILD_ROWS = 3;
const REPAINT_MS = 200;
/** Without a terminal a line a minute says that it still goes on. */
const STILL_RUNNING_MS = 60_000;

/** How loud an outcome is said: --quiet leaves out what went well. */
export function levelOf(outcome: StepOutcome): 'error' | 'warn' | 'info' {
  if (outcome === 'failed') return 'error';
  return outcome === 'blocked' || outcome === 'unlicensed' ? 'warn' : 'info';
}

/** The rows at the bottom of a terminal that tell what is going on; a log line takes their place and they move below it. */
export interface Foot {
  show(head: string, rows: readonly string[]): void;
  /** What must be written before a line, so that it does not land inside the rows. */
  clear(): string;
}

export function terminalFoot(stream: NodeJS.WriteStream, paint: Paint, spell: Spell): Foot {
  let shown = 0;
  const clear = () => {
    const up = shown > 1 ? `\u001b[${shown - 1}A` : '';
    const sequence = shown > 0 ? `${up}\r\u001b[J` : '';
    shown = 0;
    return sequence;
  };
  return {
    clear,
    show(head, rows) {
      const width = (stream.columns || 80) - 1;
      // cut first and painted then: a color that is cut off would not end
      const lines = [spell(head).slice(0, width), ...rows.map(row => paint('dim', `  ${spell(row)}`.slice(0, width)))];
      stream.write(clear() + spell(lines.join('\n')));
      shown = head === '' ? 0 : lines.length;
    },
  };
}

/** Tells a run to a person and to the log file. `foot` is there on a terminal only. */
export function createWatcher(log: Log, foot: Foot | undefined, paint: Paint): Watcher & { close(): void } {
  let now: { readonly label: string; readonly startedMs: number; doing: string; rows: readonly string[] } | undefined;
  let lastWordMs = performance.now();

  const tick = () => {
    if (!now) return;
    const elapsed = performance.now() - now.startedMs;
    if (foot) {
      foot.show(`${now.label}  (${duration(elapsed)})  ${now.doing}`, now.rows);
    } else if (performance.now() - lastWordMs > STILL_RUNNING_MS) {
      say('info', `${now.label}  still running: ${now.doing}  (${duration(elapsed)})`);
    }
  };
  const timer = setInterval(tick, foot ? REPAINT_MS : 5_000);
  timer.unref();

  const say = (level: 'error' | 'warn' | 'info', text: string, details: object = {}) => {
    lastWordMs = performance.now();
    log.write(level, text, details);
    if (foot) tick();
  };

  return {
    stepBegins(step: Step, index, total) {
      now = { label: label(step.id, index, total), startedMs: performance.now(), doing: 'looking', rows: [] };
    },
    deedBegins(change: Change) {
      const doing = visible(describe(change));
      if (now) now = { ...now, doing, rows: [] };
      log.write('debug', `${now?.label ?? ''}  ${doing}: ${indent(change.because, '      ')}`);
      if (foot) tick();
    },
    stepEnds(report: StepReport, index, total) {
      now = undefined;
      foot?.show('', []);
      const { id, outcome, because, remedy, durationMs } = report;
      const word = paint(styleOf(outcome), outcome);
      say(
        levelOf(outcome),
        `${label(id, index, total)}  ${word}  ${indent(because, '      ')}  (${duration(durationMs)})`,
        { step: id, outcome, durationMs },
      );
      if (remedy) say(levelOf(outcome), `      → ${indent(remedy, '        ')}`, { step: id });
    },
    info: text => say('info', `      ${indent(printable(text), '      ')}`),
    warn: text => say('warn', `      ${indent(printable(text), '      ')}`),
    progress(line) {
      const row = printable(line).trim();
      if (row === '') return;
      if (now) now = { ...now, rows: [...now.rows, row].slice(-CHILD_ROWS) };
      log.write('debug', `      ${row}`);
    },
    close() {
      clearInterval(timer);
      foot?.show('', []);
    },
  };
}

function label(id: string, index: number, total: number): string {
  return `${String(index + 1).padStart(String(total).length)}/${total} ${id}`;
}

function styleOf(outcome: StepOutcome) {
  if (outcome === 'failed') return 'red';
  if (outcome === 'blocked' || outcome === 'unlicensed') return 'yellow';
  return outcome === 'settled' || outcome === 'not-reached' ? 'dim' : 'green';
}

/** A deed in a few words. */
export function describe(change: Change): string {
  switch (change.kind) {
    case 'write':
      return `write ${change.path}`;
    case 'copy-secret':
      return `copy ${change.from} to ${change.path}`;
    case 'fetch-token':
    case 'fetch-package':
      return `download ${change.from} to ${change.path}`;
    case 'move':
      return `move ${change.path} to ${change.to}`;
    case 'set-mode':
      return `set the mode of ${change.path} to ${change.mode.toString(8).padStart(4, '0')}`;
    case 'install-packages':
      return `install ${[...change.packages, ...(change.welcome ?? [])].join(' ')}`;
    case 'remove-packages':
      return `remove the packages ${change.packages.join(' ')}`;
    case 'rebuild-initrd':
      return `rebuild ${change.image} with ${change.builder}`;
    case 'install-driver':
    case 'install-cuda':
      return `run ${change.argv.join(' ')}`;
    case 'forget-dkms':
      return `run dkms remove -m nvidia -v ${change.version} --all`;
    case 'end-install':
      return 'write to the disk what is still in memory';
    case 'render-xorg':
      return `make ${change.path} with nvidia-xconfig`;
    case 'run':
      return `run ${change.argv.join(' ')}`;
    case 'prove-cuda':
      return 'compile and run a small CUDA program';
    case 'set-ecc':
    case 'restore-ecc':
      return `turn ECC of the GPU ${change.address} ${change.ecc}`;
    case 'restore':
      return `put back ${change.path}`;
    case 'remove-folder':
      return `remove the empty folder ${change.path}`;
    case 'remove-driver':
      return `run ${change.argv.join(' ')}`;
    case 'mark-boot':
      return 'remember it until the next boot';
    case 'end-resume':
      return 'let no boot go on with vgpu-guest apply';
    case 'forget-changes':
      return 'forget what has been put back';
    case 'add-unit':
      return `write and enable ${change.unit}`;
    case 'remove-unit':
      return `stop and remove ${change.unit}`;
    case 'remove':
      return `remove ${change.path}`;
    case 'service':
      return `${change.action} ${change.unit}`;
    case 'await-license':
      return 'wait for the license';
    case 'reboot':
      return 'reboot';
  }
}
