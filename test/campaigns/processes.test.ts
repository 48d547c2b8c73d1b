import { short } from './short.ts'

short({
  name: 'processes',
  promise: 'of several processes one at a time holds the folder, and one that lost it writes nothing when it wakes',
})
