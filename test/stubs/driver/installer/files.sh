# shellcheck shell=sh disable=SC2034,SC2154
# Part of nvidia-installer: files into the guest. /var/lib/nvidia/log has each with its sum, what was there before is kept under a
# number beside it, and /var/lib/nvidia/dirs has the folders that were made.

LIST=/var/lib/nvidia/log
saved=100 certificate=''

installed_version() { sed -n '1s/^.*(\(.*\))$/\1/p' "$root$LIST" 2>/dev/null; }

# All of the folder goes, with whatever another program keeps there.
start_list() {
  rm -rf "$root/var/lib/nvidia"
  (umask 077 && mkdir -p "$root/var/lib/nvidia")
  (
    umask 077
    printf '1.0-%s (%s)\nNVIDIA Accelerated Graphics Driver for Linux-@ARCHITECTURE@\n' "$(echo "$version" | tr -d .)" "$version" >"$root$LIST"
  )
}

install_files() {
  [ "$only_modules" = n ] || refuse_installed_modules
  [ "$only_modules" = y ] || { begin 'Searching for conflicting files:'; end done.; }
  begin "Installing 'NVIDIA Accelerated Graphics Driver for Linux-@ARCHITECTURE@' ($version):"
  [ "$kernel_modules" = n ] || [ "$registered" = y ] || is_left_to_dkms || save_other_modules
  if at_least 545.23.06 && [ "$kernel_modules" = y ] && ! update_initramfs; then went_on 'Rebuilding initramfs failed'; fi
  if [ "$only_modules" = n ]; then
    put_programs
    put_daemon
    put_library
  fi
  [ "$module_source" = n ] || put_sources
  [ "$kernel_modules" = n ] || [ "$registered" = y ] || is_left_to_dkms || put_module
  run_commands
  end done.
  say 'Driver file installation is complete.'
}

# Where DKMS has just been given the modules, they are in the way of themselves: it takes --no-dkms to install them alone.
refuse_installed_modules() {
  if knows_dkms "$version"; then
    if ! at_least 520.56.06; then
      error "A DKMS kernel module with version $version is already installed."
      failed
    fi
    case $output in
      *"$kernel"*': installed'*)
        error "DKMS kernel modules with version $version are already installed for the $kernel kernel."
        failed
        ;;
    esac
  fi
  find_modules | while read -r _path; do ! grep -qx "1: ${_path#"$root"}" "$root$LIST" || echo "${_path#"$root"}"; done >"$here/in-the-way"
  [ -s "$here/in-the-way" ] || return 0
  error "The file '$(head -n 1 "$here/in-the-way")' already exists as part of this driver installation."
  failed
}

is_left_to_dkms() { ! at_least 520.56.06 && [ "$dkms" = y ]; }

put_programs() {
  put nvidia-smi 0755 /usr/bin/nvidia-smi
  put nvidia-installer 0755 /usr/bin/nvidia-installer
  put_link nvidia-installer /usr/bin/nvidia-uninstall
  put nvidia-bug-report.sh 0755 /usr/bin/nvidia-bug-report.sh
  [ -z "$certificate" ] || put signing.der 0444 "$certificate"
}

# What DKMS has brought is not saved.
put_sources() {
  for _source in nvidia.c Makefile dkms.conf load-module.sh module-type; do
    rm -f "$root/usr/src/nvidia-$version/$_source"
    put "$module_folder/$_source" 0644 "/usr/src/nvidia-$version/$_source"
  done
}

# Only packages for guests with a license have it.
put_daemon() {
  case $flavor in grid*) ;; *) return 0 ;; esac
  put "$(daemon)" 0755 /usr/bin/nvidia-gridd
  put gridd.conf.template 0644 /etc/nvidia/gridd.conf.template
  put nvidia-grid.conf 0644 /etc/dbus-1/system.d/nvidia-grid.conf
  make_folder /etc/nvidia/ClientConfigToken
  [ "$systemd" != n ] || return 0
  put nvidia-gridd.service 0644 /usr/lib/systemd/system/nvidia-gridd.service
}

