/** A kind of secret, by what surrounds it. */
export interface RedactRule {
  /** Stands in the place of what was removed. */
  readonly id: string;
  readonly why: string;
  /** Group `before` stays, and `after` where there is one; `secret` goes. Every repetition has a bound, so that no text takes long. */
  readonly pattern: RegExp;
  /** What looks alike and is none. */
  readonly spares?: (groups: Readonly<Record<string, string | undefined>>) => boolean;
}

/** Of no word of a sentence: a digit, a capital letter within, or what base64 ends with. */
const isDense = (text: string) => /\d|[a-z][A-Z]|=$/.test(text);
/** A place of a secret is what support needs, and no secret. */
const isPlace = (text: string) =>
  /^["']?(?:\.{0,2}\/|[a-z]{2,8}:\/\/)/i.test(text) || /\.(?:tok|pem|key|run)["']?$/.test(text);
/** Names of settings that say where, when or of what kind it is. */
const ABOUT_IT =
  /(?:path|file|dir|directory|folder|name|type|url|timeout|count|size|lifetime|expiry|expires|version)["']?$/i;
const SIMPLE = /^["']?(?:\d{1,6}|true|false|yes|no|null|none|<[\w-]{1,40}>|<removed:[^>\n]{0,40}>)["']?[,;.)]?$/i;

/** A reason, where a message only speaks of a password. */
const REASON =
  /^(?:access|permission|authentication|authorization)? ?(?:denied|failed|failure|error|errors|not|no|cannot|could|invalid|incorrect|wrong|expired|unable|timed|timeout|refused|required|missing|unknown)\b/i;

const STRONG =
  'password|passwd|passphrase|passwort|pwd|secret|credentials?|api[_-]?key|access[_-]?key|private[_-]?key|auth[_-]?token|session[_-]?(?:id|key)';
/** What follows a closing quote without a gap belongs to it for a shell. */
const QUOTED = `(?:"(?:[^"\\\\\\n]|\\\\.){0,8192}"|'[^'\\n]{0,8192}')[^\\s,;&}\\])>]*`;
/** As it stands, with a backslash before the end of a line that goes on. */
const REST = '(?:[^\\n\\\\]|\\\\\\n?)+';

/** From the most certain to the widest. */
export const RULES: readonly RedactRule[] = [
  {
    id: 'jwt',
    why: 'a client configuration token, or another signed token: whoever has it gets licenses',
    pattern: /(?<before>)(?<secret>eyJ[\w-]{8,}(?:(?:\.|%2e)[\w-]*){0,4}|ZXlK[\w+/-]{20,}={0,2})/gi,
    // eyJ is {" in base64, which is about capital letters
    spares: ({ secret = '' }) => !/^(?:eyJ|ZXlK)/.test(secret),
  },
  {
    id: 'known-shape',
    why: 'keys of clouds and forges, and hashes of passwords, which can be told by their beginning',
    pattern:
      /(?<before>)(?<secret>\b(?:AKIA|ASIA)[0-9A-Z]{16}\b|\bgh[pousr]_\w{20,}|\bgithub_pat_\w{20,}|\bglpat-[\w-]{16,}|\bhv[sbr]\.[\w-]{16,}|\bxox[abprs]-[\w-]{10,}|\bAIza[\w-]{30,}|\$(?:1|2[aby]|5|6|y|7|gy)\$[./\w$,=]{8,})/g,
  },
  {
    id: 'url-credentials',
    why: 'user and password of a proxy or a mirror',
    pattern:
      /(?<before>\b[a-z][a-z0-9+.-]{0,30}:\/\/)(?<secret>[^\s/?#"'<>]{1,512}|[^\s"'<>:/@]{1,128}:[^\s"'<>]{0,512})(?<after>@)/gi,
  },
  {
    id: 'url-credentials',
    why: 'the same where the URL is written with percent signs',
    pattern: /(?<before>\b[a-z]{2,8}%3a%2f%2f)(?<secret>[^\s"'&<>]{1,512}?)(?<after>%40|@)/gi,
  },
  {
    id: 'url-credentials',
    why: 'a proxy is also written without its scheme',
    pattern:
      /(?<before>(?:https?|ftp|all)_proxy["']?[ \t]{0,4}[=:][ \t]{0,4}["']?(?:[a-z0-9]{1,8}:\/\/)?)(?<secret>[^\s"'@]{1,512})(?<after>@)/gi,
  },
  {
    id: 'url-query',
    why: 'what stands after the ? of a signed URL is as good as a password',
    pattern: /(?<before>\bhttps?:\/\/[^\s?#"'<>]{1,512}\?)(?<secret>[^\s"'<>]{1,8192})/gi,
  },
  {
    id: 'header',
    why: 'headers of HTTP that say who asks',
    pattern: new RegExp(
      `(?<before>\\b(?:(?:proxy-)?authorization|x-[a-z0-9-]{0,40}?(?:token|key|secret|auth)[a-z0-9-]{0,20}|(?:set-)?cookie)["']?[ \\t]{0,4}(?:[:=]|%3a)[ \\t]{0,4})(?<secret>${QUOTED}|[^\\n"']+)`,
      'gi',
    ),
  },
  {
    id: 'header',
    why: 'the same without the name of the header',
    pattern: /(?<before>\b(?:bearer|basic|negotiate|ntlm)[ \t]{1,4})(?<secret>[\w+/=.~-]{8,})/gi,
    spares: ({ secret = '' }) => !isDense(secret),
  },
  {
    id: 'proxy-user',
    why: 'the account by which nvidia-gridd uses a proxy',
    pattern: /(?<before>\bProxyUser(?:Name)?["']?[ \t]{0,8}[=:][ \t]{0,8})(?<secret>[^\s][^\n]*)/gi,
  },
  {
    id: 'user-flag',
    why: 'curl -u user:password, in a list of processes',
    pattern: /(?<before>[ \t](?:-u|-U|--user|--proxy-user)[ \t=]{1,4}["']?[^\s:"'/]{1,64}:)(?<secret>[^\s"']{1,512})/g,
  },
  {
    id: 'password',
    why: 'on a line of its own, as in a configuration file, and behind a colon a secret may have blanks',
    pattern: new RegExp(
      `(?<before>(?:^[ \\t]{0,64}(?:(?:[-+#;]|export|set)[ \\t]{0,8}){0,3}["']?[\\w.-]{0,64}?(?:${STRONG})[\\w.-]{0,32}["']?[ \\t]{0,8}=|\\b[\\w.-]{0,64}?(?:${STRONG})[\\w.-]{0,32}["']?[ \\t]{0,8}:(?!\\/\\/))[ \\t]{0,8})(?<secret>${QUOTED}|(?![ \\t"'{[\\n])${REST})`,
      'gim',
    ),
    spares: sparesSetting,
  },
  {
    id: 'password',
    why: 'within a line: key=value, and the same with percent signs',
    pattern: new RegExp(
      `(?<before>(?:^|[^A-Za-z0-9])[\\w.-]{0,64}?(?:${STRONG})[\\w.-]{0,32}["']?(?:[ \\t]{0,8}=[ \\t]{0,8}|%3d|%3a))(?<secret>${QUOTED}|(?!["'])\\S+)`,
      'gim',
    ),
    spares: sparesSetting,
  },
  {
    id: 'password',
    why: 'an option of a command line, in a list of processes',
    pattern:
      /(?<before>(?:^|[ \t])--?[\w-]{0,40}?(?:password|passwd|passphrase|secret|api-?key|access-?key)[\w-]{0,20}[ \t]{1,4})(?<secret>"[^"\n]{0,4096}"|'[^'\n]{0,4096}'|[^\s"'-][^\s]*)/gim,
    spares: sparesSetting,
  },
  {
    id: 'token',
    why: 'a token or a key of any kind, as long as it is not the place of one',
    pattern: new RegExp(
      `(?<before>(?:^|[^A-Za-z0-9])[\\w.-]{0,64}?token[\\w.-]{0,32}["']?(?:[ \\t]{0,8}=[ \\t]{0,8}|%3d|[ \\t]{0,8}:[ \\t]{1,8}))(?<secret>${QUOTED}|(?!["'{[])\\S+)`,
      'gim',
    ),
    spares: ({ before = '', secret = '' }) =>
      sparesSetting({ before, secret }) || (/:[ \t]*$/.test(before) && !isDense(secret)),
  },
  {
    id: 'token',
    why: 'the same as an option of a command line',
    pattern: /(?<before>(?:^|[ \t])--?[\w-]{0,40}?token[\w-]{0,20}[ \t]{1,4})(?<secret>[^\s-]\S*)/gim,
    spares: ({ before = '', secret = '' }) => sparesSetting({ before, secret }) || !isDense(secret),
  },
];

function sparesSetting({ before = '', secret = '' }: Readonly<Record<string, string | undefined>>): boolean {
  const key = before.replace(/(?:[ \t]*[=:]|%3[ad])[ \t]*$/i, '').trimEnd();
  const value = secret.trim();
  if (value === '' || SIMPLE.test(value) || (value.includes(' ') && REASON.test(value))) return true;
  // a password may begin with a slash, a token does not
  const isPassword = /passw|passphrase/i.test(key);
  return ABOUT_IT.test(key) || (!isPassword && isPlace(value));
}
