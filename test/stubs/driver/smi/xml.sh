# shellcheck shell=sh disable=SC2154
# Part of nvidia-smi: the answer to -q -x, with the elements in the order of NVIDIA's DTD.

print_xml() {
  _dtd=12
  [ "$branch" -ge 510 ] || _dtd=11
  [ "$branch" -lt 580 ] || _dtd=13
  cat <<XML
<?xml version="1.0" ?>
<!DOCTYPE nvidia_smi_log SYSTEM "nvsmi_device_v$_dtd.dtd">
<nvidia_smi_log>
	<timestamp>$(date '+%a %b %e %T %Y')</timestamp>
	<driver_version>$version</driver_version>
	<cuda_version>$(cuda_version)</cuda_version>
	<attached_gpus>$count</attached_gpus>
XML
  index=0
  for device in $gpus; do
    look_at "$device"
    gpu_as_xml
    index=$((index + 1))
  done
  echo '</nvidia_smi_log>'
}

mig_devices_as_xml() {
  [ "$mig_devices" -gt 0 ] || { echo '			None'; return; }
  _number=0
  while [ $_number -lt "$mig_devices" ]; do
    printf '\t\t\t<mig_device>\n\t\t\t\t<index>%s</index>\n' $_number
    printf '\t\t\t\t<gpu_instance_id>%s</gpu_instance_id>\n' $((_number + 1))
    printf '\t\t\t\t<compute_instance_id>0</compute_instance_id>\n\t\t\t</mig_device>\n'
    _number=$((_number + 1))
  done
}

gpu_as_xml() {
  look_at_bus
  # until R535 the firmware comes first
  _firmware='
		<gsp_firmware_version>N/A</gsp_firmware_version>'
  _first='' _mixed='' _last=$_firmware _licensed=''
  if [ "$branch" -lt 550 ]; then
    _first=$_firmware _last=''
  else
    _mixed='
			<vgpu_heterogeneous_mode>N/A</vgpu_heterogeneous_mode>'
  fi
  if [ -n "$product" ]; then
    _section=vgpu_software_licensed_product
    [ "$branch" -ge 450 ] || _section=grid_licensed_product
    _licensed="
		<$_section>
			<licensed_product_name>$product</licensed_product_name>
			<license_status>$license</license_status>
		</$_section>"
  fi
  cat <<XML
	<gpu id="$address">
		<product_name>$name</product_name>
		<product_brand>$brand</product_brand>
		<product_architecture>$architecture</product_architecture>
		<display_mode>Enabled</display_mode>
		<display_active>Disabled</display_active>
		<persistence_mode>Disabled</persistence_mode>
		<mig_mode>
			<current_mig>$mig_current</current_mig>
			<pending_mig>$mig_pending</pending_mig>
		</mig_mode>
		<mig_devices>
$(mig_devices_as_xml)
		</mig_devices>
		<accounting_mode>Disabled</accounting_mode>
		<accounting_mode_buffer_size>4000</accounting_mode_buffer_size>
		<driver_model>
			<current_dm>N/A</current_dm>
			<pending_dm>N/A</pending_dm>
		</driver_model>
		<serial>N/A</serial>
		<uuid>$uuid</uuid>
		<minor_number>$index</minor_number>
		<vbios_version>00.00.00.00.00</vbios_version>
		<multigpu_board>No</multigpu_board>
		<board_part_number>N/A</board_part_number>$_first
		<gpu_virtualization_mode>
			<virtualization_mode>$mode</virtualization_mode>
			<host_vgpu_mode>$host_mode</host_vgpu_mode>$_mixed
		</gpu_virtualization_mode>$_licensed$_last
		<ibmnpu>
			<relaxed_ordering_mode>N/A</relaxed_ordering_mode>
		</ibmnpu>
		<pci>
			<pci_bus>$bus</pci_bus>
			<pci_device>$bus_device</pci_device>
			<pci_domain>$bus_domain</pci_domain>
			<pci_device_id>$bus_id</pci_device_id>
			<pci_bus_id>$address</pci_bus_id>
			<pci_sub_system_id>$bus_subsystem</pci_sub_system_id>
		</pci>
		<fan_speed>N/A</fan_speed>
		<performance_state>P8</performance_state>
		<fb_memory_usage>
			<total>$memory MiB</total>
			<reserved>0 MiB</reserved>
			<used>0 MiB</used>
			<free>$memory MiB</free>
		</fb_memory_usage>
		<compute_mode>Default</compute_mode>
		<ecc_mode>
			<current_ecc>$ecc_current</current_ecc>
			<pending_ecc>$ecc_pending</pending_ecc>
		</ecc_mode>
		<processes>
		</processes>
	</gpu>

XML
}