# The one in sh is daemon and license service in one: for a guest in a folder, for one that says how that service answers, and
# for one without the other's interpreter.
daemon() {
  if [ -n "$root" ] || [ -e /var/lib/stubs/license-service ] || ! find_utility python3 || [ ! -e "$here/nvidia-gridd.py" ]; then
    echo nvidia-gridd
  else
    echo nvidia-gridd.py
  fi
}

# What nvidia-smi cannot be without. Where there is a compiler it is a library that ldconfig knows for one.
put_library() {
  _folder=/usr/lib
  [ ! -d "$root/usr/lib64" ] || _folder=/usr/lib64
  [ ! -d "$root/usr/lib/@ARCHITECTURE@-linux-gnu" ] || _folder=/usr/lib/@ARCHITECTURE@-linux-gnu
  echo "stand-in for NVML $version" >"$here/libnvidia-ml.so"
  [ -n "$root" ] || cc -shared -nostdlib -Wl,-soname,libnvidia-ml.so.1 -o "$here/libnvidia-ml.so" -x c /dev/null 2>/dev/null || :
  put libnvidia-ml.so 0755 "$_folder/libnvidia-ml.so.$version"
  put_link "libnvidia-ml.so.$version" "$_folder/libnvidia-ml.so.1"
  put_link libnvidia-ml.so.1 "$_folder/libnvidia-ml.so"
}

put_module() {
  if [ -z "$install_path" ]; then
    install_path=/lib/modules/$kernel/video
    [ ! -d "$root/lib/modules/$kernel/kernel" ] || install_path=/lib/modules/$kernel/kernel/drivers/video
  fi
  put "$module_folder/nvidia.ko" 0644 "$install_path/nvidia.ko"
}

# put FILE MODE TARGET: a file of the package; what was there is saved
put() {
  save "$3"
  make_folder "${3%/*}"
  if _why=$(install -m "$2" "$here/$1" "$root$3" 2>&1); then
    sum_of "$3"
    printf '1: %s\n%s\n' "$3" "$sum" >>"$root$LIST"
    return
  fi
  error "Unable to create '$3' for copying (${_why##*: })"
  went_on "Cannot install $3"
}

# put_link TARGET PATH
put_link() {
  save "$2"
  make_folder "${2%/*}"
  if ln -s "$1" "$root$2" 2>/dev/null; then
    printf '0: %s\n%s\n' "$2" "$1" >>"$root$LIST"
  else
    went_on "Cannot create symlink $2 (File exists)"
  fi
}

# sum_of PATH: sets $sum
sum_of() {
  sum=$(cksum <"$root$1")
  sum=${sum%% *}
}

# save PATH: a file goes to a number, a link into the list
save() {
  if [ -L "$root$1" ]; then
    printf '2: %s\n%s\n%s\n' "$1" "$(readlink "$root$1")" '120777 0 0' >>"$root$LIST"
    rm -f "$root$1"
  elif [ -f "$root$1" ]; then
    sum_of "$1"
    printf '%s: %s\n%s %s\n' $saved "$1" "$sum" "$(stat -c '10%04a %u %g' "$root$1")" >>"$root$LIST"
    mv "$root$1" "$root/var/lib/nvidia/$saved"
    saved=$((saved + 1))
  elif [ -d "$root$1" ]; then
    error "Unable to backup directory '$1'."
    went_on "Cannot backup $1"
  fi
}

# Those of other drivers.
save_other_modules() {
  while read -r _path; do [ -z "$_path" ] || save "${_path#"$root"}"; done <<PATHS
$(find_modules)
PATHS
}

# Wherever they lie below this kernel's folder.
find_modules() {
  for _name in nvidia-peermem nvidia-vgpu-vfio nvidia-uvm nvidia-drm nvidia-modeset nvidia; do
    find "$root/lib/modules/$kernel/" -name "$_name.ko*" -not -path '*/build/*' 2>/dev/null
  done
}

make_folder() {
  [ ! -d "$root$1" ] || return 0
  make_folder "${1%/*}"
  mkdir "$root$1" 2>/dev/null && echo "$1" >>"$root/var/lib/nvidia/dirs"
}

# A failure on the way is asked about, and the answer is to go on.
went_on() { answer "The installer has encountered the following error during installation: '$1'.  Would you like to continue installation anyway?" 'Continue installation'; }

