import { short } from './short.ts'

short({
  name: 'tamper',
  promise: 'whatever is done to the files of a trail is found, and where; what is not found changes no entry',
})
