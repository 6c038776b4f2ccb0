import { SLOW_UPDATE, SLOW_UPDATE_BEGUN, SLOW_UPDATE_GO } from './image/rpm.ts';

/**
 * A program that installs an update which takes its time, with the family's package manager or with rpm itself, so that these hold their
 * own locks. It says so once it is in the middle of that, and lets the update end with its standard input.
 */
export function holdByInstalling(install: string): string {
  return `#!/bin/sh
rpm --erase ${SLOW_UPDATE.name} 2>/dev/null
rm -f ${SLOW_UPDATE_BEGUN} ${SLOW_UPDATE_GO}
mkfifo ${SLOW_UPDATE_BEGUN} ${SLOW_UPDATE_GO}
{ ${install} || echo failed >${SLOW_UPDATE_BEGUN}; } >/run/slow-update.log 2>&1 &
read -r word <${SLOW_UPDATE_BEGUN}
if [ "$word" != begun ]; then
  cat /run/slow-update.log >&2
  exit 1
fi
echo locked
cat >/dev/null
echo on >${SLOW_UPDATE_GO}
wait
`;
}
