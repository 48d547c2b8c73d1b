import { short } from './short.ts'
import { tamper } from './tamper.ts'

short({
  name: 'tamper',
  run: tamper,
  count: 4000,
  promise: 'whatever is done to the files of a trail is found, and where; what is not found changes no entry',
})
