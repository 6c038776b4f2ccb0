#!/bin/sh
# Makes an image of the machine that it runs on, as root and as the last thing that is done there: by Packer's shell provisioner (see
# packer.pkr.hcl), by virt-customize, or by hand. vgpu-guest is installed and /etc/vgpu-guest/config.yaml is written; the driver's
# package and the token lie where that file says. Neither a GPU nor a license is needed here.
set -eu

vgpu-guest prepare
vgpu-guest generalize

# who the machine itself is: its clones are to be others, to their license server as well
if command -v cloud-init >/dev/null; then cloud-init clean --logs; fi
: >/etc/machine-id
rm -f /var/lib/systemd/random-seed
