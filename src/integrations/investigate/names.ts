/** @node What a key is called in a trail: its identity and its slug, whichever of them is known. */
import type { AuditEntry } from '../../model/entry.ts'
import { KmsError } from '../../model/errors.ts'
import { readTrail } from '../../trail/reading/read.ts'

/**
 * All slugs and identities of the key that is called `name`. More than one identity has a slug that was given to a new key
 * after the old one was destroyed. Empty when no entry tells of it.
 */
export async function namesOf(path: string, name: string): Promise<readonly string[]> {
  const names = new Set<string>()
  try {
    for await (const { entry } of readTrail(path, { key: name })) {
      for (const [identity, slug] of keysIn(entry))
        if (identity === name || slug === name)
          for (const each of [identity, slug]) if (typeof each === 'string') names.add(each)
      if (names.size >= mostNames) break
    }
  } catch (error) {
    // Damaged lines: the story tells of them when it has told what could be read.
    if (names.size === 0 || !(error instanceof KmsError) || error.code !== 'INTERNAL') throw error
  }
  return [...names]
}

/** Far more than a slug will ever have had. */
const mostNames = 1000

/** Identity and slug of each key that the entry is about. */
function keysIn({
  resourceType,
  resourceIdentity,
  keySlug,
  details,
}: AuditEntry): readonly (readonly (string | undefined)[])[] {
  const second = details?.destinationKey
  const first = [resourceType === 'kms_key' ? resourceIdentity : undefined, keySlug]
  return second === undefined || second === null ? [first] : [first, [second.identity, second.slug]]
}
