# An image whose clones come to a licensed vGPU by themselves at their first boot; the source is yours (vsphere-iso, qemu, nutanix, …).
variable "vgpu_guest_package" {
  type    = string
  default = "vgpu-guest_0.1.0_amd64.deb"
}

build {
  sources = ["source.qemu.guest"]

  provisioner "file" {
    sources     = [var.vgpu_guest_package, "config.yaml", "NVIDIA-Linux-x86_64-570.211.01-grid.run", "client_configuration_token.tok"]
    destination = "/tmp/"
  }

  provisioner "shell" {
    execute_command = "sudo sh -eu '{{ .Path }}'"
    inline = [
      "apt-get install --yes /tmp/${basename(var.vgpu_guest_package)}",
      "install -m 0644 /tmp/config.yaml /etc/vgpu-guest/config.yaml",
      "install -m 0755 /tmp/NVIDIA-Linux-x86_64-570.211.01-grid.run /opt/",
      "install -m 0600 /tmp/client_configuration_token.tok /opt/",
      "rm /tmp/config.yaml /tmp/*.run /tmp/*.tok /tmp/${basename(var.vgpu_guest_package)}",
    ]
  }

  # the last provisioner
  provisioner "shell" {
    execute_command = "sudo sh '{{ .Path }}'"
    script          = "build-image.sh"
  }
}
