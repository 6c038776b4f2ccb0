# shellcheck shell=sh disable=SC2034,SC2154
# Part of nvidia-installer: its command line. What it does not understand ends it before the log is opened.

action=install silent=n
case $program in nvidia-uninstall | */nvidia-uninstall) action=uninstall ;; esac
dkms=n
! at_least 520.56.06 || dkms=y
disable_nouveau=n
! at_least 545.23.06 || disable_nouveau=y
nouveau_check=y x_check=y alternate_check=y hooks=y running_driver=n rebuild_initramfs=default
kernel_modules=y only_modules=n module_source=y skip_module_load=n skip_module_unload=n skip_depmod=n
kernel=$(running_kernel) kernel_named=n module_type=''
source_path='' output_path='' install_path='' concurrency=''
compat32=default compat32_libdir='' libglvnd=default opengl_files=y xconfig=n systemd=default
secret_key='' public_key='' sign_script='' sign_hash=''
peermem=y uvm=y drm=y

parse() {
  help=n recommend=n
  while [ $# -gt 0 ]; do
    word=$1 value='' given=n negated=n
    shift
    case $word in
      --) break ;;
      --*) name=${word#--} ;;
      -*) name=${word#-} ;;
      *) invalid "invalid option: \"$word\"" ;;
    esac
    case $name in *=*) value=${name#*=} name=${name%%=*} given=y ;; esac
    if ! find_option "$name"; then
      if is_cluster "$name"; then
        # several letters together are taken one after the other
        rest=${name#?}
        set -- "-$rest" "$@"
        find_option "${name%"$rest"}"
        given=n
      elif is_number "${name#?}" && find_option "${name%"${name#?}"}" && [ "$kind" = integer ]; then
        value=${name#?} given=y
      else
        invalid "unrecognized option: \"${word%%=*}\""
      fi
    fi
    case $kind in
      string | integer)
        if [ "$given" = n ]; then
          [ $# -gt 0 ] || invalid "option \"$word\" requires an argument."
          value=$1
          shift
        fi
        [ -n "$value" ] || invalid "option \"${word%%=*}\" requires an argument."
        [ "$kind" = string ] || is_number "$value" || invalid "\"$value\" is not a valid argument for option \"${word%%=*}\"."
        ;;
      *) [ "$given" = n ] || invalid "option \"${word%%=*}\" does not take an argument, but was given an argument of \"$value\"." ;;
    esac
    yes=y
    [ "$negated" = n ] || yes=n
    take "$long"
  done
  [ "$help" = n ] || show_help
  if ! at_least 520.56.06 && [ "$dkms" = y ] && has_keys; then
    warning 'You selected the DKMS kernel module option, and also specified a pair of module signing keys. Keys cannot be managed securely under the automated DKMS framework. The DKMS option will be disabled.'
    dkms=n
  fi
  if [ "$recommend" = y ]; then
    choose_module_type
    [ "$module_type" != open ] || { echo open; exit 0; }
    echo proprietary
    exit 0
  fi
}

# find_option NAME: sets $long, $kind and $negated
find_option() {
  while read -r long letter kind shown; do
    if [ ${#1} = 1 ]; then
      [ "$letter" != "$1" ] || return 0
    elif [ "$long" = "$1" ]; then
      return 0
    elif [ "$kind" = boolean ] && [ "no-$long" = "$1" ]; then
      negated=y
      return 0
    fi
  done <<TABLE
$OPTIONS
TABLE
  return 1
}

# Each a letter that the table has, and the first of them takes no value.
is_cluster() {
  [ ${#1} -gt 1 ] || return 1
  _letters=$1
  while [ -n "$_letters" ]; do
    find_option "${_letters%"${_letters#?}"}" || return 1
    _letters=${_letters#?}
  done
  find_option "${1%"${1#?}"}"
  [ "$kind" = plain ] || [ "$kind" = boolean ]
}

is_number() { case $1 in '' | *[!0-9]*) return 1 ;; esac; }

invalid() {
  printf '%s: %s\n' "$program" "$1" >&2
  end_usage
}

end_usage() {
  error "Invalid commandline, please run \`$program --help\` for usage information."
  exit 1
}

take() {
  case $1 in
    silent) silent=y ;;
    help | advanced-options) [ "$help" = advanced-options ] || help=$1 ;;
    version) show_version; exit 0 ;;
    driver-info) action=info ;;
    sanity) action=sanity ;;
    uninstall) action=uninstall ;;
    add-this-kernel) action=add-this-kernel ;;
    print-recommended-kernel-module-type) recommend=y ;;
    log-file-name) log_name=$value ;;
    dkms) dkms=$yes ;;
    disable-nouveau) disable_nouveau=$yes ;;
    no-nouveau-check) nouveau_check=n ;;
    no-x-check) x_check=n ;;
    no-check-for-alternate-installs) alternate_check=n ;;
    no-distro-scripts) hooks=n ;;
    allow-installation-with-running-driver) running_driver=$yes ;;
    rebuild-initramfs) rebuild_initramfs=$yes ;;
    skip-module-load) skip_module_load=y ;;
    skip-module-unload) skip_module_unload=y ;;
    skip-depmod) skip_depmod=y ;;
    kernel-name) name_kernel ;;
    kernel-source-path) source_path=$value ;;
    kernel-output-path) output_path=$value ;;
    kernel-install-path) install_path=$value ;;
    kernel-module-type) name_module_type ;;
    kernel-module-build-directory) name_build_directory "$value" ;;
    kernel-module-only | kernel-modules-only) only_modules=y kernel_modules=y ;;
    no-kernel-module | no-kernel-modules) kernel_modules=n only_modules=n module_source=n ;;
    no-kernel-module-source) module_source=n ;;
    no-unified-memory) uvm=n ;;
    no-drm) drm=n ;;
    no-peermem) peermem=n ;;
    no-opengl-files) opengl_files=n ;;
    install-compat32-libs) compat32=$yes ;;
    compat32-libdir) compat32_libdir=$value ;;
    install-libglvnd) libglvnd=$yes ;;
    run-nvidia-xconfig) xconfig=y ;;
    systemd) systemd=$yes ;;
    concurrency-level) concurrency=$value ;;
    module-signing-secret-key) secret_key=$value ;;
    module-signing-public-key) public_key=$value ;;
    module-signing-script) sign_script=$value ;;
    module-signing-hash) sign_hash=$value ;;
    no-network | no-runlevel-check | force-tls | force-tls-compat32 | glvnd-glx-client | glvnd-egl-client)
      warning "The '--$1' option is deprecated:  nvidia-installer will ignore this option."
      ;;
  esac
}

