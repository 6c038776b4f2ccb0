# shellcheck shell=sh disable=SC2034,SC2154
# Part of nvidia-smi: error correction. /var/lib/stubs/ecc has what is in force and what comes with the next boot, `Enabled Disabled`;
# without it there is none. /var/lib/stubs/ecc-refusal: the exit code and what is said instead of obeying.

# Sets $ecc_current and $ecc_pending.
look_at_ecc() {
  ecc_current=N/A ecc_pending=N/A
  [ ! -e "$root/var/lib/stubs/ecc" ] || read -r ecc_current ecc_pending <"$root/var/lib/stubs/ecc"
}

# The words of the two good answers are recorded, those of an unsupported GPU are like the ones for other settings.
change_ecc() {
  case $set_ecc in
    0 | DISABLED) _word=Disabled ;;
    1 | ENABLED) _word=Enabled ;;
    *) printf "Invalid argument for -e: %s. Please run 'nvidia-smi -h' for help.\n\n" "$set_ecc"; exit 2 ;;
  esac
  if [ -e "$root/var/lib/stubs/ecc-refusal" ]; then
    tail -n +2 "$root/var/lib/stubs/ecc-refusal"
    exit "$(head -n 1 "$root/var/lib/stubs/ecc-refusal")"
  fi
  for device in $gpus; do
    look_at "$device"
    if [ "$ecc_current" = N/A ]; then
      printf 'ECC configuration is not supported for GPU %s.\nTreating as warning and moving on.\n' "$address"
      continue
    fi
    echo "$ecc_current $_word" >"$root/var/lib/stubs/ecc"
    echo "$_word ECC support for GPU $address."
  done
  printf 'All done.\n'
  [ "$ecc_current" = N/A ] || echo 'Reboot required.'
}
