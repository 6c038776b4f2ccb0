/** Whether a setting names something to be downloaded rather than a file of the guest. */
export function isUrl(text: string): boolean {
  return /^https?:\/\//i.test(text);
}

/** As it may be said and logged: what a URL asks for after its `?`, and who asks, may be a secret. */
export function withoutSecrets(text: string): string {
  return text.replace(/(https?:\/\/)(?:[^\s/?#"@]*@)?([^\s?#"]*)([?#][^\s"]*)?/gi, (_, scheme, place, asked) =>
    [scheme, place, asked === undefined ? '' : '?…'].join(''),
  );
}
