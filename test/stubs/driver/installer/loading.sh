# shellcheck shell=sh disable=SC2034,SC2154
# Part of nvidia-installer: the module in the kernel, for a try before anything is installed, and for good at the end.

# unload MODULE: leaves it where it is in use
unload() {
  if ! has_own_kernel "$root"; then
    [ -e "$root/run/nvidia-gridd/nvidia-gridd.pid" ] || [ -e "$root/run/nvidia-persistenced/nvidia-persistenced.pid" ] || unload_nvidia "$root"
  elif [ "$1" = nvidia ]; then
    unload_nvidia "$root" >/dev/null 2>&1
  else
    guest rmmod "$1" >/dev/null 2>&1
  fi
}

test_modules() {
  [ "$skip_module_load" = n ] || return 0
  refusal=$(try_to_load)
  if [ "$refusal" = 'File exists' ]; then
    say 'One or more kernel modules were already loaded before the module test load; trying again with the udev event queue paused.'
    guest udevadm control --stop-exec-queue
    refusal=$(try_to_load)
    guest udevadm control --start-exec-queue --timeout=0
  fi
  _ignored=y
  [ -z "$refusal" ] || explain_refusal "$refusal" || _ignored=n
  ! has_own_kernel "$root" || unload nvidia
  log_kernel_messages "$refusal"
  [ "$_ignored" = y ] || failed
}

# Prints why the kernel does not take the module; nothing where it does.
try_to_load() {
  if has_own_kernel "$root"; then
    ! is_loaded nvidia || unload nvidia
    _said=$(guest insmod "$here/$module_folder/nvidia.ko" 2>&1) || printf '%s\n' "${_said##*: }"
    return
  fi
  if [ -e "$root/var/lib/stubs/secure-boot" ]; then
    _signer=$(sed -n 's/^signer=//p' "$here/$module_folder/nvidia.ko")
    if [ -z "$_signer" ] || ! grep -qsxF "CN=$_signer" "$root/var/lib/stubs/enrolled-keys"; then
      echo 'Key was rejected by service'
      return
    fi
  fi
  is_any_gpu_free || echo 'No such device'
}

is_any_gpu_free() {
  for gpu in $gpus; do
    _driver=$(readlink "$gpu/driver") || _driver=''
    case ${_driver##*/} in '' | nvidia) return 0 ;; esac
  done
  return 1
}

# explain_refusal STRERROR: fails unless the module is signed and it is the key that the kernel does not know
explain_refusal() {
  _why=', possibly' _signature=n
  if [ "$(secure_boot)" = on ] || [ -e "$root/var/lib/stubs/secure-boot" ]; then
    _why='. Secure boot is enabled on this system, so this is likely' _signature=y _then='and sign the kernel module when prompted to do so.'
  fi
  if has_configuration CONFIG_MODULE_SIG_FORCE; then
    _why='. CONFIG_MODULE_SIG_FORCE is set on the target kernel, so this is likely' _signature=y
  fi
  if [ "$1" = 'Required key not available' ]; then _why=',' _signature=y; fi
  if [ "$_signature" = y ] && [ "$signed" = y ]; then
    answer "The signed kernel module failed to load$_why because the kernel does not trust any key which is capable of verifying the module signature. Would you like to install the signed kernel module anyway?

Note that you will not be able to load the installed module until after a key that can verify the module signature is added to a key database that is trusted by the kernel. This will likely require rebooting your computer." 'Install signed kernel module'
    say "An error was encountered when loading the kernel module, but that error was ignored, and the kernel module will be installed, anyway. The error was: $1"
    skip_module_load=y
    say 'Ignoring failure to load nvidia.ko.'
    return
  fi
  [ "$_signature" = n ] || error "The kernel module failed to load$_why because it was not signed by a key that is trusted by the kernel. Please try installing the driver again, ${_then:-and set the --module-signing-secret-key and --module-signing-public-key options on the command line, or run the installer in expert mode to enable the interactive module signing prompts.}"
  _device=device
  at_least 510.39.01 || _device=GPU
  error "Unable to load the kernel module 'nvidia.ko'.  This happens most frequently when this kernel module was built against the wrong or improperly configured kernel sources, with a version of gcc that differs from the one used to build the target kernel, or if another driver, such as nouveau, is present and prevents the NVIDIA kernel module from obtaining ownership of the NVIDIA $_device(s), or no NVIDIA $_device installed in this system is supported by this NVIDIA Linux graphics driver release.

Please see the log entries 'Kernel module load error' and 'Kernel messages' at the end of the file '$log_path' for more information."
  say "Kernel module load error: $1"
  return 1
}

# log_kernel_messages REFUSAL: the last of what the kernel said, whether it took the module or not
log_kernel_messages() {
  if has_own_kernel "$root"; then
    say "Kernel messages:
$(guest dmesg | tail -n 25)"
    return
  fi
  say 'Kernel messages:'
  case $1 in
    '') log "[  312.400001] NVRM: loading NVIDIA UNIX $(machine) Kernel Module  $version" ;;
    'Key was rejected by service') log '[  312.400001] Loading of unsigned module is rejected' ;;
    *)
      [ -n "$gpus" ] || log '[  312.400001] NVRM: No NVIDIA GPU found.'
      for gpu in $gpus; do
        _driver=$(readlink "$gpu/driver") || continue
        log "[  312.400001] NVRM: GPU ${gpu##*/} is already bound to ${_driver##*/}."
      done
      ;;
  esac
}

# By the name of the last module in the row; the stand-in has but the first.
load_at_last() {
  [ "$kernel_modules" = y ] || [ "$dkms" = y ] || return 0
  [ "$skip_module_load" = n ] && [ "$kernel" = "$(running_kernel)" ] || return 0
  if [ -n "$root" ]; then
    _said=$(guest modprobe nvidia 2>&1) && return
  elif has_own_kernel "$root"; then
    _said=$(guest modprobe nvidia 2>&1) && return
  else
    _said=$(load_nvidia '' "$version" "$module_type" 2>&1) && return
  fi
  error "Unable to load the 'nvidia-drm' kernel module."
  ! at_least 535.43.02 || log_kernel_messages "${_said##*: }"
  failed
}
