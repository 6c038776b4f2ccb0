# shellcheck shell=sh
# The stand-in's initrd: `070701 KERNEL`, then for each file `@path` and its lines, each behind one blank.
# Sourced after lib.sh by every program that writes or reads one.

root=${GUEST_ROOT:?}

# image_put PATH: a file of the guest, by the name it has there
image_put() {
  [ -f "$root$1" ] || return 1
  echo "@${1#/}"
  sed 's/^/ /' "$root$1"
}

# image_start KERNEL: what every image has
image_start() {
  echo "070701 $1"
  printf '@etc/ld.so.cache\n@init\n@usr/bin/kmod\n@usr/lib/systemd/systemd-udevd\n'
}

# image_nouveau KERNEL: nouveau goes in by the hardware that is there, whatever any blacklist says
image_nouveau() {
  for _module in "$root/lib/modules/$1"/kernel/drivers/gpu/drm/nouveau/nouveau.ko*; do
    [ -e "$_module" ] && echo "@usr/lib/modules/$1/kernel/drivers/gpu/drm/nouveau/${_module##*/}"
  done
}

is_image() { [ "$(head -c 6 "$1" 2>/dev/null)" = 070701 ]; }

image_list() { sed -n 's/^@//p' "$1"; }

# image_cat FILE PATH
image_cat() {
  awk -v wanted="@${2#/}" '/^@/ { inside = $0 == wanted; next } inside { print substr($0, 2) }' "$1"
}
