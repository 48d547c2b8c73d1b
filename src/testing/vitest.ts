/**
 * Vitest's `expect` with matchers for entries: `import 'keytrail/testing/vitest'` in a test, or among `setupFiles`.
 *
 * @example
 * ```ts
 * import { expect, test } from 'vitest'
 * import 'keytrail/testing/vitest'
 *
 * test('decrypting leaves an entry', async () => {
 *   // …
 *   expect(sink).toHaveRecorded('kms.decrypt', { key: 'orders', outcome: 'success' })
 * })
 * ```
 *
 * @packageDocumentation
 */
import { expect } from 'vitest'
import type { EntryMatchers } from './expect-entries.ts'
import { keytrailMatchers } from './matchers.ts'

expect.extend(keytrailMatchers)

declare module 'vitest' {
  // Without type parameters: version 4 has one here and version 5 two, and TypeScript merges what leaves out those with defaults.
  interface Matchers extends EntryMatchers {}
}
