import { short } from './short.ts'

short({
  name: 'torn',
  promise: 'a process dies in the midst of any write: the torn bytes are cut, and nothing else is lost',
})
