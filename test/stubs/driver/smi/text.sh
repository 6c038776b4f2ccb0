# shellcheck shell=sh disable=SC2030,SC2031,SC2154
# Part of nvidia-smi: the table, and the answer to -q as text. What a vGPU does not tell is N/A, and so is what is not known here.

print_table() {
  _wide='' _driver=12
  [ "$branch" -lt 545 ] || _wide=-- _driver=14
  _line="+-----------------------------------------+--$_wide--------------------+----------------------+"
  _whole=$(echo "$_line" | sed 's/-+-/---/g')
  _column=$((20 + ${#_wide}))
  date '+%a %b %e %T %Y       '
  echo "$_whole"
  printf "| NVIDIA-SMI %-22s Driver Version: %-${_driver}s CUDA Version: %-8s |\n" "$version" "$version" "$(cuda_version)"
  if [ -n "$_wide" ]; then echo "$_line"; else echo "$_line" | sed 's/^+/|/'; fi
  printf '| GPU  Name                 Persistence-M | Bus-Id%*sDisp.A | Volatile Uncorr. ECC |\n' $((_column - 12)) ''
  printf '| Fan  Temp   Perf          Pwr:Usage/Cap | %*s | GPU-Util  Compute M. |\n' $_column Memory-Usage
  printf '|                                         | %*s |               MIG M. |\n' $_column ''
  echo "$_line" | sed 's/-/=/g; s/^+/|/; s/+$/|/'
  index=0
  for device in $gpus; do
    look_at "$device"
    printf '| %3s  %-29s Off  | %*s Off |                  N/A |\n' $index "$name" $((_column - 4)) "$address"
    printf '| N/A   N/A    P8              N/A /  N/A | %*s |      0%%      Default |\n' $_column "0MiB / ${memory}MiB"
    printf '|                                         | %*s |                  N/A |\n' $_column ''
    echo "$_line"
    index=$((index + 1))
  done
  _inner=$((${#_whole} - 2))
  printf '\n%s\n|%-*s|\n' "$_whole" $_inner ' Processes:'
  printf '|%-*s|\n' $_inner '  GPU   GI   CI              PID   Type   Process name                        GPU Memory '
  echo "$_whole" | sed 's/-/=/g; s/^+/|/; s/+$/|/'
  printf '|%-*s|\n%s\n' $_inner '  No running processes found' "$_whole"
}

# Names and values stand in columns, which R580 has made wider.
print_text() {
  _width=41
  [ "$branch" -lt 580 ] || _width=54
  {
    printf '\n==============NVSMI LOG==============\n\n'
    printf '%s=%s\n' Timestamp "$(date '+%a %b %e %T %Y')" 'Driver Version' "$version" 'CUDA Version' "$(cuda_version)"
    printf '\nAttached GPUs=%s\n' "$count"
    index=0
    for device in $gpus; do
      look_at "$device"
      gpu_as_text
      index=$((index + 1))
    done
    echo
  } | awk -v width=$_width '{ at = index($0, "=") } /^=/ || !at { print; next } { printf "%-*s : %s\n", width, substr($0, 1, at - 1), substr($0, at + 1) }'
}

gpu_as_text() {
  look_at_bus
  cat <<TEXT
GPU $address
    Product Name=$name
    Product Brand=$brand
    Product Architecture=$architecture
    Display Mode=Enabled
    Display Active=Disabled
    Persistence Mode=Disabled
    MIG Mode
        Current=$mig_current
        Pending=$mig_pending
    Accounting Mode=Disabled
    Accounting Mode Buffer Size=4000
    Driver Model
        Current=N/A
        Pending=N/A
    Serial Number=N/A
    GPU UUID=$uuid
    Minor Number=$index
    VBIOS Version=00.00.00.00.00
    MultiGPU Board=No
    Board Part Number=N/A
    Inforom Version
        Image Version=N/A
        OEM Object=N/A
        ECC Object=N/A
        Power Management Object=N/A
    GPU Operation Mode
        Current=N/A
        Pending=N/A
TEXT
  # until R535 the firmware comes first
  [ "$branch" -ge 550 ] || echo '    GSP Firmware Version=N/A'
  printf '    GPU Virtualization Mode\n        Virtualization Mode=%s\n        Host VGPU Mode=%s\n' "$mode" "$host_mode"
  [ "$branch" -lt 550 ] || echo '        vGPU Heterogeneous Mode=N/A'
  if [ -n "$product" ]; then
    if [ "$branch" -ge 450 ]; then echo '    vGPU Software Licensed Product'; else echo '    GRID Licensed Product'; fi
    printf '        Product Name=%s\n        License Status=%s\n' "$product" "$license"
  fi
  [ "$branch" -lt 550 ] || echo '    GSP Firmware Version=N/A'
  cat <<TEXT
    IBMNPU
        Relaxed Ordering Mode=N/A
    PCI
        Bus=0x$bus
        Device=0x$bus_device
        Domain=0x$bus_domain
        Device Id=0x$bus_id
        Bus Id=$address
        Sub System Id=0x$bus_subsystem
    Fan Speed=N/A
    Performance State=P8
    FB Memory Usage
        Total=$memory MiB
        Reserved=0 MiB
        Used=0 MiB
        Free=$memory MiB
    Compute Mode=Default
    Utilization
        $([ "$branch" -ge 580 ] && echo GPU || echo Gpu)=0 %
        Memory=0 %
    ECC Mode
        Current=$ecc_current
        Pending=$ecc_pending
    Processes=None

TEXT
}
