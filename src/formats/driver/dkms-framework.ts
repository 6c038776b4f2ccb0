/** The pair of keys that DKMS signs modules with. */
export interface KeyPair {
  /** A file, or `pkcs11:…`. */
  readonly secret: string;
  /** A certificate in DER. */
  readonly certificate: string;
}

/** /etc/dkms/framework.conf and its drop-ins, as the shell that sources them one after the other reads them. */
export function parseFramework(texts: readonly string[], kernel: string): Partial<KeyPair> {
  const [secret, certificate] = ['mok_signing_key', 'mok_certificate'].map(name =>
    value(texts.join('\n'), name, kernel),
  );
  return { ...(secret ? { secret } : {}), ...(certificate ? { certificate } : {}) };
}

/** DKMS keeps its modules somewhere else than it does by itself. */
export function movesTrees(texts: readonly string[]): boolean {
  return texts.some(text => /^[ \t]*(?:dkms|install)_tree=/m.test(text));
}

function value(text: string, name: string, kernel: string): string | undefined {
  const lines = [...text.matchAll(new RegExp(`^[ \\t]*${name}=(?:"([^"\\n]*)"|'([^'\\n]*)'|(\\S*))`, 'gm'))];
  const [, double, single, bare] = lines.at(-1) ?? [];
  // the one variable that framework.conf(5) promises
  return (double ?? single ?? bare)?.replace(/\$\{kernelver\}|\$kernelver\b/g, kernel);
}
