/** Units that somebody may have enabled. */
const TIMER = 'vgpu-guest-license.timer';
const BOOT_UNITS = 'vgpu-guest-resume.service vgpu-guest-first-boot.service vgpu-guest-screen.service';
/** Written by the program, which it starts at every boot: without the program it would fail there. */
const SCREEN_UNIT = '/etc/systemd/system/vgpu-guest-screen.service';

/** Only where systemd runs; dpkg may also work on another root than this one, which DPKG_ROOT names. */
const RELOAD = `if [ -z "\${DPKG_ROOT:-}" ] && [ -d /run/systemd/system ]; then systemctl daemon-reload || :; fi`;

/** A journey that runs is left to end: half a driver is worse than one unit that is gone. */
const DISABLE = `if [ -z "\${DPKG_ROOT:-}" ] && [ -d /run/systemd/system ]; then systemctl stop ${TIMER} || :; fi
if command -v systemctl >/dev/null 2>&1; then
  systemctl \${DPKG_ROOT:+--root="$DPKG_ROOT"} --no-reload disable ${TIMER} ${BOOT_UNITS} >/dev/null 2>&1 || :
fi
rm -f "\${DPKG_ROOT:-}${SCREEN_UNIT}"`;

/** State, logs and configuration are ours; the driver, gridd.conf, the token and the nouveau blacklist are the guest's. */
const PURGE = `root=\${DPKG_ROOT:-}
rm -rf "$root/var/lib/vgpu-guest" "$root/run/vgpu-guest"
rm -f "$root/etc/systemd/system-preset/10-vgpu-guest.preset" "$root/etc/vgpu-guest/config.yaml" "$root/var/log/vgpu-guest.log" "$root"/var/log/vgpu-guest[0-9].log
rmdir "$root/etc/vgpu-guest" 2>/dev/null || :`;

export const DEB_SCRIPTS = {
  postinst: `#!/bin/sh
set -e
if [ "$1" = configure ]; then
  ${RELOAD}
fi
`,
  prerm: `#!/bin/sh
set -e
[ "$1" = remove ] || exit 0
${DISABLE}
`,
  postrm: `#!/bin/sh
set -e
if [ "$1" = remove ]; then
  ${RELOAD}
fi
[ "$1" = purge ] || exit 0
${PURGE}
`,
} as const;

/** The number is of the packages that remain: none when it is removed, one when it is replaced. */
export const RPM_SCRIPTS = `%post
${RELOAD}
%preun
if [ "$1" -eq 0 ]; then
${DISABLE}
fi
%postun
${RELOAD}
`;
