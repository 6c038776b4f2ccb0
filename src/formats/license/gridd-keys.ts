/** What NVIDIA says that a key of gridd.conf may be. */
interface GriddKeyRule {
  /** Goes on after `allowed: `. */
  readonly allowed: string;
  readonly fits: (value: string) => boolean;
  /** Where the rule is written. */
  readonly source: string;
}

/**
 * The keys whose rule is known. Others exist (those for a proxy, for one), but what they may be has not been published:
 * the template that the driver installs tells which.
 */
export const GRIDD_KEYS: Readonly<Record<string, GriddKeyRule>> = {
  ServerAddress: address('gridd.conf.template of R470, nvidia-settings to R530 (ctkgridlicense.c)'),
  ServerPort: number(1, 65_535, 'gridd.conf.template of R470, nvidia-settings to R530 (ctkgridlicense.c)'),
  BackupServerAddress: address('gridd.conf.template of R470, nvidia-settings to R530 (ctkgridlicense.c)'),
  BackupServerPort: number(1, 65_535, 'gridd.conf.template of R470, nvidia-settings to R530 (ctkgridlicense.c)'),
  FeatureType: words(['0', '1', '2', '4'], 'gridd.conf.template ("All other values reserved"), nvidia-settings'),
  EnableUI: words(['TRUE', 'FALSE'], 'gridd.conf.template, nvidia-settings'),
  LicenseInterval: number(10, 10_080, 'gridd.conf.template (minutes)'),
  LingerInterval: number(0, 10_080, 'gridd.conf.template (minutes)'),
  ClientConfigTokenPath: {
    allowed: 'the absolute path of a directory, without blanks',
    fits: value => /^"\/[^\s"]*"$|^\/[^\s"]*$/.test(value),
    source: "SUSE's guide to NVIDIA vGPU guests",
  },
  IgnoreSP: words(['TRUE', 'FALSE'], "Azure's and AWS's guides to GRID drivers"),
};

/** What is wrong with a value, as it goes on after `found …, `; undefined: nothing, or nobody knows. An empty one is the default. */
export function faultOfGriddValue(key: string, value: string): string | undefined {
  const rule = Object.hasOwn(GRIDD_KEYS, key) ? GRIDD_KEYS[key] : undefined;
  if (value === '' || !rule || rule.fits(value)) return undefined;
  return `allowed: ${rule.allowed} (${rule.source})`;
}

function words(allowed: readonly string[], source: string): GriddKeyRule {
  return { allowed: `${allowed.join(', ')}, bare`, fits: value => allowed.includes(value), source };
}

function number(least: number, most: number, source: string): GriddKeyRule {
  return {
    allowed: `a whole number from ${least} to ${most}, bare`,
    fits: value => /^\d{1,6}$/.test(value) && Number(value) >= least && Number(value) <= most,
    source,
  };
}

/** The template writes it in quotes, most people without. */
function address(source: string): GriddKeyRule {
  return {
    allowed: 'a host name or an IP address',
    fits: value => /^("?)[A-Za-z0-9](?:[A-Za-z0-9.:_-]*[A-Za-z0-9])?\1$/.test(value),
    source,
  };
}
