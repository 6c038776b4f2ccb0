# shellcheck shell=sh disable=SC2034,SC2154
# Part of nvidia-smi: the license, as the daemon has handed it to the driver. /var/lib/stubs/license-status may say what is to be
# shown instead, one line: the status, or product, tab and status.

# Sets $product and $license; empty: no licensing section.
look_at_license() {
  product='' license=''
  case $flavor:$mode in grid*:VGPU | grid*:Pass-Through | grid*:None) ;; *) return 0 ;; esac
  feature
  unlicensed
  if holds_license; then
    IFS='	' read -r product _until <"$root/run/stubs-license"
    case $_until in [0-9]*) license="Licensed (Expiry: $_until GMT)" ;; *) license="Licensed (Expiry: $_until)" ;; esac
  fi
  if [ -s "$root/var/lib/stubs/license-status" ]; then
    read -r license <"$root/var/lib/stubs/license-status"
    case $license in *'	'*) product=${license%%'	'*} license=${license#*'	'} ;; esac
  fi
  # when it ends is told from R470 on
  [ "$branch" -ge 470 ] || license=${license%% (*}
}

# A license counts until it ends, whether or not the daemon is there to take it away; a guest in a folder has no clock of its own.
holds_license() {
  [ -s "$root/run/stubs-license" ] || return 1
  [ -z "$root" ] || return 0
  IFS='	' read -r _ _until </run/stubs-license
  case $_until in [0-9]*) ;; *) return 0 ;; esac
  [ "$(date -u -d "$_until" +%s)" -gt "$(date +%s)" ]
}

# Of a vGPU its profile decides. Of a whole GPU it is what was once licensed since the boot, or else nothing.
feature() {
  case $mode:$name in
    VGPU:*B) product='NVIDIA Virtual PC' ;;
    VGPU:*A) product='NVIDIA Virtual Applications' ;;
    VGPU:*C)
      product='NVIDIA Virtual Compute Server'
      [ "$branch" -lt 595 ] || product='NVIDIA vGPU for Compute'
      ;;
    VGPU:*) product='NVIDIA RTX Virtual Workstation' ;;
    *) [ ! -e "$root/run/stubs-feature" ] || read -r product <"$root/run/stubs-feature" ;;
  esac
}

# A whole GPU without a feature has the license that costs nothing and gives nothing. The word in brackets came with R510.
unlicensed() {
  if [ -z "$product" ]; then
    product='NVIDIA Virtual Applications' license='Licensed (Expiry: N/A)'
    return
  fi
  license='Unlicensed (Unrestricted)'
  [ "$branch" -ge 510 ] || license=Unlicensed
}
