# shellcheck shell=sh disable=SC2034,SC2154
# Part of nvidia-installer: DKMS. Until R515 it is what builds, and its failure is the installation's; from 520.56.06 on it is
# handed what has been built and tried, is left out without a word where it is missing, and its failure is a warning.

registered=n

install_by_dkms() {
  begin 'Installing DKMS kernel module:'
  if run_dkms add && run_dkms build && run_dkms install; then
    end done.
    return
  fi
  end error.
  error 'Failed to install the kernel module through DKMS. No kernel module was installed; please try installing again without DKMS, or check the DKMS logs for more information.'
  failed
}

register_with_dkms() {
  find_utility tar || [ -n "$root" ] || return 0
  find_utility dkms || return 0
  [ "$module_source" = y ] || return 0
  answer 'Would you like to register the kernel module sources with DKMS? This will allow DKMS to automatically build a new module, if your kernel changes later.' "$(yes_or_no "$dkms")"
  [ "$dkms" = y ] || return 0
  begin 'Registering the kernel modules with DKMS:'
  if hand_over && run_dkms install && is_installed_by_dkms; then
    registered=y
    end done.
    return
  fi
  end Error.
  _were='will be'
  at_least 525.53 || _were=were
  warning "Failed to register the NVIDIA kernel modules with DKMS. The NVIDIA kernel modules $_were installed, but will not be automatically rebuilt if you change your kernel."
}

# As a tarball with the sources and the modules that were built. The stand-in for dkms reads none: it gets the sources, and builds.
hand_over() {
  if [ -n "$root" ]; then
    make_folder "/usr/src/nvidia-$version"
    for _file in nvidia.c Makefile dkms.conf load-module.sh module-type; do cp "$here/$module_folder/$_file" "$root/usr/src/nvidia-$version/"; done
    run_dkms add && run_dkms build || return 1
    # nothing was built there
    mkdir "$root/var/lib/dkms/nvidia/$version/build"
    cp "$here/$module_folder/nvidia.ko" "$root/var/lib/dkms/nvidia/$version/$kernel/$(machine)/module/nvidia.ko"
    return
  fi
  _tree=$here/dkms
  _built=$_tree/dkms_main_tree/$kernel/$(machine)
  mkdir -p "$_built/log" "$_built/module" "$_tree/dkms_source_tree"
  make_folder "/usr/src/nvidia-$version"
  echo 2.0.0 >"$_tree/dkms_main_tree/dkms_dbversion"
  printf '%s\n' "$build_log" >"$_built/log/make.log"
  for _file in nvidia.c Makefile dkms.conf load-module.sh module-type; do
    cp "$here/$module_folder/$_file" "$_tree/dkms_source_tree/" || return 1
  done
  cp "$here/$module_folder/nvidia.ko" "$_built/module/"
  if ! quietly guest tar -C "$_tree" -cf "$here/dkms.tar" .; then
    error "Failed to create a DKMS tarball: $output"
    error 'Failed to create a DKMS tarball'
    return 1
  fi
  quietly guest dkms ldtarball "$here/dkms.tar" && return
  error "Failed to load DKMS tarball: $output"
  return 1
}

# run_dkms VERB [VERSION]
run_dkms() {
  if ! find_utility dkms; then
    [ "$1" = status ] || error 'Failed to find dkms on the system!'
    return 1
  fi
  _program=$found _verb=$1 _of=${2:-$version}
  set -- "$_verb"
  case $_verb in
    install | remove)
      # the installer runs depmod itself, once
      if at_least 520.56.06 && guest dkms --help 2>&1 | grep -q -e --no-depmod; then set -- "$@" --no-depmod; fi
      ;;
  esac
  set -- "$@" -m nvidia -v "$_of"
  if [ "$_verb" = remove ]; then set -- "$@" --all; else set -- "$@" -k "$kernel"; fi
  quietly guest dkms "$@" && return
  error "Failed to run \`$_program $*\`: $output"
  return 1
}

is_installed_by_dkms() {
  run_dkms status || return 1
  case $output in *': installed'*) ;; *) return 1 ;; esac
}

# knows_dkms VERSION: in whatever state
knows_dkms() {
  find_utility dkms && quietly guest dkms status -m nvidia -v "$1" && [ -n "$output" ]
}
