import { faults } from './faults.ts'
import { short } from './short.ts'

short({
  name: 'faults',
  run: faults,
  count: 120,
  promise: 'any operation on the disk fails once: nothing leaves without its entry, and the process goes on',
})
