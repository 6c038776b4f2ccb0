# shellcheck shell=sh disable=SC2034,SC2154
# Part of nvidia-installer: taking a driver away again. Nothing about it is an error: it ends with 0 whatever came of it.

report_installed() {
  _old=$(installed_version)
  if [ -z "$_old" ]; then
    message 'There is no NVIDIA driver currently installed.'
    exit 1
  fi
  message "The currently installed driver is: '$(description)' (version: $_old)."
}

description() { sed -n 2p "$root$LIST"; }

check_installed() {
  _old=$(installed_version)
  if [ -z "$_old" ]; then
    error 'Unable to find any installed NVIDIA driver.  The sanity check feature is only intended to be used with an existing NVIDIA driver installation.'
    exit 1
  fi
  message "The currently installed driver is: '$(description)' (version: $_old).  nvidia-installer will now check that all installed files still exist."
  begin 'Validating installation:'
  altered=n
  each_entry tell_alteration
  end done.
  if [ "$altered" = y ]; then
    message "The '$(description)' installation has been altered since it was originally installed.  It is recommended that you reinstall."
    exit 1
  fi
  message "'$(description)' (version: $_old) appears to be installed correctly."
}

# each_entry FUNCTION: with NUMBER PATH DETAIL of each entry of the list
each_entry() {
  exec 3<"$root$LIST"
  read -r _line <&3 && read -r _line <&3
  while read -r _number _path <&3; do
    read -r _detail <&3 || break
    [ "$_number" != 2: ] || read -r _owner <&3
    "$1" "${_number%:}" "$_path" "$_detail"
  done
  exec 3<&-
}

tell_alteration() {
  case $1 in
    0)
      if [ ! -e "$root$2" ] && [ ! -L "$root$2" ]; then
        error "The installed symbolic link '$2' no longer exists."
        altered=y
      fi
      ;;
    1)
      if [ ! -e "$root$2" ]; then
        error "The installed file '$2' no longer exists."
        altered=y
      elif ! is_as_installed "$@"; then
        error "The installed file '$2' has a different checksum ($sum) than when it was installed ($3)."
        altered=y
      fi
      ;;
  esac
}

