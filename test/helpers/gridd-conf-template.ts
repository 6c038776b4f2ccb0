import { isAtLeast } from './installer-options.ts';

/**
 * /etc/nvidia/gridd.conf.template as each branch ships it, after published copies: R470 in full; of R510 and R525 the server and
 * the feature; of R535 and later the head and the feature, and that the keys of the legacy server are gone.
 * What nobody has shown, such as keys for a proxy, is left out.
 */
export function griddConfTemplate(version: string): string {
  const isR535 = isAtLeast(version, '535');
  const daemon = isR535 ? 'NVIDIA Grid Daemon' : 'vGPU Licensing Daemon';
  return [
    `# /etc/nvidia/gridd.conf.template - Configuration file for ${daemon}`,
    `# This is a template for the configuration file for ${daemon}.\n# For details on the file format, please refer to the nvidia-gridd(1)\n# man page.`,
    ...(isR535 ? [] : SERVER),
    featureBlock(version),
    ENABLE_UI,
    ...(isR535 ? [] : BORROWING),
  ]
    .join('\n\n')
    .concat('\n');
}

/** Address and port are there with nothing behind them, and such a line counts as none. */
const SERVER = [
  '# Description: Set License Server Address\n# Data type: string\n# Format:  "<address>"\nServerAddress=',
  '# Description: Set License Server port number\n# Data type: integer\n# Format:  <port>, default is 7070\nServerPort=',
  '# Description: Set Backup License Server Address\n# Data type: string\n# Format:  "<address>"\n#BackupServerAddress=',
  '# Description: Set Backup License Server port number\n# Data type: integer\n# Format:  <port>, default is 7070\n#BackupServerPort=',
];

function featureBlock(version: string): string {
  const autodetected = isAtLeast(version, '510') ? ' (Optional, autodetected as per vGPU type)' : '';
  const compute = isAtLeast(version, '595') ? 'NVIDIA vGPU for Compute' : 'NVIDIA Virtual Compute Server';
  return `# Description: Set Feature to be enabled
# Data type: integer
# Possible values:
#    0 => for unlicensed state
#    1 => for NVIDIA vGPU${autodetected}
#    2 => for NVIDIA RTX Virtual Workstation
#    4 => for ${compute}
# All other values reserved
FeatureType=0`;
}

const ENABLE_UI = `# Description: Parameter to enable or disable vGPU Licensing tab in nvidia-settings
# Data type: boolean
# Possible values: TRUE or FALSE, default is FALSE
#EnableUI=TRUE`;

const BORROWING = [
  `# Description: Set license borrow period in minutes
# Data type: integer
# Possible values: 10 to 10080 mins(7 days), default is 1440 mins(1 day)
#LicenseInterval=1440`,
  `# Description: Set license linger period in minutes
# Data type: integer
# Possible values: 0 to 10080 mins(7 days), default is 0 mins
#LingerInterval=10`,
];
