/**
 * Jest's `expect` with matchers for entries: `import 'keytrail/testing/jest'` in a test, or among `setupFilesAfterEnv`. Jest
 * must run ES modules (`node --experimental-vm-modules`). Where `injectGlobals` is off, only the types can be had here: `import type
 * {} from 'keytrail/testing/jest'`, and `expect.extend(keytrailMatchers)`.
 *
 * @example
 * ```ts
 * import { expect, test } from '@jest/globals'
 * import 'keytrail/testing/jest'
 *
 * test('decrypting leaves an entry', async () => {
 *   // …
 *   expect(sink).toHaveRecorded('kms.decrypt', { key: 'orders', outcome: 'success' })
 * })
 * ```
 *
 * @packageDocumentation
 */
import type {} from 'expect'
import { KmsError } from '../model/errors.ts'
import type { EntryMatchers } from './expect-entries.ts'
import { keytrailMatchers } from './matchers.ts'

// Jest's global, which is also what `@jest/globals` gives: that package cannot be imported outside of Jest, nor without it.
const { expect } = globalThis as { readonly expect?: { extend(matchers: object): void } }
if (typeof expect?.extend !== 'function')
  throw new KmsError(
    'INVALID_INPUT',
    'there is no global expect: in Jest without injectGlobals use expect.extend(keytrailMatchers)',
  )
expect.extend(keytrailMatchers)

declare module 'expect' {
  // For `expect` of '@jest/globals'.
  interface Matchers<R extends void | Promise<void>> extends EntryMatchers<R> {}
}

declare global {
  namespace jest {
    // For the global `expect` of '@types/jest'.
    interface Matchers<R> extends EntryMatchers<R> {}
  }
}
