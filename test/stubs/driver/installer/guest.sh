# shellcheck shell=sh disable=SC2034,SC2154
# Part of nvidia-installer: the guest's programs, and the words of version numbers.

# number 545.23.06: sets $number to what versions can be compared by; 08 is no octal number
number() {
  _rest=${1#*.}
  case $_rest in *.*) _third=${_rest#*.} ;; *) _third=0 ;; esac
  [ "$_rest" != "$1" ] || _rest=0
  _second=${_rest%%.*}
  _second=${_second#0} _third=${_third#0}
  number=$((${1%%.*} * 1000000 + ${_second:-0} * 1000 + ${_third:-0}))
}

at_least() {
  number "$version"
  _have=$number
  number "$1"
  [ "$_have" -ge "$number" ]
}

# find_utility NAME: sets $found to its path as the guest has it, by PATH and then in the folders that the real one adds
find_utility() {
  if [ -n "$root" ]; then
    _folders=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
  else
    _folders=$PATH:/bin:/usr/bin:/sbin:/usr/sbin:/usr/X11R6/bin:/usr/bin/X11
  fi
  while [ -n "$_folders" ]; do
    found=${_folders%%:*}/$1
    if [ -f "$root$found" ] && [ -x "$root$found" ]; then return 0; fi
    case $_folders in *:*) _folders=${_folders#*:} ;; *) _folders='' ;; esac
  done
  found=''
  return 1
}

# A program of the guest: of the folder, or of the machine where the guest is the machine.
guest() {
  find_utility "$1" || return 127
  shift
  LANG='' LC_ALL='' "$root$found" "$@"
}

running_kernel() { cat "$root/proc/sys/kernel/osrelease"; }

is_loaded() { [ -s "$root/sys/module/$1/version" ]; }

# has_configuration CONFIG_NAME: whether the target kernel was configured with it
has_configuration() { grep -qs "^#define $1 1\$" "$root$output_path/include/generated/autoconf.h"; }

# Secure Boot is on where the last bit of the firmware's variable is set.
secure_boot() {
  for _variable in vars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c/data efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c; do
    [ -r "$root/sys/firmware/efi/$_variable" ] || continue
    case $(tail -c 1 "$root/sys/firmware/efi/$_variable" | od -An -tu1) in *[13579]) echo on ;; *) echo off ;; esac
    return
  done
  echo unknown
}
