# What stands in the runfile of the stand-in toolkit after its variables: the options are those of NVIDIA's installation guide.

# shellcheck shell=sh source-path=SCRIPTDIR source=../lib.sh
. "$GUEST_ROOT/usr/lib/stubs/lib.sh"
log=$root/var/log/cuda-installer.log
silent=n toolkit=n driver=n tmp=$TMPROOT
for option in "$@"; do
  case $option in
    --silent) silent=y ;;
    --toolkit) toolkit=y ;;
    --driver) driver=y ;;
    --tmpdir=*) tmp=${option#*=} ;;
    --override | --no-opengl-libs | --no-man-page | --no-drm) ;;
    *) echo "Unknown option: $option" >&2; exit 1 ;;
  esac
done
# it draws its menu on a terminal, and would put a driver of its own over the one that is there
[ $silent = y ] || { echo 'Error opening terminal: unknown.' >&2; exit 1; }
[ $toolkit = y ] || driver=y
[ $driver = n ] || : >"$stubs/second-driver"
if [ ! -d "$root$tmp" ]; then
  printf 'Extraction failed.\nEnsure there is enough space in %s and that the installation package is not corrupt\n' "$tmp" >&2
  exit 15
fi
mkdir -p "$root$tmp/cuda-installer-files" "${log%/*}"
echo '[INFO]: Driver not installed.' >"$log"
if [ -e "$stubs/cuda-runfile" ]; then
  tail -n +2 "$stubs/cuda-runfile" >>"$log"
  exit "$(head -n 1 "$stubs/cuda-runfile")"
fi
if ! has gcc; then
  echo '[ERROR]: Failed to verify gcc version. See log at /var/log/cuda-installer.log for details.' >>"$log"
  echo 'Failed to verify gcc version. See log at /var/log/cuda-installer.log for details.' >&2
  exit 1
fi
# shellcheck source-path=SCRIPTDIR source=../packages.sh
. "$root/usr/lib/stubs/packages.sh"
install_nvcc @RELEASE@ @NVCC@
rm -rf "$root$tmp/cuda-installer-files"
cat <<SUMMARY
===========
= Summary =
===========

Driver:   Not Selected
Toolkit:  Installed in /usr/local/cuda-@RELEASE@/

***WARNING: Incomplete installation! This installation did not install the CUDA Driver.

Logfile is /var/log/cuda-installer.log
SUMMARY
exit 0
