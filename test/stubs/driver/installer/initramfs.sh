# shellcheck shell=sh disable=SC2034,SC2154
# Part of nvidia-installer: the initrd, which it looks into and may build anew from 545.23.06 on.

scanned=n has_nouveau=n has_nvidia=n

# The real one scans in a thread of its own, and where no rebuild is in question nobody waits for it: then it is not done here.
begin_initramfs_scan() {
  at_least 545.23.06 && [ "$action" = install ] || return 0
  if [ "$rebuild_initramfs" = default ]; then
    scan_initramfs quietly
  elif choose_tool quietly 'listing initramfs contents' lsinitramfs lsinitrd lsinitcpio; then
    say "Scanning the initramfs with $tool..."
  fi
}

# scan_initramfs quietly|asking: only who may ask chooses between several programs or images, and then none of them
scan_initramfs() {
  choose_tool "$1" 'listing initramfs contents' lsinitramfs lsinitrd lsinitcpio || { say 'Unable to scan initramfs: no tool found'; return; }
  say "Scanning the initramfs with $tool..."
  if ! run_tool "$1"; then
    say 'Initramfs scan failed.'
    return
  fi
  case $output in *"/nouveau.ko"*) has_nouveau=y; say 'Nouveau detected in initramfs' ;; esac
  for _module in nvidia-peermem nvidia-uvm nvidia-drm nvidia-modeset nvidia; do
    case $output in *"/$_module.ko"*) has_nvidia=y; say "$_module.ko detected in initramfs"; break ;; esac
  done
  scanned=y
  say 'Initramfs scan complete.'
}

# choose_tool quietly|asking PURPOSE NAME…: sets $tool where there is one and no more
choose_tool() {
  _how=$1 _purpose=$2 tool='' _count=0
  shift 2
  for _name in "$@"; do
    find_utility "$_name" || continue
    tool=$_name _count=$((_count + 1))
  done
  [ "$_count" != 0 ] || say "Unable to locate any tools for $_purpose."
  if [ "$_count" -gt 1 ] && [ "$_how" = asking ]; then
    answer "More than one tool for $_purpose detected. Which tool would you like to use?" 'None of these'
  fi
  [ "$_count" = 1 ]
}

# run_tool quietly|asking: with as few words as will do. The first attempt always lacks the path, says so and fails.
run_tool() {
  find_utility "$tool"
  case $tool in
    lsinitramfs) _common='' _kernel=none _path=-l _needs_path=y ;;
    lsinitrd) _common='' _kernel=-k _path='' _needs_path=n ;;
    lsinitcpio) _common='' _kernel=none _path='' _needs_path=y ;;
    dracut) _common=--force _kernel=--kver _path='' _needs_path=n ;;
    update-initramfs) _common=-u _kernel=-k _path=none _needs_path=n ;;
    mkinitcpio) _common=-P _kernel='' _path='' _needs_path=n ;;
  esac
  if [ "$kernel_named" = n ]; then
    [ "$_needs_path" = y ] || ! attempt "$1" '' '' || return 0
    find_image "$1"
    ! attempt "$1" '' "$image" || return 0
  fi
  [ "$_needs_path" = y ] || ! attempt "$1" "$kernel" '' || return 0
  find_image "$1"
  attempt "$1" "$kernel" "$image"
}

# attempt quietly|asking KERNEL IMAGE
attempt() {
  find_utility "$tool"
  if [ -n "$2" ] && [ "$_kernel" = none ]; then
    say "$found does not take a kernel argument."
    return 1
  fi
  if [ -z "$3" ] || [ "$_path" = none ] && [ "$_needs_path" = y ]; then
    say "$found requires a file path argument, but none was given."
    return 1
  fi
  _command="$found $_common ${2:+$_kernel $2} "
  [ "$_path" = none ] || _command="$_command$_path $3"
  [ "$1" = quietly ] || begin 'Processing the initramfs:'
  say "Executing: $_command"
  # shellcheck disable=SC2086 # words, some of them empty
  if [ "$_path" = none ]; then set -- "$1" $_common ${2:+$_kernel $2}; else set -- "$1" $_common ${2:+$_kernel $2} $_path "$3"; fi
  _asking=$1
  shift
  if quietly guest "$tool" "$@"; then _code=0; else _code=1; fi
  [ "$_asking" = quietly ] || end "$(if [ "$_code" = 0 ]; then echo 'done'; else echo failed; fi)"
  [ "$_code" = 0 ] || say "Failed to run \`$_command\`:

$output"
  return $_code
}

# find_image quietly|asking
find_image() {
  image='' _count=0
  _short=$(echo "$kernel" | cut -d. -f1-2)
  for _name in "initramfs-$kernel.img" initramfs-linux.img initramfs-linux-lts.img "initrd-$kernel" "initrd.img-$kernel" "initramfs-linux-$_short-$(machine).img"; do
    [ -e "$root/boot/$_name" ] || continue
    image=/boot/$_name _count=$((_count + 1))
  done
  [ "$_count" -le 1 ] && return
  image=''
  [ "$1" = quietly ] || answer 'More than one initramfs file found. Which file would you like to use?' 'Use none of these'
}

update_initramfs() {
  choose_tool asking 'rebuilding initramfs' dracut update-initramfs mkinitcpio || tool=''
  _rebuilder=$tool
  case $rebuild_initramfs in
    n) say 'Skipping initramfs rebuild.'; return ;;
    y)
      [ -z "$_rebuilder" ] || { run_tool asking; return; }
      warning 'An initramfs rebuild was requested on the installer command line, but a suitable tool was not found.'
      return 1
      ;;
  esac
  [ "$scanned" = y ] || scan_initramfs asking
  list_reasons
  if [ -z "$_rebuilder" ]; then
    if [ -n "$_reasons" ]; then
      warning "nvidia-installer was unable to locate a tool for rebuilding the initramfs, which is strongly recommended due to the following condition(s):
$_reasons
Please consult your distribution's documentation for instructions on how to rebuild the initramfs."
    elif [ "$scanned" = n ]; then
      message "$NO_LISTING"
    fi
    return
  fi
  if [ -n "$_reasons" ]; then
    answer "The initramfs will likely need to be rebuilt due to the following condition(s):
$_reasons
Would you like to rebuild the initramfs?" 'Rebuild initramfs'
    tool=$_rebuilder
    run_tool asking && return
    error 'Failed to rebuild the initramfs!'
    return 1
  fi
  if [ "$scanned" = y ]; then
    say 'No NVIDIA modules detected in the initramfs.'
  else
    answer "$NO_LISTING Would you like to rebuild the initramfs?" 'Do not rebuild initramfs'
  fi
  # its own words
  say 'The initramfs will not be rebuild.'
}

NO_LISTING='Unable to determine whether NVIDIA kernel modules are present in the initramfs. Existing NVIDIA kernel modules in the initramfs, if any, may interfere with the newly installed driver.'

list_reasons() {
  _reasons=''
  ! is_nouveau_bound || _reasons='  * nvidia-installer attempted to disable Nouveau.
'
  [ "$has_nouveau" = n ] || _reasons="$_reasons  * Nouveau is present in the initramfs.
"
  [ "$has_nvidia" = n ] || _reasons="$_reasons  * An NVIDIA kernel module was found in the initramfs.
"
}
