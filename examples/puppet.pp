# Brings a guest to its licensed vGPU; vgpu-guest itself, the package and the token are on it.
$package = '/opt/NVIDIA-Linux-x86_64-570.211.01-grid.run'
$token = '/opt/client_configuration_token.tok'

# whoever brings the token, nobody but root reads it
file { $token:
  owner     => root,
  group     => root,
  mode      => '0600',
  show_diff => false,
}

file { '/etc/vgpu-guest':
  ensure => directory,
}

file { '/etc/vgpu-guest/config.yaml':
  content => @("END"),
    driver:
      package: ${package}
    license:
      token: ${token}
    | END
}

Exec {
  path => ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'],
}

exec { 'vgpu-guest apply --quiet':
  unless  => 'vgpu-guest plan --quiet --detailed-exitcode',
  # 3: a reboot is needed to go on
  returns => [0, 3],
  # kernel modules are built and a license is waited for: the usual 300 seconds would cut that
  timeout => 7200,
  require => File[$token, '/etc/vgpu-guest/config.yaml'],
}

# the next boot goes on by itself; leave this away where somebody else reboots
exec { 'shutdown -r +1 "vgpu-guest needs a reboot"':
  onlyif      => 'vgpu-guest reboot-required',
  refreshonly => true,
  subscribe   => Exec['vgpu-guest apply --quiet'],
}
