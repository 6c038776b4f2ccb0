# shellcheck shell=sh disable=SC2034,SC2154
# Part of nvidia-installer: what it looks at before it builds anything, and what it does not go on with.

gpus='' vga=n hooked=n module_was_loaded=n

scan_gpus() {
  for gpu in "$root"/sys/bus/pci/devices/*; do
    is_nvidia_gpu "$gpu" || continue
    gpus="$gpus $gpu"
    case $(cat "$gpu/class") in 0x0300*) vga=y ;; esac
  done
}

require_utilities() {
  # a folder's guest has the tools of this machine for all but these
  _system='ldconfig:glibc grep:grep dmesg:util-linux tail:coreutils' _module='modprobe rmmod lsmod depmod'
  [ -z "$root" ] || _system='' _module='modprobe depmod'
  for _utility in $_system; do
    find_utility "${_utility%:*}" && continue
    error "Unable to find the system utility \`${_utility%:*}\`; please make sure you have the package '${_utility#*:}' installed.  If you do have ${_utility#*:} installed, then please check that \`${_utility%:*}\` is in your PATH."
    exit 1
  done
  for _utility in $_module; do
    find_utility "$_utility" && continue
    error "Unable to find the module utility \`$_utility\`; please make sure you have the package 'module-init-tools' or 'kmod' installed.  If you do have 'module-init-tools' or 'kmod' installed, then please check that \`$_utility\` is in your PATH."
    exit 1
  done
  find_utility systemctl && return
  if [ "$systemd" = y ]; then
    error "Option '--systemd' was specified but systemctl was not found on this system"
    exit 1
  fi
  systemd=n
}

read_manifest() {
  if [ ! -e "$here/.manifest" ]; then
    error "No package found for installation.  Please run this utility with the '--help' option for usage information."
    failed
  fi
  [ -n "$module_type" ] || choose_module_type
  module_folder=kernel
  [ "$module_type" = proprietary ] || module_folder=kernel-open
}

# Until R555 nobody is asked; then the proprietary modules are the default, and from 560.28.03 on the open ones.
choose_module_type() {
  module_type=proprietary
  if ! at_least 555.42.02; then
    if open_is_required && [ -d "$here/kernel-open" ]; then
      module_type=open
      say 'This system requires use of the NVIDIA open kernel modules; these will be selected by default.'
    fi
    return
  fi
  if open_is_required; then
    module_type=open
  elif open_is_supported; then
    ! at_least 560.28.03 || module_type=open
    _license='NVIDIA Proprietary'
    [ "$module_type" = proprietary ] || _license=MIT/GPL
    [ "${recommend-n}" = y ] || answer 'Multiple kernel module types are available for this system. Which would you like to use?' "$_license"
  fi
}

# By all GPUs: none before Turing, and no vGPU of those that NVIDIA lists by subsystem as having no GSP for a guest.
open_is_supported() {
  [ -n "$gpus" ] || return 1
  for gpu in $gpus; do
    _device=$(cat "$gpu/device")
    [ $((_device)) -ge $((0x1e00)) ] || return 1
    is_vgpu "$gpu" || continue
    case $_device in
      0x1eb8 | 0x1e37 | 0x20?? | 0x2230 | 0x2231 | 0x2233 | 0x2235 | 0x2236 | 0x2237 | 0x2238 | 0x25b6) return 1 ;;
    esac
  done
}

# A GPU that is its own host, of Hopper or Blackwell.
open_is_required() {
  at_least 535.104.05 || return 1
  for gpu in $gpus; do
    _device=$(cat "$gpu/device")
    case $_device in 0x23[4-7]? | 0x29[4-7]?) return 0 ;; esac
  done
  return 1
}

note_gpus() {
  [ -z "$gpus" ] || return 0
  warning "You do not appear to have an NVIDIA GPU supported by the $version NVIDIA Linux graphics driver installed in this system.  For further details, please see the appendix SUPPORTED NVIDIA GRAPHICS CHIPS in the README available on the Linux driver download page at www.nvidia.com."
  # before, the module is loaded all the same, and fails
  ! at_least 515.43.04 || skip_module_load=y
}

refuse_x() {
  if [ "$only_modules" = y ] && [ "$kernel_named" = y ]; then
    say 'Only installing kernel modules for a non-running kernel; skipping the "is an X server running?" test.'
    return
  fi
  for _display in 0 1 2 3 4 5 6 7; do
    _lock=/tmp/.X$_display-lock
    [ -f "$root$_lock" ] || continue
    read -r _pid <"$root$_lock" || :
    case $_pid in '' | *[!0-9]*) warning "Failed to read a pid from X lock file '$_lock'"; return ;; esac
    [ -d "$root/proc/$_pid" ] || continue
    say "The file '$_lock' exists and appears to contain the process ID '$_pid' of a running X server."
    if [ "$x_check" = n ]; then
      say "Continuing per the '--no-x-check' option."
    elif at_least 545.23.06; then
      answer 'You appear to be running an X server.  Installing the NVIDIA driver while X is running is not recommended, as doing so may prevent the installer from detecting some potential installation problems, and it may not be possible to start new graphics applications after a new driver is installed.  If you choose to continue installation, it is highly recommended that you reboot your computer after installation to use the newly installed driver.' 'Abort installation'
      failed
    else
      error 'You appear to be running an X server; please exit X before installing.  For further details, please see the section INSTALLING THE NVIDIA DRIVER in the README available on the Linux driver download page at www.nvidia.com.'
      failed
    fi
  done
}

# Scripts of the distribution, in /usr/lib/nvidia.
run_hook() {
  [ "$only_modules" = n ] && [ "$hooks" = y ] && [ -x "$root/usr/lib/nvidia/$1" ] || return 0
  begin 'Running distribution scripts'
  if logged "$root/usr/lib/nvidia/$1"; then _well=y; else _well=n; fi
  end done.
  case $1:$_well in
    pre-unload:n)
      error 'Pre-unload hook script failed'
      failed
      ;;
    pre-install:n) answer 'The distribution-provided pre-install script failed!  Are you sure you want to continue?' 'Continue installation' ;;
    pre-install:y)
      hooked=y
      answer 'The distribution-provided pre-install script completed successfully. If this is the first time you have run the installer, this script may have helped disable Nouveau, but a reboot may be required first.  Would you like to continue, or would you prefer to abort installation to reboot the system?' 'Continue installation'
      ;;
  esac
}

refuse_loaded_modules() {
  [ "$kernel_modules" = y ] || { say 'Not installing any kernel modules; skipping the "is an NVIDIA kernel module loaded?" test.'; return; }
  for _module in nvidia_peermem nvidia_uvm nvidia_drm nvidia_modeset nvidia; do
    is_loaded $_module || continue
    unload $_module
    is_loaded $_module || continue
    _module=$(echo $_module | tr _ -)
    if ! at_least 545.23.06; then
      error "An NVIDIA kernel module '$_module' appears to already be loaded in your kernel.  This may be because it is in use (for example, by an X server, a CUDA program, or the NVIDIA Persistence Daemon), but this may also happen if your kernel was configured without support for module unloading.  Please be sure to exit any programs that may be using the GPU(s) before attempting to upgrade your driver.  If no GPU-based programs are running, you know that your kernel supports module unloading, and you still receive this message, then an error may have occurred that has corrupted an NVIDIA kernel module's usage count, for which the simplest remedy is to reboot your computer."
      failed
    fi
    module_was_loaded=y
    warning "An NVIDIA kernel module '$_module' appears to be already loaded in your kernel.  This may be because it is in use (for example, by an X server, a CUDA program, or the NVIDIA Persistence Daemon), but this may also happen if your kernel was configured without support for module unloading.  Some of the sanity checks that nvidia-installer performs to detect potential installation problems are not possible while an NVIDIA kernel module is running."
    _answer='Abort installation'
    [ "$running_driver" = n ] || _answer='Continue installation'
    answer 'Would you like to continue installation and skip the sanity checks? If not, please abort the installation, then close any programs which may be using the NVIDIA GPU(s), and attempt installation again.' "$_answer"
    [ "$running_driver" = y ] || failed
    # shellcheck disable=SC2016 # the backquotes are the real text
    warning 'Continuing installation despite the presence of a loaded NVIDIA kernel module.  Some sanity checks will not be performed.  It is strongly recommended that you reboot your computer after installation is complete.  If the installation is not successful after rebooting the computer, you can run `nvidia-uninstall` to attempt to remove the NVIDIA driver.'
    skip_module_load=y
    say 'Kernel module load tests will be skipped.'
    return
  done
}

# A driver of the same kind is replaced; without one, there is nothing that modules alone could belong to.
refuse_existing() {
  _old=$(installed_version)
  if [ "$only_modules" = y ]; then
    _option=kernel-modules-only
    at_least 515.43.04 || _option=kernel-module-only
    if [ -z "$_old" ]; then
      error "No NVIDIA driver is currently installed; the '--$_option' option can only be used to install the NVIDIA kernel modules on top of an existing driver installation."
      exit 1
    fi
    [ "$_old" = "$version" ] && return
    error "The '--$_option' option can only be used to install kernel modules on top of an existing driver installation of the same driver version.  The existing driver installation is $_old, but the kernel modules are $version.
"
    exit 1
  fi
  [ -z "$_old" ] || answer "There appears to already be a driver installed on your system (version: $_old).  As part of installing this driver (version: $version), the existing driver will be uninstalled.  Are you sure you want to continue?" 'Continue installation'
}

refuse_alternate() {
  [ "$alternate_check" = y ] || return 0
  if [ -e "$root/usr/lib/nvidia/alternate-install-present" ]; then
    ask_of_alternate present 'The NVIDIA driver appears to have been installed previously using a different installer. To prevent potential conflicts, it is recommended either to update the existing installation using the same mechanism by which it was originally installed, or to uninstall the existing installation before installing this driver.' 'Abort installation'
    error "The installation was canceled due to the availability or presence of an alternate driver installation. Please see $log_path for more details."
    exit 1
  fi
  [ -e "$root/usr/lib/nvidia/alternate-install-available" ] || return 0
  ask_of_alternate available 'An alternate method of installing the NVIDIA driver was detected. (This is usually a package provided by your distributor.) A driver installed via that method may integrate better with your system than a driver installed by nvidia-installer.' 'Continue installation'
}

ask_of_alternate() {
  _message=$(cat "$root/usr/lib/nvidia/alternate-install-$1")
  [ -z "$_message" ] || set -- "$1" "$2

Please review the message provided by the maintainer of this alternate installation method and decide how to proceed:" "$3"
  say "$2

$_message
(Answer: $3)"
}

# From 545.23.06 on this comes before nouveau and ends without a line that says that the installation has failed.
require_development_tools() {
  for _tool in cc:gcc make:make ld:binutils tr:coreutils sed:sed; do
    if [ "${_tool%:*}" = cc ] && [ -n "${CC-}" ]; then continue; fi
    # a folder's guest has a compiler and make of its own
    case $root:$_tool in ?*:cc:* | ?*:make:* | :*) ;; *) continue ;; esac
    find_utility "${_tool%:*}" && continue
    error "Unable to find the development tool \`${_tool%:*}\` in your path; please make sure that you have the package '${_tool#*:}' installed.  If ${_tool#*:} is installed on your system, then please check that \`${_tool%:*}\` is in your PATH."
    give_up_on_tools
  done
  if [ ! -e "$root/usr/include/stdio.h" ]; then
    error "You do not appear to have libc header files installed on your system.  Please install your distribution's libc development package."
    give_up_on_tools
  fi
  say "Performing CC sanity check with CC=\"${CC:-cc}\"."
  say 'Performing CC check.'
}

give_up_on_tools() {
  ! at_least 545.23.06 || exit 1
  failed
}

note_optional_modules() {
  [ "$uvm" = y ] || note_left_out nvidia-uvm CUDA
  [ "$drm" = y ] || note_left_out nvidia-drm DRM-KMS
  [ "$peermem" = y ] || note_left_out nvidia-peermem 'GPUDirect RDMA p2p memory sharing'
}

note_left_out() { warning "The $1 module will not be installed. As a result, $2 will not function with this installation of the NVIDIA driver."; }

note_no_modules() {
  warning "You specified the '--no-kernel-modules' command line option, nvidia-installer will not install any kernel modules as part of this driver installation, and it will not remove existing NVIDIA kernel modules not part of an earlier NVIDIA driver installation.  Please ensure that NVIDIA kernel modules matching this driver version are installed separately."
  dkms=n
}

# Where there is a place for 32-bit libraries they are installed; most servers have none, and are told so.
ask_compat32() {
  [ "$compat32" != n ] || return 0
  for _folder in "$compat32_libdir" /usr/lib/i386-linux-gnu /usr/lib32 /usr/lib; do
    if [ -z "$_folder" ] || [ ! -d "$root$_folder" ]; then continue; fi
    # lib is theirs only where the 64-bit ones are in lib64
    if [ "$_folder" = /usr/lib ] && [ ! -d "$root/usr/lib64" ]; then continue; fi
    if [ "$_folder" = /usr/lib ] && [ -d "$root/usr/lib/@ARCHITECTURE@-linux-gnu" ]; then continue; fi
    [ "$compat32" = y ] || answer "Install NVIDIA's 32-bit compatibility libraries?" Yes
    return
  done
  warning 'Unable to find a suitable destination to install 32-bit compatibility libraries. Your system may not be set up for 32-bit compatibility. 32-bit compatibility files will not be installed; if you wish to install them, re-run the installation and set a valid directory with the --compat32-libdir option.'
}

note_vulkan() {
  at_least 520.56.06 && [ "$only_modules" = n ] || return 0
  has_library libvulkan.so.1 || warning 'This NVIDIA driver package includes Vulkan components, but no Vulkan ICD loader was detected on this system. The NVIDIA Vulkan ICD will not function without the loader. Most distributions package the Vulkan loader; try installing the "vulkan-loader", "vulkan-icd-loader", or "libvulkan1" package.'
}

has_library() {
  for _library in "$root"/usr/lib/"$1" "$root"/usr/lib64/"$1" "$root"/usr/lib/*-linux-gnu/"$1"; do
    [ ! -e "$_library" ] || return 0
  done
  return 1
}
