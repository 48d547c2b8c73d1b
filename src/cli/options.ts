/** Every option of the command line, once: an option means the same in every verb that takes it. */

interface OptionRow {
  /** What its value is called; a flag takes none. */
  readonly takes?: string
  readonly short?: string
  readonly kind: 'flag' | 'text' | 'list' | 'count'
  readonly says: string
}

export const options = {
  help: { kind: 'flag', short: 'h', says: 'this page' },
  json: { kind: 'flag', says: 'JSON instead of text, one line a result; bytes as base64' },

  dir: { kind: 'text', takes: 'DIR', says: 'keys in DIR/keys, trail in DIR/audit ($KEYTRAIL_DIR, else ./keytrail)' },
  'passphrase-file': { kind: 'text', takes: 'FILE', says: 'instead of $KEYTRAIL_PASSPHRASE or the prompt' },
  'root-key-file': {
    kind: 'text',
    takes: 'FILE',
    says: 'a root key instead of a passphrase ($KEYTRAIL_ROOT_KEY_FILE)',
  },
  'accept-rollback': { kind: 'text', takes: 'REASON', says: 'why an older state is accepted; in the entry' },
  'new-passphrase-file': { kind: 'text', takes: 'FILE', says: 'instead of the prompt for the new passphrase' },
  'new-root-key-file': { kind: 'text', takes: 'FILE', says: 'a root key, made (0600) if it is not there' },
  region: { kind: 'text', takes: 'NAME', says: 'region of the keys ($KEYTRAIL_REGION)' },
  project: { kind: 'text', takes: 'NAME', says: 'project of the keys ($KEYTRAIL_PROJECT)' },
  reason: { kind: 'text', takes: 'CODE', says: 'why; stands in the entry' },
  ticket: { kind: 'text', takes: 'ID', says: 'the ticket that goes with --reason' },
  'take-over': { kind: 'flag', says: 'take the lock of a holder on another machine that is gone for sure' },
  'allow-filesystem': {
    kind: 'list',
    takes: 'TYPE',
    says: 'use a file system that is refused by default, such as tmpfs',
  },

  out: { kind: 'text', takes: 'FILE', short: 'o', says: 'write there instead of to standard output' },
  text: { kind: 'flag', says: 'a printable spelling; so it is on a terminal anyway' },
  context: { kind: 'list', takes: 'NAME=VALUE', says: 'encryption context, not secret; may be repeated' },
  'key-version': { kind: 'count', takes: 'N', says: 'this version of the key, not the latest' },
  signature: { kind: 'text', takes: 'FILE', says: 'the signature, raw or in base64' },
  hmac: { kind: 'text', takes: 'FILE', says: 'the HMAC, raw or in base64' },
  hash: { kind: 'text', takes: 'NAME', says: 'sha256, sha384 or sha512, where the key type leaves a choice' },
  prehashed: { kind: 'flag', says: 'the input is the digest already (RSA, ECDSA)' },
  padding: { kind: 'text', takes: 'NAME', says: 'pss (default) or pkcs1v15 (RSA)' },
  format: { kind: 'text', takes: 'NAME', says: 'der (default) or ieee-p1363 (ECDSA); tlog-tiles (audit export)' },

  type: { kind: 'text', takes: 'TYPE', says: 'key type, xaes256-gcm by default' },
  name: { kind: 'text', takes: 'TEXT', says: 'a name for people' },
  description: { kind: 'text', takes: 'TEXT', says: 'what the key is for' },
  label: { kind: 'list', takes: 'NAME=VALUE', says: 'may be repeated' },
  exportable: { kind: 'flag', says: 'the key material may be exported; cannot be changed later' },
  'rotation-days': { kind: 'count', takes: 'N', says: 'rotate automatically every N days (by keys rotate --due)' },
  due: { kind: 'flag', says: 'every key whose day has come' },
  'reuse-slug': { kind: 'flag', says: 'take the slug of a key that was destroyed' },
  'expect-version': { kind: 'count', takes: 'N', says: 'rotate only if N is the latest version' },
  'pending-days': { kind: 'count', takes: 'N', says: 'days until the deletion, 7 to 90; 30 by default' },
  form: { kind: 'text', takes: 'FORM', says: 'raw (symmetric keys), pkcs8 (the others), jwk, or wrapped' },
  recipient: { kind: 'text', takes: 'FILE', says: 'RSA public key of 2048 to 4096 bits, PEM or DER, to wrap to' },
  'private-key': { kind: 'text', takes: 'FILE', says: 'RSA private key, PKCS#8 in PEM or DER' },
  'allow-rotation': { kind: 'flag', says: 'the imported key may get newer versions; cannot be changed later' },
  rotate: { kind: 'flag', says: 'make another wrapping key' },

  action: { kind: 'list', takes: 'ACTION', says: "such as kms.decrypt or 'kms.*'; may be repeated" },
  key: { kind: 'text', takes: 'KEY', says: 'identity or slug' },
  actor: { kind: 'text', takes: 'ID', says: "the actor's id" },
  outcome: { kind: 'text', takes: 'NAME', says: 'success, failure, pending or unknown' },
  status: { kind: 'count', takes: 'CODE', says: 'status code, such as 400' },
  phase: { kind: 'text', takes: 'NAME', says: 'intent, result or amendment' },
  since: { kind: 'text', takes: 'TIME', says: '2026-01-31T12:00:00Z, 2026-01-31, or an age: 90s 15m 2h 7d' },
  until: { kind: 'text', takes: 'TIME', says: 'before this moment' },
  event: { kind: 'text', takes: 'ID', says: 'the entry with this eventID' },
  operation: { kind: 'text', takes: 'ID', says: 'intent, result and amendment of one operationID' },
  request: { kind: 'text', takes: 'ID', says: 'all that this request did with secrets' },
  around: { kind: 'text', takes: 'ID', says: 'what happened around the entry with this eventID' },
  span: { kind: 'text', takes: 'TIME', says: 'how far back and ahead, such as 15m (default), 2h or 1d' },
  all: { kind: 'flag', says: 'each call by itself; like calls of an hour are one step otherwise' },
  prove: { kind: 'text', takes: 'OUT', says: 'into this new folder: the story and a receipt for each entry' },
  'time-zone': {
    kind: 'text',
    takes: 'NAME',
    says: 'times of this zone; UTC by default',
  },
  orphans: { kind: 'flag', says: 'only what lacks its other end' },
  follow: { kind: 'flag', short: 'f', says: 'go on, and show each entry as it becomes safe' },
  limit: { kind: 'count', takes: 'N', says: 'the first N entries' },
  'key-type': { kind: 'list', takes: 'TYPE', says: 'such as aes256-gcm96; may be repeated' },
  source: { kind: 'list', takes: 'NETWORK', says: "the client's address or network: 10.0.0.0/8; may be repeated" },
  error: { kind: 'list', takes: 'CODE', says: 'such as INVALID_CIPHERTEXT; may be repeated' },
  origin: { kind: 'list', takes: 'SERVICE', says: 'the service that it was done for; may be repeated' },
  valid: { kind: 'text', takes: 'YES-OR-NO', says: 'what a verification found' },
  size: { kind: 'list', takes: 'BOUND', says: "bytes: 'plaintext>1000', or '>=1000' of any payload; may be repeated" },
  columns: { kind: 'text', takes: 'A,B,…', says: 'these fields, such as createdAt,actor.id,context.clientIp' },
  csv: { kind: 'flag', says: 'comma-separated, safe to open in a spreadsheet' },
  by: { kind: 'text', takes: 'A,B,…', says: 'count the entries by these fields, such as actor,action or day' },
  stats: { kind: 'text', takes: 'A,B,…', says: 'sum these up: plaintext,ciphertext,durationMs' },
  'older-than': { kind: 'text', takes: 'DAYS', says: 'age that every entry dropped has reached, such as 400d' },
  archive: { kind: 'text', takes: 'FILE', says: 'with what was pruned: a new file for audit prune, outside the trail' },
  'dry-run': { kind: 'flag', says: 'only tell what would be done' },
  pin: { kind: 'list', takes: 'FILE', says: 'a pin kept elsewhere (audit pin), to hold the trail to; may be repeated' },
  copy: { kind: 'list', takes: 'DIR', says: 'a copy of the trail, whose checkpoint is compared; may be repeated' },
  incremental: { kind: 'flag', says: 'read only what the pin does not cover' },
  witness: { kind: 'list', takes: 'VKEY', says: 'a witness that must have cosigned; may be repeated' },
  cloudtrail: { kind: 'list', takes: 'FILE', says: 'a file or folder of the export, or -; may be repeated' },
  role: { kind: 'list', takes: 'ARN', says: 'a role that only keytrail holds; may be repeated' },
  'aws-key': {
    kind: 'list',
    takes: 'KEY',
    says: 'a key besides those of the trail: ARN, id, alias; repeatable',
  },
  provider: { kind: 'list', takes: 'NAME', says: 'what entries call AWS KMS: aws-kms and migrating by default' },
  port: { kind: 'count', takes: 'N', says: 'where to listen; 0 for any that is free' },
  host: { kind: 'text', takes: 'ADDRESS', says: '127.0.0.1 (default), another of 127.0.0.0/8, or ::1' },
  'allow-raw-export': { kind: 'flag', says: 'key material may leave in the clear' },
  rules: { kind: 'text', takes: 'FILE', says: 'JSON: timeZone, rules with their parameters, suppressions' },
  state: { kind: 'text', takes: 'FILE', says: 'how far it came, and what it knows; made if it is not there' },
  webhook: { kind: 'text', takes: 'URL', says: 'post findings there; https, or http on this machine' },
  'webhook-secret-file': { kind: 'text', takes: 'FILE', says: 'what signs them, 16 bytes or more' },
  level: { kind: 'text', takes: 'NAME', says: 'least level: informational, low, medium (default), high or critical' },
  once: { kind: 'flag', says: 'end where the trail ends' },
  html: { kind: 'text', takes: 'FILE', says: 'write the page there; it is replaced whole or not at all' },
  'no-verify': { kind: 'flag', says: 'leave the verification out; that is told' },
  vkey: { kind: 'list', takes: 'VKEY', says: 'the key that must have signed, kept elsewhere; may be repeated' },
} as const

export type OptionName = keyof typeof options
type Of<K extends OptionRow['kind']> = {
  [N in OptionName]: (typeof options)[N]['kind'] extends K ? N : never
}[OptionName]
export type FlagName = Of<'flag'>
export type TextName = Of<'text'>
export type ListName = Of<'list'>
export type CountName = Of<'count'>

export const everyVerb: readonly OptionName[] = ['json', 'help']

/** Of every verb that opens the keys. */
export const opening: readonly OptionName[] = [
  'dir',
  'passphrase-file',
  'root-key-file',
  'region',
  'project',
  'reason',
  'ticket',
  'allow-filesystem',
  'take-over',
  'accept-rollback',
]
