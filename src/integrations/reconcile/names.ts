/** What CloudTrail calls the events of AWS KMS, and which actions of a trail each can be. */

/** `use` of a key, `change` of a key or of who may use it, or `read` of what is known about it. */
export type EventKind = 'use' | 'change' | 'read'

/** Events that are a call's own. Those without a row are an action of their own name: `PutKeyPolicy` is `kms_key.put_key_policy`. */
const actions: Readonly<Record<string, readonly string[]>> = {
  // Across providers a re-encryption is a Decrypt by one and an Encrypt by the other.
  Encrypt: ['kms.encrypt', 'kms.re_encrypt'],
  Decrypt: ['kms.decrypt', 'kms.re_encrypt'],
  ReEncrypt: ['kms.re_encrypt'],
  Sign: ['kms.sign'],
  Verify: ['kms.verify'],
  GenerateMac: ['kms.hmac'],
  VerifyMac: ['kms.verify_hmac'],
  GenerateDataKey: ['kms.generate_data_key'],
  GenerateDataKeyWithoutPlaintext: ['kms.generate_data_key'],
  GenerateDataKeyPair: ['kms.generate_data_key_pair'],
  GenerateDataKeyPairWithoutPlaintext: ['kms.generate_data_key_pair'],
  DeriveSharedSecret: ['kms.derive_shared_secret'],
  Encapsulate: ['kms.encapsulate'],
  Decapsulate: ['kms.decapsulate'],
  RotateKeyOnDemand: ['kms.rotate', 'kms.rotate.scheduled'],
  CreateKey: ['kms_key.create', 'kms_key.import'],
  ImportKeyMaterial: ['kms_key.import', 'kms_key.import_version'],
  EnableKey: ['kms_key.enable'],
  DisableKey: ['kms_key.disable'],
  EnableKeyRotation: ['kms_key.update'],
  DisableKeyRotation: ['kms_key.update'],
  ScheduleKeyDeletion: ['kms_key.delete'],
  CancelKeyDeletion: ['kms_key.cancel_deletion'],
}

const known: ReadonlyMap<string, readonly string[]> = new Map(Object.entries(actions))

/** Changes that one call makes beside its own event, each at most once. */
const companions: Readonly<Record<string, readonly string[]>> = {
  CreateAlias: ['kms_key.create', 'kms_key.import'],
  TagResource: ['kms_key.create', 'kms_key.import'],
  UpdateKeyDescription: ['kms_key.create', 'kms_key.import'],
  EnableKeyRotation: ['kms_key.create'],
  CreateKey: ['kms_key.import'],
  ImportKeyMaterial: ['kms_key.import'],
  // A key whose alias was refused is taken back.
  ScheduleKeyDeletion: ['kms_key.create'],
}

const uses: ReadonlySet<string> = new Set(
  Object.entries(actions)
    .filter(([name, [action = '']]) => action.startsWith('kms.') && name !== 'RotateKeyOnDemand')
    .map(([name]) => name),
)

const useActions: ReadonlySet<string> = new Set([...uses].flatMap((name) => actions[name] ?? []))

/** Whether calls of `action` use a key, and do nothing else. */
export function isUse(action: string): boolean {
  return useActions.has(action)
}

/** GenerateRandom has no key. */
const isRead = /^(?:Get|List|Describe)[A-Z]|^GenerateRandom$/

export function kindOf(eventName: string): EventKind {
  if (uses.has(eventName)) return 'use'
  return isRead.test(eventName) ? 'read' : 'change'
}

export function actionsOf(eventName: string): readonly string[] {
  return known.get(eventName) ?? [`kms_key.${snakeCase(eventName)}`]
}

function companionsOf(eventName: string): readonly string[] {
  return Object.hasOwn(companions, eventName) ? (companions[eventName] ?? []) : []
}

/** The events that belong to a call of `action` beside the one that its entry names, or beside its own if it names none. */
export function companionEvents(action: string, named: string | undefined): readonly string[] {
  const own = Object.keys(actions).filter((name) => actionsOf(name).includes(action))
  const beside = Object.keys(companions).filter((name) => companionsOf(name).includes(action))
  // Where the entry names a lesser one, the call's own is still to come.
  const missing = named === undefined || own.includes(named) || kindOf(own[0] ?? '') === 'use' ? [] : own
  return [...new Set([...missing, ...beside])].filter((name) => name !== named)
}

/** Whether an entry of `action` may be about an event of this name, whose request it names. */
export function mayBe(eventName: string, action: string): boolean {
  if (actionsOf(eventName).includes(action) || companionsOf(eventName).includes(action)) return true
  // Reads are made on the way to anything else about a key: which one a call names as its request is its provider's choice.
  return isRead.test(eventName) && action.startsWith('kms_key.')
}

function snakeCase(name: string): string {
  return name.replace(/(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])/g, '_').toLowerCase()
}
