# shellcheck shell=sh
# Sourced first by every stand-in of a guest in a folder: the tools are this machine's, the paths are the guest's.
PATH=/usr/bin:/bin
LC_ALL=C
export PATH LC_ALL
root=${GUEST_ROOT:?this stand-in works on a guest in a folder only}
stubs=$root/var/lib/stubs
me=${0##*/}

# called look|change ARGV…: one line of calls.log
called() {
  _kind=$1
  shift
  IFS='	'
  printf '%s\t%s\t%s\n' "$_kind" "$me" "$*" >>"$root/calls.log"
  unset IFS
}

# say_in_journal PID IDENTIFIER UNIT MESSAGE
say_in_journal() {
  printf '%s\t%s\t%s\t%s\t%s\n' "$(date +%s%6N)" "$1" "$2" "$3" "$4" >>"$stubs/journal"
}

# A program of this guest.
guest() {
  _program=$1
  shift
  for _folder in usr/local/sbin usr/local/bin usr/sbin usr/bin sbin bin; do
    [ -x "$root/$_folder/$_program" ] || continue
    "$root/$_folder/$_program" "$@"
    return
  done
  return 127
}

has() {
  for _folder in usr/local/sbin usr/local/bin usr/sbin usr/bin sbin bin; do
    [ -x "$root/$_folder/$1" ] && return
  done
  return 1
}

running_kernel() { cat "$root/proc/sys/kernel/osrelease"; }

# is_trusted MODULE_FILE: by what the kernel makes of Secure Boot, and of whose signature the module carries
is_trusted() {
  [ -e "$stubs/secure-boot" ] || return 0
  _signer=$(sed -n 's/^signer=//p' "$1")
  [ -n "$_signer" ] && grep -qsxF "CN=$_signer" "$stubs/enrolled-keys"
}
