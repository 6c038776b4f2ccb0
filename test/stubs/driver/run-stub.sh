# shellcheck shell=sh disable=SC2048,SC2086,SC2154,SC2317
# What stands in front of the archive of a stand-in package, behind the lines that tell what it is. As in the real one its own
# name, its folder and what it hands on have no quotes: a value with blanks falls apart.

# On a guest in a folder the tools are this machine's, and the machine is the guest's.
if [ -n "$GUEST_ROOT" ]; then
    PATH=/usr/bin:/bin
    TMPROOT="$GUEST_ROOT$TMPROOT"
    LOCAL_ARCH=$(cat "$GUEST_ROOT/var/lib/stubs/machine")
else
    LOCAL_ARCH=$(uname -m)
fi

help_extract_only() {
    echo "-x, --extract-only"
    echo "  Extract the contents of $0, but do not"
    echo "  run 'nvidia-installer'."
    echo ""
}

intro() {
    echo ""
    echo "$0 [options]"
    echo ""
    echo "This program will install the $label"
    echo "by unpacking the embedded tarball and executing the"
    echo "./nvidia-installer installation utility."
    echo ""
}

if [ "$1" = "-help" ] || [ "$1" = "--help" ] || [ "$1" = "-h" ]; then
    intro
    echo "Below are the most common options; for a complete list use"
    echo "'--advanced-options'."
    echo ""
    echo "--info"
    echo "  Print embedded info (title, default target directory) and exit."
    echo ""
    echo "--check"
    echo "  Check integrity of the archive and exit."
    echo ""
    help_extract_only
    echo ""
    echo "The following arguments will be passed on to the ./nvidia-installer"
    echo "utility:"
    echo ""
@COMMON_HELP@
    echo ""
    exit 0
fi

if [ "$1" = "-A" ] || [ "$1" = "--advanced-options" ]; then
    intro
    echo "--info"
    echo "  Print embedded info (title, default target directory) and exit."
    echo ""
    echo "--lsm"
    echo "  Print embedded lsm entry (or no LSM) and exit."
    echo ""
    echo "--pkg-history"
    echo "  Print the package history of this file and exit."
    echo ""
    echo "--list"
    echo "  Print the list of files in the archive and exit."
    echo ""
    echo "--check"
    echo "  Check integrity of the archive and exit."
    echo ""
    help_extract_only
    echo "--keep"
    echo "  Do not delete target directory when done."
    echo ""
    echo "--target [NewDirectory]"
    echo "  Extract contents in 'NewDirectory'"
    echo ""
    echo "--extract-decompress"
    echo "  Extract the embedded decompression program to stdout"
    echo ""
    echo ""
    echo "The following arguments will be passed on to the ./nvidia-installer"
    echo "utility:"
    echo ""
    echo "COMMON OPTIONS:"
    echo ""
@COMMON_HELP@
    echo ""
    echo "ADVANCED OPTIONS:"
    echo ""
@HELP@
    echo ""
    exit 0
fi

# finds the last folder of the list that has the program, as the real one does
find_md5sum() {
    MD5_PATH=""
    for a in ${GUESS_MD5_PATH:-/usr/local/ssl/bin /usr/local/bin /usr/bin /bin}; do
        if [ -x "$a/md5sum" ]; then MD5_PATH=$a; fi
    done
}

case "$1" in
    -lsm | --lsm) echo "no LSM"; exit 0 ;;
    --pkg-history) echo; echo; exit 0 ;;
    --label) echo "$label"; exit 0 ;;
    --version-string) echo "$version_string"; exit 0 ;;
    --pkg-version) echo "$pkg_version"; exit 0 ;;
    --target-os) echo "$TARGET_OS"; exit 0 ;;
    --target-arch) echo "$TARGET_ARCH"; exit 0 ;;
    --target-directory) echo "$targetdir"; exit 0 ;;
    --script) echo "$script $scriptargs"; exit 0 ;;
    --info)
        echo
        echo "  Identification    : $label"
        echo "  Target directory  : $targetdir"
        echo "  Uncompressed size : @KILOBYTES@ KB"
        echo "  Compression       : none"
        echo "  Date of packaging : Thu Nov  5 17:21:34 UTC 2026"
        echo "  Application run after extraction : $script $scriptargs"
        echo
        echo "  The directory $targetdir will be removed after extraction."
        echo
        exit 0 ;;
    --list)
        echo "Target directory: $targetdir"
        tail -n +$skip $0 | tar tvf - 2> /dev/null
        exit 0 ;;
    --extract-decompress) echo "No decompressor embedded in this archive" >&2; exit 1 ;;
    --check)
        sum1=$(tail -n +4 $0 | cksum | cut -d' ' -f1)
        if [ "$sum1" != "$CRCsum" ]; then echo "Error in checksums $sum1 $CRCsum"; exit 2; fi
        find_md5sum
        if [ -z "$MD5_PATH" ]; then
            echo "an embedded md5 sum of the archive exists but no md5 program was found in $GUESS_MD5_PATH"
            echo "if you have md5 on your system, you should try :"
            echo "env GUESS_MD5_PATH=\"FirstDirectory SecondDirectory ...\" $0 -check"
            exit 0
        fi
        md5sum=$(tail -n +4 $0 | "$MD5_PATH/md5sum" | cut -b-32)
        if [ "$md5sum" != "$MD5" ]; then echo "Error in md5 sums $md5sum $MD5"; exit 2; fi
        echo "check sums and md5 sums are ok"
        exit 0 ;;
