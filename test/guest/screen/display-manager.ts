/** What X's configuration was when the display manager was started last. */
export const SEEN_BY_X = '/run/seen-by-x.conf';
/** What runs in a terminal on the screen, where there is such a program. */
export const SESSION = '/root/session';

const PROGRAM = '/usr/local/sbin/stand-in-display-manager';
const X_CONF = '/etc/X11/stand-in.conf';

/** An X server with a cookie, and a session on it that ends with it, as a display manager has them. */
const SCRIPT = `#!/bin/sh
set -eu
cp /etc/X11/xorg.conf ${SEEN_BY_X} 2>/dev/null || rm -f ${SEEN_BY_X}
mkdir -p -m 0700 /run/stand-in
export DISPLAY=:0 XAUTHORITY=/run/stand-in/:0
rm -f "$XAUTHORITY"
xauth -q -f "$XAUTHORITY" add :0 . "$(od -An -N16 -tx1 /dev/urandom | tr -d ' \\n')"
# it tells its starter by this signal that it takes connections
(trap '' USR1 && exec /usr/lib/xorg/Xorg :0 -auth "$XAUTHORITY" -nolisten tcp -novtswitch -config ${X_CONF}) &
x=$!
trap 'kill "$x"; wait "$x"' TERM
trap : USR1
wait "$x" || kill -0 "$x"
[ ! -x ${SESSION} ] || xterm -e ${SESSION} &
while kill -0 "$x" 2>/dev/null; do wait "$x" || :; done
`;
const UNIT = `[Unit]
Description=Display manager of a test
After=systemd-user-sessions.service

[Service]
ExecStart=${PROGRAM}
Restart=always
RestartSec=1s
`;
const DUMMY = `Section "Device"
    Identifier "dummy"
    Driver "dummy"
    VideoRam 65536
EndSection
Section "Screen"
    Identifier "screen"
    Device "dummy"
    DefaultDepth 24
    SubSection "Display"
        Virtual 1024 768
    EndSubSection
EndSection
`;

/** Files of the guest, by path, with their modes; Debian's graphical target wants display-manager.service. */
export const DISPLAY_MANAGER_FILES: readonly (readonly [path: string, text: string, mode: number])[] = [
  [PROGRAM, SCRIPT, 0o755],
  [X_CONF, DUMMY, 0o644],
  ['/etc/systemd/system/display-manager.service', UNIT, 0o644],
];