run_commands() {
  # a folder's guest has no libraries
  [ -n "$root" ] || run_command ldconfig
  if [ "$kernel_modules" = y ] && [ "$skip_depmod" = n ] && ! is_left_to_dkms; then
    refresh_modules run_command
  fi
  [ "$systemd" != n ] && [ "$only_modules" = n ] || return 0
  run_command systemctl daemon-reload
  [ -e "$root/usr/lib/systemd/system/nvidia-gridd.service" ] || return 0
  guest systemctl enable nvidia-gridd.service >/dev/null 2>&1
}

# refresh_modules COMMAND: depmod asks the kernel for its name, which is another one's in a container
refresh_modules() {
  if [ "$kernel_named" = y ] || { [ -z "$root" ] && ! has_own_kernel ''; }; then "$1" depmod -a "$kernel"; else "$1" depmod -a; fi
}

run_command() {
  find_utility "$1"
  _program=$found _name=$1
  shift
  _whole="$_program${1+ $*}"
  logged guest "$_name" "$@" && return
  error "Failed to execute \`$_whole\`: $output"
  went_on "Failed to execute \`$_whole\`"
}

# The libraries that all makers share: all there, all of its own, or, in between, what is missing decides.
check_libglvnd() {
  [ "$opengl_files" = y ] || return 0
  _missing='' _there=''
  for _name in libGLdispatch.so.0 libOpenGL.so.0 libGLX.so.0 libGL.so.1 libEGL.so.1; do
    if has_library $_name; then _there="$_there $_name"; else _missing="$_missing $_name"; fi
  done
  if [ "$libglvnd" = default ]; then
    libglvnd=y
    [ -n "$_missing" ] || libglvnd=n
    if [ -n "$_missing" ] && [ -n "$_there" ]; then ask_about_libglvnd; fi
  fi
  if [ "$libglvnd" = y ]; then
    log 'Will install libglvnd libraries.'
    _folder=/usr/share/glvnd/egl_vendor.d
  else
    log 'Will not install libglvnd libraries.'
    _folder=$(guest pkg-config --variable=datadir libglvnd 2>/dev/null)
    if [ -n "$_folder" ]; then
      _folder=$_folder/glvnd/egl_vendor.d
    else
      _folder=/usr/share/glvnd/egl_vendor.d
      warning 'Unable to determine the path to install the libglvnd EGL vendor library config files. Check that you have pkg-config and the libglvnd development libraries installed, or specify a path with --glvnd-egl-config-path.'
    fi
  fi
  log "Will install libEGL vendor library config file to $_folder"
}

ask_about_libglvnd() {
  _hint='' _answer='Abort installation.'
  if [ "$_missing" = ' libOpenGL.so.0' ]; then
    _hint='All of the essential libglvnd libraries are present, but one or more optional components are missing. '
    _answer="Don't install libglvnd files" libglvnd=n
  fi
  answer "An incomplete installation of libglvnd was found. ${_hint}Do you want to install a full copy of libglvnd? This will overwrite any existing libglvnd libraries." "$_answer"
  [ -n "$_hint" ] || failed
}

check_after_installation() {
  begin 'Running post-install sanity check:'
  _well=passed
  while read -r _path; do
    if [ -e "$root$_path" ] || [ -L "$root$_path" ]; then continue; fi
    warning "Unable to find installed file '$_path' (No such file or directory)."
    _well=failed
  done <<PATHS
$(sed -n 's/^[01]: //p' "$root$LIST")
PATHS
  end done.
  say "Post-install sanity check $_well."
  at_least 510.39.01 && return
  begin 'Running runtime sanity check:'
  end done.
  say 'Runtime sanity check passed.'
}

# The question comes where there is a VGA controller to write an xorg.conf for, and a program that writes one.
ask_for_xconfig() {
  [ "$vga" = y ] && [ "$only_modules" = n ] && find_utility nvidia-xconfig || return 0
  answer 'Would you like to run the nvidia-xconfig utility to automatically update your X configuration file so that the NVIDIA X driver will be used when you restart X?  Any pre-existing X configuration file will be backed up.' "$(yes_or_no "$xconfig")"
  [ "$xconfig" = y ] || return 0
  quietly guest nvidia-xconfig || error "Failed to run \`$found\`:
$output"
}
