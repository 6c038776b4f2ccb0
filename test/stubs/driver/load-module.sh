# shellcheck shell=sh
# The module nvidia in memory; sourced, by modprobe's stand-in and by the installer's. A guest in a folder and one in a container share
# this machine's kernel, so what that would show is written down; a guest with a kernel of its own loads the module that was built.

# load_nvidia ROOT VERSION KIND: KIND is proprietary or open, as the word in module-type beside the sources that the module was built
# from; fails when no GPU takes the module, with ENODEV's number or as modprobe fails
load_nvidia() {
  if has_own_kernel "$1"; then
    modprobe nvidia
    return
  fi
  _taken=
  for _gpu in "$1"/sys/bus/pci/devices/*; do
    is_nvidia_gpu "$_gpu" || continue
    _driver=$(readlink "$_gpu/driver") || _driver=
    case ${_driver##*/} in
      '' | nvidia) _taken="$_taken $_gpu" ;;
    esac
  done
  [ -n "$_taken" ] || return 19
  mkdir -p "$1/sys/module/nvidia" "$1/proc/driver/nvidia/gpus" || return 1
  echo 0 >"$1/sys/module/nvidia/refcnt"
  for _gpu in $_taken; do
    [ -L "$_gpu/driver" ] || ln -s ../../../../bus/pci/drivers/nvidia "$_gpu/driver"
    mkdir -p "$1/proc/driver/nvidia/gpus/${_gpu##*/}"
    printf 'Model: \t\t %s\nBus Type: \t PCIe\nBus Location: \t %s\nDevice Minor: \t 0\nGPU Excluded:\t No\n' \
      "$(gpu_name "$1" "$_gpu")" "${_gpu##*/}" >"$1/proc/driver/nvidia/gpus/${_gpu##*/}/information"
  done
  # last: a kernel loads a module as a whole, whoever is killed meanwhile
  {
    case $3 in
      # both shapes as the drivers print them
      open) echo "NVRM version: NVIDIA UNIX Open Kernel Module for $(machine)  $2  Release Build  (root@guest)  " ;;
      *) echo "NVRM version: NVIDIA UNIX $(machine) Kernel Module  $2  Thu Nov  5 17:21:34 UTC 2026" ;;
    esac
    echo 'GCC version:  gcc version 12.2.0 (GCC) '
  } >"$1/proc/driver/nvidia/version"
  echo "$2" >"$1/sys/module/nvidia/version"
}

# unload_nvidia ROOT: fails when the module is in use, where there is a kernel that counts
unload_nvidia() {
  if has_own_kernel "$1"; then
    rmmod nvidia
    return
  fi
  for _gpu in "$1"/sys/bus/pci/devices/*; do
    _driver=$(readlink "$_gpu/driver") || continue
    case $_driver in */nvidia) rm "$_gpu/driver" ;; esac
  done
  rm -rf "$1"/sys/module/nvidia/* "$1"/proc/driver/nvidia/*
  # a bound folder of a container stays, an own one goes
  rmdir "$1/sys/module/nvidia" "$1/proc/driver/nvidia" 2>/dev/null || :
}

# The hardware folder of a container covers what the shared kernel shows.
has_own_kernel() {
  [ -z "$1" ] && [ ! -d /hardware ]
}

is_nvidia_gpu() {
  [ -e "$1/vendor" ] && read -r _vendor <"$1/vendor" && [ "$_vendor" = 0x10de ] || return 1
  read -r _class <"$1/class"
  case $_class in 0x0300* | 0x0302*) return 0 ;; esac
  return 1
}

# A vGPU carries a vendor-specific capability (id 09, next, length) with the letters VF.
is_vgpu() {
  [ "$1" = "${_bytes_of-}" ] || { _bytes=$(od -An -v -w4096 -tx1 "$1/config" 2>/dev/null) _bytes_of=$1; }
  case $_bytes in *' 09 '??' '??' 56 46'*) ;; *) return 1 ;; esac
}

gpu_name() {
  _information=/proc/driver/nvidia/gpus/${2##*/}/information
  if [ -f "$1/var/lib/stubs/gpu-name" ]; then
    cat "$1/var/lib/stubs/gpu-name"
  elif has_own_kernel "$1" && [ -e "$_information" ]; then
    sed -n 's/^Model:[[:space:]]*//p' "$_information"
  elif is_vgpu "$2"; then
    echo 'NVIDIA A10-4Q'
  else
    echo 'NVIDIA A10'
  fi
}

machine() {
  if [ -n "${GUEST_ROOT-}" ]; then cat "$GUEST_ROOT/var/lib/stubs/machine"; else uname -m; fi
}
