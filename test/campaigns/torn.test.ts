import { short } from './short.ts'
import { torn } from './torn.ts'

short({
  name: 'torn',
  run: torn,
  count: 150,
  promise: 'a process dies in the midst of any write: the torn bytes are cut, and nothing else is lost',
})
