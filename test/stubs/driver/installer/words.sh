# shellcheck shell=sh disable=SC2154
# Part of nvidia-installer: what it says, to whom, and its log.

log_name='' log_path='' log_file=/dev/null deferred=''

# It truncates the log of an earlier run; an option that it does not know ended it before.
open_log() {
  log_path=$log_name
  if [ -z "$log_path" ]; then
    log_path=/var/log/nvidia-installer.log
    [ "$action" != uninstall ] || log_path=/var/log/nvidia-uninstall.log
  fi
  if _why=$({ : >"$root$log_path"; } 2>&1); then
    log_file=$root$log_path
  else
    # dash has words of its own for this
    _why=${_why##*: }
    [ "$_why" != 'Directory nonexistent' ] || _why='No such file or directory'
    echo "nvidia-installer: Error opening log file '$log_path' for writing ($_why); disabling logging." >&2
  fi
  {
    echo "nvidia-installer log file '$log_path'"
    echo "creation time: $(LC_ALL=C date '+%a %b %e %T %Y')"
    echo "installer version: $version"
    echo
    echo "PATH: $PATH"
    echo
    echo 'nvidia-installer command line:'
    printf '    %s\n' "$program" "$@"
    echo
    echo 'Using built-in stream user interface'
  } >>"$log_file"
  [ "$silent" = y ] || printf '\nWelcome to the NVIDIA Software Installer for Unix/Linux\n\n'
  [ -z "$deferred" ] || log "$deferred"
  begin_initramfs_scan
  say "Detected $(nproc) CPUs online; setting concurrency level to ${concurrency:-$(nproc)}."
}

log() { printf '%s\n' "$1" >>"$log_file"; }

say() {
  log "-> $1"
  [ "$silent" = y ] || printf '%s\n' "$1"
}

message() {
  log "-> $1"
  [ "$silent" = y ] || printf '\n%s\n\n' "$1"
}

# Warnings and errors are never silent. Before the log is open they are kept for it.
warning() { complain "WARNING: $1"; }

error() { complain "ERROR: $1"; }

complain() {
  printf '\n%s\n\n' "$1" >&2
  if [ -n "$log_path" ]; then log "$1"; else deferred=$deferred${deferred:+"
"}$1; fi
}

# Nobody is there to be asked: the default answer counts.
answer() { say "$1 (Answer: $2)"; }

yes_or_no() { if [ "$1" = y ]; then echo Yes; else echo No; fi; }

begin() {
  log "-> $1"
  [ "$silent" = y ] || printf '%s: \n\n  [%30s]   0%%' "$1" ''
}

end() {
  log "-> $1"
  [ "$silent" = y ] || printf '\r  [##############################] 100%%\n'
}

# logged COMMAND…: runs it, and the log has its name and its output; $output keeps the output
logged() {
  _shown="$*"
  if [ "$1" = guest ] && find_utility "$2"; then _shown=$found${3+ ${_shown#"$1 $2 "}}; fi
  log "   executing: '$_shown'..."
  quietly "$@"
  _code=$?
  [ -z "$output" ] || printf '%s\n' "$output" | sed 's/^/   /' >>"$log_file"
  return $_code
}

# quietly COMMAND…: in the background, so that a signal ends this program and not first the command
quietly() {
  _output=$(mktemp) || return 1
  "$@" >"$_output" 2>&1 </dev/null &
  wait $!
  _code=$?
  output=$(cat "$_output")
  rm -f "$_output"
  return $_code
}

heed_signals() {
  for _signal in HUP:1 INT:2 ILL:4 ABRT:6 BUS:7 SEGV:11 ALRM:14 TERM:15; do
    # shellcheck disable=SC2064 # the name is known now
    trap "echo 'Received signal SIG${_signal%:*}; aborting.' >&2; exit $((128 + ${_signal#*:}))" "${_signal%:*}"
  done
}

failed() {
  _see="  Please see the file '$log_path' for details."
  [ "$log_file" != /dev/null ] || _see=''
  error "Installation has failed.$_see  You may find suggestions on fixing installation problems in the README available on the Linux driver download page at www.nvidia.com."
  [ "$hooked" = n ] || run_hook failed-install
  exit 1
}

# From 545.23.06 on, and only where there is a reason.
suggest_reboot() {
  at_least 545.23.06 || return 0
  _reasons=''
  [ "$module_was_loaded" = n ] || _reasons="  * Existing NVIDIA kernel modules were loaded during installation, and are likely still loaded.
"
  ! is_nouveau_bound || _reasons="$_reasons  * Nouveau is running: any attempt to disable it will not take effect until after a reboot.
"
  [ -z "$_reasons" ] || warning "It is strongly recommended that you reboot your computer after exiting the installer, due to the following condition(s) which the installer detected: 

$_reasons
If you continue to use the computer without rebooting, you may not be able to start new programs which use the NVIDIA GPU(s) until after you reboot or reload the NVIDIA kernel modules."
}

conclude() {
  _name="NVIDIA Accelerated Graphics Driver for Linux-@ARCHITECTURE@"
  _which='' _xorg="  Please update your xorg.conf file as appropriate; see the file /usr/share/doc/NVIDIA_GLX-1.0/README.txt for details."
  if [ "$only_modules" = y ]; then _which='kernel module for the ' _xorg=''; fi
  if [ "$vga" = n ]; then
    _xorg=''
    # until R515 it says so where it has no VGA controller to write an xorg.conf for
    at_least 520.56.06 || { message "Installation of the kernel module for the $_name (version $version) is now complete."; return; }
  fi
  message "Installation of the $_which$_name (version: $version) is now complete.$_xorg"
}
