import { short } from './short.ts'

short({
  name: 'faults',
  promise: 'any operation on the disk fails once: nothing leaves without its entry, and the process goes on',
})
