import { test } from 'node:test'
import { namespacesAreAllowed, processes } from './processes.ts'
import { short } from './short.ts'

short({
  name: 'processes',
  run: processes,
  count: 8,
  promise: 'of several processes one at a time holds the folder, and one that lost it writes nothing when it wakes',
})

test('a second PID namespace takes part where the machine allows one', (t) => {
  if (!namespacesAreAllowed()) t.diagnostic('unshare is not allowed here: all processes share their numbers')
})