# Its own uninstaller takes the old driver away, and where that is missing or fails, this one does.
remove_existing() {
  if ! find_utility nvidia-uninstall; then
    uninstall quietly
    return
  fi
  _program=$found
  _log=${log_path%/*}/nvidia-uninstall.log
  at_least 515.43.04 || _log=/var/log/nvidia-uninstall.log
  set -- -s "--log-file-name=$_log"
  if [ "$kernel_modules" = y ] && guest nvidia-uninstall -A 2>/dev/null | grep -q '^ \+--skip-depmod$'; then set -- "$@" --skip-depmod; fi
  if at_least 545.23.06; then begin 'Uninstalling the previous installation'; else say "Uninstalling the previous installation with $_program."; fi
  if quietly guest nvidia-uninstall "$@"; then
    ! at_least 545.23.06 || end done.
    return
  fi
  ! at_least 545.23.06 || end failed.
  say "$_program failed; see $_log for more details."
  [ -z "$output" ] || say "The output from $_program was:
$output"
  uninstall quietly
}

# uninstall interactive|quietly
uninstall() {
  _old=$(installed_version)
  if [ -z "$_old" ]; then
    [ "$1" = quietly ] || message 'There is no NVIDIA driver currently installed.'
    return 0
  fi
  [ -z "$root" ] || [ "$action" != uninstall ] || printf 'change\tnvidia-uninstall\t\n' >>"$root/calls.log"
  if [ "$1" = interactive ] && find_utility nvidia-xconfig; then
    # shellcheck disable=SC2016 # the backquotes are the real text
    answer 'If you plan to no longer use the NVIDIA driver, you should make sure that no X screens are configured to use the NVIDIA X driver in your X configuration file. If you used nvidia-xconfig to configure X, it may have created a backup of your original configuration. Would you like to run `nvidia-xconfig --restore-original-backup` to attempt restoration of the original X configuration file?' No
  fi
  _what="$(description) ($_old)"
  begin 'Validating previous installation:'
  altered=n
  each_entry note_alteration
  end done.
  [ "$altered" = n ] || warning "Your driver installation has been altered since it was initially installed; this may happen, for example, if you have since installed the NVIDIA driver through a mechanism other than nvidia-installer (such as your distribution's native package management system).  nvidia-installer will attempt to uninstall as best it can.  Please see the file '$log_path' for details."
  run_hook pre-uninstall
  begin "Uninstalling $_what:"
  if knows_dkms "$_old"; then
    say 'DKMS module detected; removing...'
    run_dkms remove "$_old" || warning 'Failed to remove installed DKMS module!'
  fi
  failures=n
  each_entry remove_entry
  each_entry restore_entry
  [ "$failures" = n ] || warning "Failed to remove some installed files/symlinks. See $log_path for details"
  remove_folders
  rm -f "$root"/etc/systemd/system/*.wants/nvidia-gridd.service
  end done.
  rm -rf "$root/var/lib/nvidia"
  if [ "$skip_module_unload" = n ]; then
    for _module in nvidia_peermem nvidia_uvm nvidia_drm nvidia_modeset nvidia; do ! is_loaded $_module || unload $_module || :; done
  fi
  [ "$action" != uninstall ] || refresh
  run_hook post-uninstall
  if [ "$1" = interactive ]; then message "Uninstallation of existing driver: $_what is complete."; else say "Uninstallation of existing driver: $_what is complete."; fi
}

# What is not as it was installed stays.
is_as_installed() {
  case $1 in
    0) [ "$(readlink "$root$2")" = "$3" ] ;;
    1) [ -f "$root$2" ] && sum_of "$2" && [ "$sum" = "$3" ] ;;
  esac
}

note_alteration() {
  is_as_installed "$@" && return
  altered=y
  case $1 in
    0) say "Unable to access previously installed symlink '$2' (No such file or directory)." ;;
    1)
      if [ -f "$root$2" ]; then
        say "The installed file '$2' has a different checksum (${sum}l) than when it was installed ($3l)."
      else
        say "Unable to find installed file '$2' (No such file or directory)."
      fi
      ;;
  esac
}

remove_entry() {
  case $1 in 0 | 1) ;; *) return 0 ;; esac
  is_as_installed "$@" || return 0
  rm -f "$root$2" && return
  say "Unable to remove installed file '$2' (No such file or directory)."
  failures=y
}

restore_entry() {
  case $1 in
    0 | 1) ;;
    2) ln -s "$3" "$root$2" 2>/dev/null || say "Unable to restore symbolic link $2 -> $3 (File exists)." ;;
    *)
      # sum, mode with the kind of file in front, owner and group
      _mode=${3#* } _mode=${_mode%% *}
      mv "$root/var/lib/nvidia/$1" "$root$2" && chmod "${_mode#??}" "$root$2"
      ;;
  esac
}

# The deepest first; a folder that somebody has put something into stays.
remove_folders() {
  [ -e "$root/var/lib/nvidia/dirs" ] || { say 'Unable to delete directories created by previous installation.'; return; }
  _left=n
  while read -r _folder; do
    [ "$_folder" != /var/lib/nvidia ] || continue
    [ ! -d "$root$_folder" ] || rmdir "$root$_folder" 2>/dev/null && continue
    say "Failed to delete the directory '$_folder' (Directory not empty)."
    _left=y
  done <<FOLDERS
$(awk '{ print length($0) "\t" $0 }' "$root/var/lib/nvidia/dirs" | sort -rn | cut -f2-)
FOLDERS
  [ "$_left" = n ] && return
  warning "Failed to delete some directories. See $log_path for details."
  say 'Unable to delete directories created by previous installation.'
}

refresh() {
  _all='depmod and '
  [ "$skip_depmod" = n ] || _all=''
  say "Running ${_all}ldconfig:"
  _code=0
  [ "$skip_depmod" = y ] || refresh_modules guest >/dev/null 2>&1 || _code=1
  [ -n "$root" ] || guest ldconfig >/dev/null 2>&1 || _code=1
  if [ "$_code" = 0 ]; then
    say done.
  else
    say error!
    warning 'An error occurred while running depmod or ldconfig after uninstallation: your system may have stale state involving recently uninstalled files.'
  fi
  find_utility systemctl || return 0
  say "Running \`$found daemon-reload\`:"
  if guest systemctl daemon-reload >/dev/null 2>&1; then
    say done.
  else
    say error!
    warning 'An error occurred while reloading the systemd daemon configuration.'
  fi
}
