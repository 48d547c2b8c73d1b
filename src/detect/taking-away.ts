/** Ways in which a key is taken from those who use it. */

const verbs: ReadonlyMap<string, string> = new Map([
  ['kms_key.disable', 'disabled'],
  ['kms_key.delete', 'scheduled the deletion of'],
  ['kms_key.destroy', 'destroyed'],
  // Of AWS KMS: what was imported is gone at once, and can only be imported again.
  ['kms_key.delete_imported_key_material', 'deleted the imported key material of'],
])

/** Their actions. */
export const takings: readonly string[] = [...verbs.keys()]

/** In the past tense, before the key's name. */
export function takingVerb(action: string): string {
  return verbs.get(action) ?? 'took away'
}
