# shellcheck shell=sh
# The package database and the repositories of a guest in a folder; sourced after lib.sh.
# repository and packages: NAME VERSION [PROVIDE…] a line, PROVIDE is NAME=VERSION; DEPENDS=NAME is what comes along.
root=${GUEST_ROOT:?}
stubs=$root/var/lib/stubs

# find_package ASKED: the repository's line for a name, NAME=VERSION or NAME-VERSION; the last one wins, as the newest
find_package() {
  awk -v asked="$1" '
    $1 == asked || $1 "=" $2 == asked || $1 "-" $2 == asked { found = $0; next }
    { for (i = 3; i <= NF; i++) if ($i == asked) found = $0 }
    END { if (found == "") exit 1; print found }
  ' "$stubs/repository"
}

# with_dependencies ASKED…: they, and what comes along
with_dependencies() {
  _all=
  while [ $# -gt 0 ]; do
    _one=$1
    shift
    case " $_all " in *" $_one "*) continue ;; esac
    _all="$_all $_one"
    for _word in $(find_package "$_one"); do
      case $_word in DEPENDS=*) set -- "$@" "${_word#DEPENDS=}" ;; esac
    done
  done
  echo "$_all"
}

installed_version() { awk -v name="$1" '$1 == name { print $2; found = 1 } END { exit !found }' "$stubs/packages"; }

is_installed() { grep -qxF "$1" "$stubs/packages"; }

# install_line LINE: what the package puts into the guest
install_line() {
  # shellcheck disable=SC2086 # the words of the line
  set -- $1
  case $1 in
    gcc)
      program gcc
      program cc
      # where gcc needs the C library's headers they come with it; Debian's only recommends them
      [ -e "$root/usr/bin/dpkg-query" ] || c_library
      ;;
    libc6-dev) c_library ;;
    g++ | gcc-c++) program g++ ;;
    cuda-nvcc-*)
      _release=${1#cuda-nvcc-}
      install_nvcc "$(echo "$_release" | tr - .)" "${2%-*}"
      ;;
    cuda-drivers | nvidia-driver* | nvidia-compute-*) : >"$stubs/second-driver" ;;
    make | pkg-config | x11vnc) program "$1" ;;
    dkms) cp "$root/usr/lib/stubs/bin/dkms" "$root/usr/sbin/dkms" ;;
    kernel-*devel | linux-headers-*)
      # what only follows the newest kernel has no files of its own
      case $* in *KERNEL=*) headers "$@" ;; esac
      ;;
  esac
  echo "$*" >>"$stubs/packages"
}

c_library() {
  mkdir -p "$root/usr/include"
  echo '/* C library */' >"$root/usr/include/stdio.h"
}

program() {
  printf '#!/bin/sh\nexit 0\n' >"$root/usr/bin/$1"
  chmod 755 "$root/usr/bin/$1"
}

# install_nvcc RELEASE VERSION
install_nvcc() {
  mkdir -p "$root/usr/local/cuda-$1/bin"
  sed "s/@RELEASE@/$1/; s/@VERSION@/$2/" "$root/usr/lib/stubs/cuda/nvcc" >"$root/usr/local/cuda-$1/bin/nvcc"
  chmod 755 "$root/usr/local/cuda-$1/bin/nvcc"
  ln -sfn "cuda-$1" "$root/usr/local/cuda"
}

# The last word of the line names the kernel: KERNEL=RELEASE.
headers() {
  for _word in "$@"; do case $_word in KERNEL=*) _kernel=${_word#KERNEL=} ;; esac; done
  _tree=/usr/src/linux-headers-$_kernel
  mkdir -p "$root$_tree/include/linux" "$root$_tree/scripts" "$root/lib/modules/$_kernel"
  sign_file >"$root$_tree/scripts/sign-file"
  chmod 755 "$root$_tree/scripts/sign-file"
  echo '/* kernel.h */' >"$root$_tree/include/linux/kernel.h"
  echo 'all:' >"$root$_tree/Makefile"
  # relative, so that this machine finds it as well as the guest does
  rm -f "$root/lib/modules/$_kernel/build"
  ln -sr "$root$_tree" "$root/lib/modules/$_kernel/build"
}

# The kernel's own program: HASH KEY CERTIFICATE MODULE, of which the paths are this machine's.
sign_file() {
  cat <<'PROGRAM'
#!/bin/sh
[ $# = 4 ] || { echo 'Usage: scripts/sign-file [-dp] <hash algo> <key> <x509> <module> [<dest>]' >&2; exit 2; }
for file in "$2" "$3" "$4"; do [ -f "$file" ] || { echo "At main.c:298: - SSL error:... $file" >&2; exit 1; }; done
sed -i '/^\(sig_id\|signer\|sig_key\)=/d' "$4"
number=$(printf '%08X' "$(cksum <"$3" | cut -d' ' -f1)" | sed 's/../&:/g; s/:$//')
printf 'sig_id=PKCS#7\nsigner=%s\nsig_key=%s\n' "$(sed -n 's/^CN=//p' "$3")" "$number" >>"$4"
PROGRAM
}

# needs: USER NEEDED a line, both names. with_users NAME…: they, and all that cannot be without them
with_users() {
  _all=" $* "
  while :; do
    _more=$(while read -r _user _needed; do
      case $_all in *" $_user "*) continue ;; *" $_needed "*) installed_version "$_user" >/dev/null && echo "$_user" ;; esac
    done <"$stubs/needs" 2>/dev/null | head -n 1)
    [ -n "$_more" ] || break
    _all="$_all$_more "
  done
  echo "$_all"
}

# nevra NAME: as rpm names what is installed
nevra() {
  _version=$(installed_version "$1" | head -n 1) || return 1
  case $_version in *.x86_64 | *.noarch) echo "$1-$_version" ;; *) echo "$1-$_version.x86_64" ;; esac
}

# name_of NEVRA: of an installed package
name_of() {
  while read -r _name _; do
    [ "$(nevra "$_name")" != "$1" ] || { echo "$_name"; return; }
  done <"$stubs/packages"
  return 1
}

# remove_package NAME: what the package has put into the guest goes; its configuration stays
remove_package() {
  case $1 in
    gcc) rm -f "$root/usr/bin/gcc" "$root/usr/bin/cc"; [ -e "$root/usr/bin/dpkg-query" ] || rm -rf "$root/usr/include" ;;
    libc6-dev) rm -rf "$root/usr/include" ;;
    make | pkg-config | x11vnc) rm -f "$root/usr/bin/$1" ;;
    dkms) rm -f "$root/usr/sbin/dkms"; rmdir "$root"/var/lib/dkms/nvidia "$root/var/lib/dkms" 2>/dev/null || : ;;
    kernel-*devel | linux-headers-*)
      _kernel=$(awk -v name="$1" '$1 == name && match($0, /KERNEL=[^ ]*/) { print substr($0, RSTART + 7, RLENGTH - 7) }' "$stubs/packages")
      [ -z "$_kernel" ] || rm -rf "${root:?}/usr/src/linux-headers-$_kernel" "$root/lib/modules/$_kernel/build"
      rmdir "$root/usr/src" 2>/dev/null || :
      ;;
  esac
  awk -v name="$1" '$1 != name' "$stubs/packages" >"$stubs/packages.new" && mv "$stubs/packages.new" "$stubs/packages"
}
