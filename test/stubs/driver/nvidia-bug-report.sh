#!/bin/sh
# Stand-in for nvidia-bug-report.sh: a compressed file with what it has looked at.
set -u
root=${GUEST_ROOT-}
[ -z "$root" ] || PATH=/usr/bin:/bin
name=nvidia-bug-report.log
while [ $# -gt 0 ]; do
  case $1 in
    --safe-mode | --extra-system-data) ;;
    --output-file) name=${2-}; [ $# = 1 ] || shift ;;
    -h | --help)
      printf 'nvidia-bug-report.sh: NVIDIA Linux Graphics Driver bug reporting shell script.\n'
      exit 0
      ;;
    *)
      printf '%s: unrecognized option: "%s"\n' nvidia-bug-report.sh "$1"
      exit 1
      ;;
  esac
  shift
done
if [ -z "$root" ] && [ "$(id -u)" != 0 ]; then
  echo 'ERROR: Please run nvidia-bug-report.sh as root.'
  exit 1
fi
file=${name%.gz}.gz
case $file in /*) file=$root$file ;; esac
printf '\nnvidia-bug-report.sh will now collect information about your\nsystem and create the file '\''%s'\'' in the current\ndirectory.  It may take several seconds to run.\n\n' "${name%.gz}.gz"
if ! {
  echo "____________________________________________"
  echo "Start of NVIDIA bug report log file.  Please include this file, along"
  echo "with a detailed description of your problem, when reporting a graphics"
  echo "driver bug via the NVIDIA Linux forum."
  echo "nvidia-bug-report.sh Version: @VERSION@"
  for log in /proc/driver/nvidia/version /var/log/nvidia-installer.log /var/log/nvidia-uninstall.log; do
    printf '\n____________________________________________\n\n*** %s\n' "$log"
    cat "$root$log" 2>/dev/null || echo "*** $log does not exist"
  done
} | gzip -c >"$file"; then
  echo "ERROR: Working directory is not writable; please cd to a directory"
  exit 1
fi
printf ' complete.\n\n'