esac

location="$(pwd)"
run_script=y

# an argument that is empty ends the loop; what follows it is handed on as well
while [ "$1" ]; do
    case "$1" in
        --extract-only | -x) run_script=n; keep=y ;;
        --keep) keep=y ;;
        --target)
            if [ -z "$2" ]; then echo "ERROR: --target: no target directory specified."; exit 1; fi
            targetdir="$GUEST_ROOT$2"; keep=y; shift ;;
        --tmpdir)
            scriptargs="$scriptargs $1 $2"
            if [ -z "$2" ]; then echo "ERROR: --tmpdir: no temporary directory specified."; exit 1; fi
            TMPROOT="$GUEST_ROOT$2"; shift ;;
        --apply-patch)
            if [ -z "$2" ]; then echo "ERROR: --apply-patch: no patch file specified."; exit 1; fi
            run_script=n; shift ;;
        *) scriptargs="$scriptargs $1" ;;
    esac
    shift
done

case $TMPROOT in /*) ;; *) TMPROOT="$location/$TMPROOT" ;; esac
if [ ! -d "$TMPROOT" ] && ! mkdir -p "$TMPROOT"; then
    echo "Unable to create temp directory $TMPROOT"
    exit 1
fi
TMPDIR="$TMPROOT"
TMPFILE=$(mktemp "$TMPDIR/makeself.XXXXXXXX" 2> /dev/null)
if [ -z "$TMPFILE" ]; then echo "Unable to create temporary file in $TMPDIR"; exit 1; fi
chmod +x "$TMPFILE"
# of a guest in a folder only /tmp can be so, and the mounts say it
if { [ -e "$GUEST_ROOT/var/lib/stubs/tmp-noexec" ] && [ "$TMPROOT" = "$GUEST_ROOT/tmp" ]; } || ! "$TMPFILE" > /dev/null 2>&1; then
    # two blanks: the real one leaves one at the end of the first half
    echo "ERROR: Temporary directory $TMPDIR is not executable - use the  --tmpdir option to specify a different one."
    rm "$TMPFILE"
    exit 1
fi
rm "$TMPFILE"

if [ "$LOCAL_ARCH" != "$TARGET_ARCH" ] && [ "$run_script" = "y" ]; then
    echo ""
    echo "ERROR: this .run file is intended for the"
    echo "$TARGET_OS-$TARGET_ARCH platform, but you appear to be"
    echo "running on Linux-$LOCAL_ARCH.  Aborting installation."
    echo ""
    exit 1
fi

if [ "$keep" = "y" ]; then
    echo "Creating directory $targetdir"; tmpdir=$targetdir
else
    workingdir="$TMPROOT/selfgz$$"
    tmpdir="$workingdir/$targetdir"
    rm -rf $tmpdir
fi
if [ -d "$tmpdir" ] || [ -f "$tmpdir" ]; then
    echo "The directory '$tmpdir' already exists.  Please either"
    echo "move the existing directory out of the way, or specify a"
    echo "different directory with the '--target' option."
    exit 1
fi
if ! mkdir -p $tmpdir; then echo "Unable to create the target directory '$tmpdir'."; exit 1; fi

if [ x$SETUP_NOCHECK != x1 ]; then
    printf "Verifying archive integrity... "
    sum1=$(tail -n +4 $0 | cksum | cut -d' ' -f1)
    if [ "$sum1" != "$CRCsum" ]; then echo "Error in check sums $sum1 $CRCsum"; exit 2; fi
    echo "OK"
fi
find_md5sum
if [ -n "$MD5_PATH" ]; then
    md5sum=$(tail -n +4 $0 | "$MD5_PATH/md5sum" | cut -b-32)
    if [ "$md5sum" != "$MD5" ]; then echo "Error in md5 sums $md5sum $MD5"; exit 2; fi
fi

UnTAR() {
    tar xvf - 2> /dev/null || { echo "Extraction failed." > /dev/tty; kill -15 $$; }
}

printf "Uncompressing %s" "$label"
cd $tmpdir || exit 1
# it waits for its child with this, so that a signal for the wrapper alone is heeded when the installer has ended
[ "$keep" = "y" ] || trap 'echo "Signal caught, cleaning up" > /dev/tty; cd $TMPROOT; rm -rf $tmpdir; exit 15' 1 2 15
if (cd "$location" && tail -n +$skip $0) | UnTAR | (while read -r _; do printf "."; done; echo); then
    chown -Rf "$(id -u):$(id -g)" .
    res=0
    if [ "$run_script" = "y" ]; then
        $script $scriptargs $*; res=$?
    fi
    [ "$keep" = "y" ] || { cd $TMPROOT && rm -rf $workingdir; }
else
    echo "Cannot decompress $0"; exit 1
fi
exit $res

END_OF_STUB
