/** Apart from the rest of the room, so that --help and --version load neither YAML nor the schema. */
export const DEFAULT_CONFIG_PATH = '/etc/vgpu-guest/config.yaml';
