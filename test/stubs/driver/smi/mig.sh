# shellcheck shell=sh disable=SC2034,SC2154
# Part of nvidia-smi: parts of a GPU. /var/lib/stubs/mig has the mode that is in force, the one that comes, and the number of devices:
# `Enabled Enabled 2`; without it there are none.

# Sets $mig_current, $mig_pending and $mig_devices.
look_at_mig() {
  mig_current=N/A mig_pending=N/A mig_devices=0
  [ ! -e "$root/var/lib/stubs/mig" ] || read -r mig_current mig_pending mig_devices <"$root/var/lib/stubs/mig"
}
