# shellcheck shell=sh disable=SC2034,SC2154
# Part of nvidia-installer: the kernel modules, from their sources to files that can be loaded.

FIND_SOURCES="Please make sure you have installed the kernel source files for your kernel and that they are properly configured; on Red Hat Linux systems, for example, be sure you have the 'kernel-source' or 'kernel-devel' RPM installed.  If you know the correct kernel source files are installed, you may specify the kernel source path with the '--kernel-source-path' command line option."

make_modules() {
  if ! at_least 520.56.06; then
    # with keys for signing DKMS is not offered
    if find_utility dkms && [ "$module_source" = y ] && ! has_keys; then
      answer 'Would you like to register the kernel module sources with DKMS? This will allow DKMS to automatically build a new module, if you install a different kernel later.' "$(yes_or_no "$dkms")"
    fi
    [ "$dkms" = n ] || return 0
  fi
  check_modprobe_path
  at_least 545.23.06 || require_development_tools
  find_kernel_source
  check_kernel
  build_modules
  sign_modules
  test_modules
}

# What the kernel calls when it wants a module must be the modprobe that is found.
check_modprobe_path() {
  [ -z "$root" ] || return 0
  find_utility modprobe
  _named=$(cat /proc/sys/kernel/modprobe 2>/dev/null)
  [ -n "$_named" ] && [ "$(readlink -f "$_named")" != "$(readlink -f "$found")" ] || return 0
  _differs="The path to the \`modprobe\` utility reported by '/proc/sys/kernel/modprobe', \`$_named\`, differs from the path determined by \`nvidia-installer\`, \`$found\`"
  if [ ! -x "$_named" ]; then
    error "$_differs, and does not appear to point to a valid \`modprobe\` binary.  Please correct the path in '/proc/sys/kernel/modprobe'."
    failed
  fi
  warning "$_differs.  Please verify that \`$_named\` works correctly and correct the path in '/proc/sys/kernel/modprobe' if it does not."
}

find_kernel_source() {
  if [ -n "$source_path" ]; then
    say "Using the kernel source path '$source_path' as specified by the '--kernel-source-path' commandline option."
  elif [ -n "${SYSSRC-}" ]; then
    source_path=$SYSSRC
    say "Using the kernel source path '$source_path', as specified by the SYSSRC environment variable."
  else
    _nested=''
    ! at_least 535.216.01 || _nested=/lib/modules/$kernel/build/source
    for source_path in "/lib/modules/$kernel/source" "$_nested" "/lib/modules/$kernel/build" "/usr/src/linux-$kernel" /usr/src/linux ''; do
      [ -z "$source_path" ] || [ ! -d "$root$source_path" ] || break
    done
  fi
  if [ -z "$source_path" ]; then
    error "Unable to find the kernel source tree for the currently running kernel.  $FIND_SOURCES"
    failed
  fi
  if [ ! -d "$root$source_path" ]; then
    error "The kernel source path '$source_path' does not exist.  $FIND_SOURCES"
    failed
  fi
  if [ ! -e "$root$source_path/include/linux/kernel.h" ]; then
    error "The kernel header file '$source_path/include/linux/kernel.h' does not exist.  The most likely reason for this is that the kernel source path '$source_path' is incorrect.  $FIND_SOURCES"
    failed
  fi
  find_kernel_output
  # the headers of a guest in a folder are a few files
  _version=include/linux/version.h _generated=include/generated/uapi/linux/version.h
  if [ -z "$root" ] && [ ! -e "$output_path/$_version" ] && [ ! -e "$output_path/$_generated" ]; then
    error "Neither the '$output_path/$_version' nor the '$output_path/$_generated' kernel header file exists. The most likely reason for this is that the kernel source files in '$output_path' have not been configured."
    failed
  fi
  say "Kernel source path: '$source_path'"
  say "Kernel output path: '$output_path'"
}

find_kernel_output() {
  if [ -n "$output_path" ]; then
    say "Using the kernel output path '$output_path' as specified by the '--kernel-output-path' commandline option."
  elif [ -n "${SYSOUT-}" ]; then
    output_path=$SYSOUT
    say "Using the kernel output path '$output_path', as specified by the SYSOUT environment variable."
  else
    output_path=$source_path
    case $source_path in
      "/lib/modules/$kernel"/source* | "/lib/modules/$kernel"/build/source*)
        [ ! -d "$root/lib/modules/$kernel/build" ] || output_path=/lib/modules/$kernel/build
        ;;
    esac
  fi
  [ -d "$root$output_path" ] && return
  error "The kernel output path '$output_path' does not exist."
  failed
}

check_kernel() {
  for _check in Compiler Dom0 Xen PREEMPT_RT vgpu_kvm; do say "Performing $_check check."; done
  if has_configuration CONFIG_PREEMPT_RT && [ -z "${IGNORE_PREEMPT_RT_PRESENCE-}" ]; then
    error 'The PREEMPT_RT sanity check failed:

The kernel you are installing for is a PREEMPT_RT kernel!

The NVIDIA driver does not support real-time kernels. If you are using a stock distribution kernel, please install a variant of this kernel that does not have the PREEMPT_RT patch set applied; if this is a custom kernel, please install a standard Linux kernel.  Then try installing the NVIDIA kernel module again.'
    failed
  fi
}

# The log has NVIDIA's command; the modules of the stand-in are built by the kernel's own make without its detour.
build_modules() {
  find_utility make
  _jobs=${concurrency:-$(nproc)}
  _command="cd $module_folder; $found -k -j$_jobs  NV_EXCLUDE_KERNEL_MODULES=\"\" SYSSRC=\"$source_path\" SYSOUT=\"$output_path\" "
  say 'Cleaning kernel module build directory.'
  log "   executing: '${_command}clean'..."
  begin 'Building kernel modules'
  log "   executing: '$_command'..."
  if [ -n "$root" ]; then quietly build_in_folder; else quietly build_for_real; fi
  build_log=$output
  printf '%s\n' "$output" | sed 's/^/   /' >>"$log_file"
  if [ -e "$here/$module_folder/nvidia.ko" ]; then
    end done.
    say 'Kernel module compilation complete.'
    return
  fi
  end Error.
  error "An error occurred while performing the step: \"Building kernel modules\". See $log_path for details."
  say "The command \`$_command\` failed with the following output:

$output"
  begin 'Checking to see whether the nvidia kernel module was successfully built'
  end Error.
  error "An error occurred while performing the step: \"Checking to see whether the nvidia kernel module was successfully built\". See $log_path for details."
  error 'The nvidia kernel module was not created.'
  failed
}

build_for_real() {
  [ -z "${CC-}" ] || set -- "CC=$CC"
  "$found" -k "-j$_jobs" -C "$output_path" "M=$here/$module_folder" "$@" modules
}

# A module of a guest in a folder is a text file of the fields that modinfo prints.
build_in_folder() {
  [ ! -e "$root/var/lib/stubs/build-delay" ] || sleep "$(cat "$root/var/lib/stubs/build-delay")"
  if [ -e "$root/var/lib/stubs/build-fails" ]; then
    echo '  error: implicit declaration of function '\''vm_flags_set'\'' [-Werror=implicit-function-declaration]'
    return 2
  fi
  echo '  LD [M]  nvidia.ko'
  printf 'version=%s\nlicense=%s\nvermagic=%s SMP mod_unload modversions \n' "$version" "$(license)" "$kernel" >"$here/$module_folder/nvidia.ko"
}

license() {
  if [ "$module_type" = open ]; then echo 'Dual MIT/GPL'; else echo NVIDIA; fi
}