# A kernel that does not run is installed for, and never loaded.
name_kernel() {
  [ "$value" = "$kernel" ] || skip_module_load=y
  kernel=$value kernel_named=y
}

name_module_type() {
  case $value in
    [oO]*) name_build_directory kernel-open ;;
    [pP]*) name_build_directory kernel ;;
    *)
      error "'$value' is not a valid kernel module type."
      end_usage
      ;;
  esac
}

name_build_directory() {
  if [ ! -d "$here/$1" ]; then
    error "The kernel module build directory '$1' is not present in this installer package."
    end_usage
  fi
  _before=$module_type
  module_type=proprietary
  [ "$1" != kernel-open ] || module_type=open
  at_least 555.42.02 || return 0
  if [ -n "$_before" ] && [ "$_before" != "$module_type" ]; then
    _folder=kernel
    [ "$_before" = proprietary ] || _folder='kernel-open'
    error "Conflicting options set the kernel module build directory to both '$_folder' and '$1'. Please use only one."
    end_usage
  fi
  if [ "$module_type" = open ]; then
    ! open_is_supported || return 0
  else
    open_is_required || return 0
  fi
  _license='NVIDIA Proprietary'
  [ "$module_type" = proprietary ] || _license=MIT/GPL
  warning "The '$_license' kernel modules are incompatible with the GPU(s) detected on this system. They will be installed anyway, but are not expected to work."
}

show_version() {
  printf '\nnvidia-installer:  version %s\n  The NVIDIA Software Installer for Unix/Linux.\n\n' "$version"
  printf '  This program is used to install, upgrade and uninstall The NVIDIA Accelerated Graphics Driver Set for Linux-@ARCHITECTURE@.\n\n'
}

show_help() {
  show_version
  printf '\n%s [options]\n\n' "$program"
  echo "$OPTIONS" | while read -r long letter kind shown; do
    case $shown in hidden) continue ;; common) ;; *) [ "$help" = advanced-options ] || continue ;; esac
    case $action:$shown in uninstall:common | uninstall:uninstall) ;; uninstall:*) continue ;; esac
    _value=$(echo "$long" | tr '[:lower:]' '[:upper:]')
    case $kind in
      string | integer) _forms="--$long=$_value" _short="-$letter $_value, " ;;
      boolean) _forms="--$long, --no-$long" _short="-$letter, " ;;
      *) _forms=--$long _short="-$letter, " ;;
    esac
    [ "$letter" != - ] || _short=''
    printf "  %s%s\n      See the README for '--%s'.\n\n" "$_short" "$_forms" "$long"
  done
  exit 0
}
